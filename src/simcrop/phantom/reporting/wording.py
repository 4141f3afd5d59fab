"""How a sentence is made: wordings with choices and blanks, grouped in slots, one slot per thing that is looked at.

Text only, no axes; sizes in mm. `[seen|noted]` is a choice; `{side}`, `{lobe}`, `{size}`, `{place}` and `{count}` are
blanks that the finding fills; the first letter becomes a capital. No wording holds a full stop but its last character.
"""

import re
from dataclasses import dataclass

import numpy as np

from simcrop.phantom.findings.finding import Finding

COMMON_SHARE = (
    0.46  # of the stock sentences take the first wording as it stands, so that reports repeat each other
)
CHOICE = re.compile(r"\[([^\[\]]*)\]")
NUMBERS = {2: "two", 3: "three", 4: "four"}


@dataclass(frozen=True)
class Slot:
    """`found` when the finding `kind` is there, `several` when it counts more than one lesion, `both` on both sides.

    Otherwise, in `share` of the reports, a `stock` sentence; `negates` says that it denies the finding.
    """

    kind: str | None
    found: tuple[str, ...] = ()
    several: tuple[str, ...] = ()
    both: tuple[str, ...] = ()
    stock: tuple[str, ...] = ()
    share: float = 1.0
    negates: bool = False


def found_wording(slot: Slot, finding: Finding, rng: np.random.Generator) -> str:
    """A sentence about a finding. Wordings with a size are left out where the report names none."""
    wordings = slot.both if finding.side == "both" else slot.several if finding.count > 1 else slot.found
    named = finding.sized and finding.size_mm is not None
    usable = [wording for wording in wordings if named or "{size}" not in wording]
    return fill(expand(usable[int(rng.integers(len(usable)))], rng), finding)


def stock_wording(wordings: tuple[str, ...], rng: np.random.Generator) -> str:
    """A sentence that many reports share: the first wording, or any of the others in one of its forms."""
    if len(wordings) == 1 or rng.random() < COMMON_SHARE:
        return capital(expand(wordings[0], rng))
    return capital(expand(wordings[int(rng.integers(1, len(wordings)))], rng))


def expand(wording: str, rng: np.random.Generator) -> str:
    """Decide every choice; a choice within a choice comes first."""

    def choose(match: re.Match[str]) -> str:
        choices = match[1].split("|")
        return choices[int(rng.integers(len(choices)))]

    while "[" in wording:
        wording = CHOICE.sub(choose, wording)
    return wording


def fill(wording: str, finding: Finding) -> str:
    text = wording.format(
        side=finding.side,
        lobe=finding.lobe,
        size=finding.size_mm,
        place=finding.place,
        count=NUMBERS.get(finding.count, "one"),
    )
    return capital(text)


def capital(text: str) -> str:
    return text[0].upper() + text[1:]

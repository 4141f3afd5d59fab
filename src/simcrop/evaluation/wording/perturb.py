"""What a report's sentences would say if they were wrong: each with the changes that its words allow.

No axes: text in, text out. Only sentences that assert a finding are changed, and of those that deny one the denial: a
changed sentence must be false of the scan, or mean the same, for its score to say anything.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np

from simcrop.evaluation.wording.claims import Claim, claim_of, kinds_of, negate
from simcrop.evaluation.wording.word_swaps import paraphrase, swap_findings, swap_lobes, swap_sides

NO_RULE, ALSO_TRUE = "no rule", "also true"  # why a sentence was left out
BOTH = frozenset({"left", "right"})
PLACES = {
    "left": r"\b(?:left\w*|lul|lll|lt|lingul\w*)\b",
    "right": r"\b(?:right\w*|rul|rml|rll|rt)\b",
    "both": r"\b(?:both|bilateral\w*|either|two lungs)\b",
    "upper": r"\b(?:upper|apical|apicoposterior|lul|rul)\b",
    "middle": r"\b(?:middle|rml)\b",
    "lower": r"\b(?:lower|\w*basal|lll|rll)\b",
}


@dataclass(frozen=True)
class Perturbation:
    """`change` of a sentence that makes such a `claim`, None where no rule applies; `same`: it means what it meant;
    `moved`: the finding stays and its place changes; `words`: what is done, for a reader.
    """

    words: str
    change: Callable[[str], str | None]
    claim: Claim = "asserts"
    same: bool = False
    moved: bool = False


@dataclass(frozen=True)
class Changed:
    """One sentence: `number` in its report from 0, the finding it speaks of ("several" where it speaks of more, empty
    where of none that has a label), its claim; `texts`: what each change made of it, `left_out`: why one made nothing.
    """

    number: int
    text: str
    kind: str
    claim: Claim
    texts: Mapping[str, str]
    left_out: Mapping[str, str]


def shuffle(text: str) -> str | None:
    """The same words in another order, the same one for the same sentence. None where there are fewer than three."""
    stop = re.search(r"[.?!]*$", text)
    end = stop[0] if stop else ""
    words = text[: len(text) - len(end)].split()
    if len(set(words)) < 3:
        return None
    rng = np.random.default_rng(crc32(text.encode()))
    turned = words
    while turned == words:
        turned = [words[i] for i in rng.permutation(len(words))]
    return " ".join(turned) + end


PERTURBATIONS: Mapping[str, Perturbation] = {
    "unchanged": Perturbation("the sentence itself: exactly no fall", str, same=True),
    "paraphrase": Perturbation("the same in other words: little fall", paraphrase, same=True),
    "side": Perturbation("left for right", swap_sides, moved=True),
    "lobe": Perturbation("upper for lower lobe", swap_lobes, moved=True),
    "finding": Perturbation("another finding", lambda text: (swap_findings(text) or (None,))[0]),
    "denied": Perturbation("what is there is denied", negate),
    "asserted": Perturbation("what is denied is asserted: false, so a fall as well", negate, "denies"),
    "shuffled": Perturbation("the words in another order", shuffle),
}


def perturb(report: Sequence[str], labels: Mapping[str, int | None] | None = None) -> list[Changed]:
    """Every sentence of a report that asserts or denies a finding, with all changes. `labels`: what is known of the
    scan; another finding is put in only where the scan lacks it.
    """
    has = found_in(report, labels)
    return [
        changed_of(number, text, report, has)
        for number, text in enumerate(report)
        if claim_of(text) is not None
    ]


def changed_of(number: int, text: str, report: Sequence[str], has: frozenset[str]) -> Changed:
    """Of one sentence: a change that is as true as the sentence itself says nothing, and is left out."""
    claim, texts, left_out = claim_of(text), {}, {}
    others = [other for place, other in enumerate(report) if place != number]
    for name, perturbation in PERTURBATIONS.items():
        if claim != perturbation.claim:
            continue
        made = remembered(name, text)
        if made is None:
            left_out[name] = NO_RULE
        elif (perturbation.moved and covered(made, others)) or (
            name == "finding" and other_kind(text) in has
        ):
            left_out[name] = ALSO_TRUE
        else:
            texts[name] = made
    return Changed(number, text, kind_of(text), claim or "asserts", texts, left_out)


@lru_cache(maxsize=1 << 18)
def remembered(name: str, text: str) -> str | None:
    """Reports repeat themselves: each distinct sentence is changed once."""
    return PERTURBATIONS[name].change(text)


def other_kind(text: str) -> str:
    found = swap_findings(text)
    return found[1] if found else ""


def kind_of(text: str) -> str:
    """The one label it speaks of, "several", or nothing."""
    kinds = kinds_of(text)
    return "several" if len(kinds) > 1 else next(iter(kinds), "")


def found_in(report: Sequence[str], labels: Mapping[str, int | None] | None = None) -> frozenset[str]:
    """Kinds that the report asserts, or that a label says are there."""
    said = {kind for text in report if claim_of(text) == "asserts" for kind in kinds_of(text)}
    return frozenset(said | {name for name, there in (labels or {}).items() if there})


def covered(text: str, report: Sequence[str]) -> bool:
    """Whether another sentence of a report says so: of the same finding, there or nowhere in particular."""
    kinds, (sides, lobes) = kinds_of(text), places_of(text)
    for other in report:
        if claim_of(other) == "asserts" and kinds & kinds_of(other):
            of_sides, of_lobes = places_of(other)
            if (not of_sides or sides & of_sides) and (not of_lobes or not lobes or lobes & of_lobes):
                return True
    return False


@lru_cache(maxsize=1 << 16)
def places_of(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Sides and lobes that it names."""
    named = {place for place, pattern in PLACES.items() if re.search(pattern, text, re.IGNORECASE)}
    sides = BOTH if "both" in named else frozenset(named & BOTH)
    return sides, frozenset(named & {"upper", "middle", "lower"})

"""Writes the report of one patient, and knows of each sentence what it is about.

Text only, no axes; sizes in mm.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.data.phantom.findings import Finding
from simcrop.data.phantom.wording import (
    CLEAR_LUNGS,
    COMPLAINTS,
    IMPRESSIONS,
    NORMAL_IMPRESSIONS,
    SLOTS,
    TECHNIQUES,
    Slot,
)

COMMON_SHARE = 0.7  # of the stock sentences take the first wording, so that reports repeat each other


@dataclass(frozen=True)
class Sentence:
    """`kind`: the CT-RATE label it speaks about, or None; `negated`: it says that this finding is absent."""

    text: str
    kind: str | None = None
    negated: bool = False
    finding: Finding | None = None


@dataclass(frozen=True)
class PhantomReport:
    """The four texts of a CT-RATE report; `sentences` together are its Findings."""

    complaint: str
    technique: str
    sentences: tuple[Sentence, ...]
    impression: str

    @property
    def findings(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)


def write_report(findings: tuple[Finding, ...], contrast: bool, rng: np.random.Generator) -> PhantomReport:
    """8 to 15 Findings sentences in a fixed order, and an impression that repeats what was found."""
    present = {finding.kind: finding for finding in findings}
    lung_kinds = [slot.kind for slot in SLOTS if slot.in_lungs and slot.kind in present]
    sentences: list[Sentence] = []
    for slot in SLOTS:
        if slot.kind == "Pleural effusion" and not lung_kinds:
            sentences.append(Sentence(stock(CLEAR_LUNGS, rng)))
        quiet = slot.in_lungs and len(lung_kinds) != 1
        sentences.extend(speak(slot, present, rng, quiet))
    return PhantomReport(
        complaint=COMPLAINTS[int(rng.integers(len(COMPLAINTS)))],
        technique=TECHNIQUES[contrast],
        sentences=tuple(sentences),
        impression=" ".join(fill(IMPRESSIONS[f.kind], f) for f in findings) or stock(NORMAL_IMPRESSIONS, rng),
    )


def speak(slot: Slot, present: dict[str, Finding], rng: np.random.Generator, quiet: bool) -> list[Sentence]:
    """The sentence of one slot. `quiet` leaves out what would only be denied."""
    if slot.kind is not None and slot.kind in present:
        finding = present[slot.kind]
        text = slot.found[int(rng.integers(len(slot.found)))]
        return [Sentence(fill(text, finding), slot.kind, finding=finding)]
    if quiet or rng.random() >= slot.share:
        return []
    text = stock(slot.stock, rng)
    return [Sentence(text, slot.kind, negated=True) if slot.negates else Sentence(text)]


def stock(wordings: tuple[str, ...], rng: np.random.Generator) -> str:
    if len(wordings) == 1 or rng.random() < COMMON_SHARE:
        return wordings[0]
    return wordings[int(rng.integers(1, len(wordings)))]


def fill(wording: str, finding: Finding) -> str:
    return wording.format(side=finding.side, lobe=finding.lobe, size=finding.size_mm, place=finding.place)

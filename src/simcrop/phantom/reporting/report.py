"""Writes the report of one patient, and knows of each sentence what it is about.

Text only, no axes; sizes in mm.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.phantom.findings.finding import Finding
from simcrop.phantom.reporting.chest import LOWER_SLOTS, MIDDLE_SLOTS
from simcrop.phantom.reporting.impressions import (
    BILATERAL,
    COMPLAINTS,
    IMPRESSIONS,
    NORMAL_IMPRESSIONS,
    SEVERAL,
    TECHNIQUES,
)
from simcrop.phantom.reporting.lungs import CLEAR_LUNGS, LUNG_SLOTS, PLEURA_SLOTS
from simcrop.phantom.reporting.wording import Slot, fill, found_wording, stock_wording

FEWEST, MOST = 12, 20
NO_CONTRAST = MIDDLE_SLOTS[1]


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
    """12 to 20 Findings sentences in a fixed order, and an impression that repeats what was found."""
    slots = slots_for(findings)
    spoken = chosen_stock(slots, findings, contrast, rng)
    sentences: list[Sentence] = []
    for slot in slots:
        present = [finding for finding in findings if slot.kind is not None and finding.kind == slot.kind]
        sentences += [Sentence(found_wording(slot, f, rng), slot.kind, finding=f) for f in present]
        if slot in spoken:
            sentences.append(deny(slot, rng))
    return PhantomReport(
        complaint=COMPLAINTS[int(rng.integers(len(COMPLAINTS)))],
        technique=TECHNIQUES[contrast],
        sentences=tuple(sentences),
        impression=" ".join(conclude(f) for f in findings) or stock_wording(NORMAL_IMPRESSIONS, rng),
    )


def slots_for(findings: tuple[Finding, ...]) -> tuple[Slot, ...]:
    """All slots in the order of looking; healthy lungs get a sentence of their own."""
    ill = {slot.kind for slot in LUNG_SLOTS} & {finding.kind for finding in findings}
    clear = () if ill else (Slot(None, stock=CLEAR_LUNGS),)
    return (*MIDDLE_SLOTS, *LUNG_SLOTS, *clear, *PLEURA_SLOTS, *LOWER_SLOTS)


def chosen_stock(
    slots: tuple[Slot, ...], findings: tuple[Finding, ...], contrast: bool, rng: np.random.Generator
) -> list[Slot]:
    """Slots that say their stock sentence: what is always said, and as much else as a report of its length holds."""
    kinds = {finding.kind for finding in findings}
    quiet = [slot for slot in slots if slot.stock and (slot.kind is None or slot.kind not in kinds)]
    usual = [slot for slot in quiet if slot.share >= 1]
    others = [slot for slot in quiet if slot.share < 1 and not (contrast and slot is NO_CONTRAST)]
    dice = rng.random(len(others)) / [slot.share for slot in others]
    order = [others[i] for i in np.argsort(dice)]  # those that are said more often come first more often
    sentence_count = len(findings) + len(usual)
    likely = int((dice < 1).sum())
    room = min(max(likely, FEWEST - sentence_count), MOST - sentence_count)
    return usual + order[: max(room, 0)]


def deny(slot: Slot, rng: np.random.Generator) -> Sentence:
    text = stock_wording(slot.stock, rng)
    return Sentence(text, slot.kind, negated=True) if slot.negates else Sentence(text)


def conclude(finding: Finding) -> str:
    """One phrase of the impression."""
    if finding.side == "both":
        wording = BILATERAL[finding.kind]
    elif finding.count > 1:
        wording = SEVERAL[finding.kind]
    else:
        wording = IMPRESSIONS[finding.kind]
    return fill(wording, finding)

"""Figures of many sentences: means with their intervals by patient, in groups, and what is there against what is not.

Axes: s sentence, m figure. Lengths in mm.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simcrop.evaluation.grounding.answers import ScanAnswers
from simcrop.evaluation.grounding.questions import GroundQuestion
from simcrop.evaluation.grounding.scores import MEASURES, SIZES, WHO, Judged
from simcrop.evaluation.wording.audit import patient_mean
from simcrop.evaluation.wording.says_nothing import told_apart
from simcrop.metrics import Interval, mean_intervals

Figures = Mapping[tuple[str, str], Interval]
GROUPS: dict[str, Callable[[Judged], str]] = {
    "findings": lambda judged: judged.question.kind,
    "sizes": lambda judged: judged.size,
    "sides": lambda judged: judged.question.side,
}


@dataclass(frozen=True, eq=False)
class Group:
    """`figures[measure, who]`, and `[measure, "over_swapped"]` and its like: own minus that, sentence by sentence."""

    name: str
    sentences: int
    patients: int
    figures: Figures


def summary_of(name: str, judged: Sequence[Judged], seed: int) -> Group:
    """Of sentences that are all of one group."""
    columns = {
        (measure, who): np.array([of.values[measure, who] for of in judged])
        for measure in MEASURES
        for who in WHO
    }
    columns |= {
        (measure, f"over_{who}"): columns[measure, "own"] - columns[measure, who]
        for measure in MEASURES
        for who in WHO[1:]
    }
    patients = np.array([of.question.patient for of in judged])
    found = mean_intervals(np.stack([*columns.values()], axis=1), patients, np.random.default_rng((seed, 1)))
    return Group(name, len(judged), len(set(patients.tolist())), dict(zip(columns, found, strict=True)))


def groups_of(judged: Sequence[Judged], by: str, seed: int) -> list[Group]:
    """Those that have a name, in alphabetical order, sizes from small to large."""
    name_of = GROUPS[by]
    names = {name_of(of) for of in judged} - {""}
    ordered = [name for name in SIZES if name in names] if by == "sizes" else sorted(names)
    return [summary_of(name, [of for of in judged if name_of(of) == name], seed) for name in ordered]


def defined(judged: Sequence[Judged]) -> list[Judged]:
    """Sentences of which anything could be said."""
    return [of for of in judged if not np.isnan([*of.values.values()]).all()]


def says_nothing(
    scans: Sequence[tuple[Sequence[GroundQuestion], ScanAnswers]], seed: int
) -> dict[str, Interval]:
    """AUROC within scans of sentences that show something against denials of the same report, against sentences about
    what the scan lacks, and against both; each once more by the random encoder.
    """
    found = {}
    for end in ("", "_random"):
        kinds = {name: joined([getattr(answers, name + end) for _, answers in scans]) for name in SCORES}
        patients = np.array([questions[0].patient for questions, _ in scans])
        there, of_there = kinds["present"]
        for name, against in AGAINST.items():
            scores, of_scores = (
                np.concatenate(parts) for parts in zip(*(kinds[of] for of in against), strict=True)
            )
            won = told_apart(there, scores, of_there, of_scores)
            found[name + end] = patient_mean(won, patients[of_there], seed)
    return found


SCORES = ("present", "denied", "absent")
AGAINST = {"all": ("denied", "absent"), "denied": ("denied",), "absent": ("absent",)}


def joined(scores: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All scores, and the number of the scan that each is of."""
    numbers = [np.full(len(of), scan) for scan, of in enumerate(scores)]
    return np.concatenate(scores).astype(float), np.concatenate(numbers).astype(int)

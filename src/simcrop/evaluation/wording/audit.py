"""How much scores change with the words: falls beside their intervals, and where changed sentences point.

Axes: s sentence. Intervals are over patients, and every figure is paired: a sentence against itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simcrop.metrics import Interval, drawn_counts, interval_of
from simcrop.metrics.intervals import DRAWS

FEWEST = 10  # sentences of a kind that get figures of their own


@dataclass(frozen=True)
class Shift:
    """Of `sentences`: `fall`, the true sentence's score minus the changed one's, and `falls`, the share of them that
    scores lower than the truth, a tie counts half. Both `_elsewhere`, in another patient's scan: some words score
    higher in any scan. `beyond`: the fall minus the one elsewhere, which the scan itself has made.
    """

    sentences: int
    fall: Interval
    falls: Interval
    fall_elsewhere: Interval
    falls_elsewhere: Interval
    beyond: Interval


@dataclass(frozen=True, eq=False)
class Shifts:
    """Of one change: over all sentences, and by the kind of finding that they speak of."""

    all: Shift
    kinds: Mapping[str, Shift]


@dataclass(frozen=True)
class Moved:
    """Of sentences whose finding was said to lie elsewhere. Where the scan has such a finding there: how often the
    true and the changed sentence point at it. Where it has none: how far the score falls.
    """

    there: int
    true_there: Interval
    changed_there: Interval
    nowhere: Shift


@dataclass(frozen=True)
class PointingShift:
    """How often the true sentence and the changed one point at the lesion of the true one, and the difference."""

    sentences: int
    true: Interval
    changed: Interval
    lost: Interval
    moved: Moved | None


@dataclass(frozen=True, eq=False)
class Answers:
    """Of one change, `(s,)` each: scores before and after, in the own scan and `_elsewhere`; `hit`, `hit_changed`:
    whether the nearest patch touches the lesion, `other`, `other_changed`: whether it touches one of the kind where
    the changed sentence says; NaN where there is none, or nothing is known of the scan. `elsewhere`: 1 where the scan
    has such a one, 0 where not, NaN where not known.
    """

    kinds: np.ndarray
    patients: np.ndarray
    true: np.ndarray
    changed: np.ndarray
    true_elsewhere: np.ndarray
    changed_elsewhere: np.ndarray
    hit: np.ndarray
    hit_changed: np.ndarray
    other: np.ndarray
    other_changed: np.ndarray
    elsewhere: np.ndarray

    def rows(self, keep: np.ndarray) -> "Answers":
        return Answers(**{name: values[keep] for name, values in vars(self).items()})


def shift_of(answers: Answers, seed: int) -> Shift:
    """Over all sentences."""
    fall, elsewhere = answers.true - answers.changed, answers.true_elsewhere - answers.changed_elsewhere
    means = (fall, falling(fall), elsewhere, falling(elsewhere), fall - elsewhere)
    return Shift(len(fall), *(patient_mean(values, answers.patients, seed) for values in means))


def falling(fall: np.ndarray) -> np.ndarray:
    """1 where the score falls, a half where it stays, 0 where it rises; NaN where it is not known."""
    return np.where(np.isnan(fall), np.nan, (fall > 0) + 0.5 * (fall == 0))


def shifts_of(answers: Answers, seed: int) -> Shifts:
    """Over all sentences, and over each kind with enough of them."""
    names, counts = np.unique(answers.kinds, return_counts=True)
    kinds = [str(name) for name, count in zip(names, counts, strict=True) if name and count >= FEWEST]
    return Shifts(
        shift_of(answers, seed), {kind: shift_of(answers.rows(answers.kinds == kind), seed) for kind in kinds}
    )


def pointing_of(answers: Answers, seed: int, moved: bool) -> PointingShift | None:
    """Over sentences that show a lesion inside the crop; None where none does."""
    asked = answers.rows(~np.isnan(answers.hit))
    if not len(asked.hit):
        return None

    def mean(values: np.ndarray) -> Interval:
        return patient_mean(values, asked.patients, seed)

    return PointingShift(
        len(asked.hit),
        mean(asked.hit),
        mean(asked.hit_changed),
        mean(asked.hit - asked.hit_changed),
        moved_of(asked, seed) if moved else None,
    )


def moved_of(answers: Answers, seed: int) -> Moved:
    """What lies where the changed sentence says, or nothing."""
    there = answers.rows(~np.isnan(answers.other))
    return Moved(
        len(there.other),
        patient_mean(there.other, there.patients, seed),
        patient_mean(there.other_changed, there.patients, seed),
        shift_of(answers.rows(answers.elsewhere == 0), seed),
    )


def patient_mean(values: np.ndarray, patients: np.ndarray, seed: int) -> Interval:
    """The mean of values that are numbers, and its interval over drawn patients; NaN where there are none."""
    asked = ~np.isnan(values)
    if not asked.any():
        return interval_of(float("nan"), np.zeros(0))
    names, number = np.unique(patients[asked], return_inverse=True)
    total, count = np.bincount(number, values[asked]), np.bincount(number)
    drawn = [
        times @ total / (times @ count)
        for times in drawn_counts(names, np.random.default_rng((seed, 1)), DRAWS)
    ]
    return interval_of(float(total.sum() / count.sum()), np.concatenate(drawn))

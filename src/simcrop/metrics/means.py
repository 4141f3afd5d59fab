"""Means of many columns with their intervals by patient, all columns on the same drawn cohorts. Axes: s scan or
sentence, m column, p patient, b drawn cohort.
"""

from collections.abc import Sequence

import numpy as np

from simcrop.metrics.bootstrap import drawn_counts
from simcrop.metrics.intervals import DRAWS, Interval, interval_of


def mean_intervals(
    values: np.ndarray,
    patients: Sequence[str] | np.ndarray,
    generator: np.random.Generator,
    draws: int = DRAWS,
) -> list[Interval]:
    """The mean of every column of `(s, m)`, what is NaN left out: the same as `interval` of one mean after the other,
    but that each cohort is drawn once.
    """
    known = ~np.isnan(values)
    _, number = np.unique(np.asarray(patients), return_inverse=True)
    sums, counts = (np.zeros((int(number.max(initial=-1)) + 1, values.shape[1])) for _ in range(2))
    np.add.at(sums, number, np.where(known, values, 0.0))
    np.add.at(counts, number, known)
    if not len(sums):
        return [interval_of(float("nan"), np.zeros(0))] * values.shape[1]
    drawn = np.concatenate(
        [
            ratio(times @ sums, times @ counts)
            for times in drawn_counts(np.arange(len(sums)), generator, draws)
        ]
    )
    once = ratio(sums.sum(0), counts.sum(0))
    return [interval_of(float(one), of) for one, of in zip(once, drawn.T, strict=True)]


def ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """NaN where there is nothing to divide by."""
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)

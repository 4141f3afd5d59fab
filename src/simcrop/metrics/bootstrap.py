"""Figures of many drawn cohorts at once. Axes: b drawn cohort, s scan, t group of tied scans, l label.

A cohort that is drawn with replacement holds the same scans, each so many times: a row of `counts` `(b, s)`. So scans
are sorted once per label, and each cohort costs one walk along that order. The cohort as it is has counts of one.
Labels are 1, 0 or NaN (not known: left out); a figure that is not defined in a cohort is NaN there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from simcrop.metrics.kernels import rank_cohorts
from simcrop.metrics.ranking import known

# Entries of `counts` that are held at once: 32 MB in float32.
AT_ONCE = 8_000_000


def drawn_counts(
    patients: Sequence[str] | np.ndarray, generator: np.random.Generator, draws: int
) -> Iterator[np.ndarray]:
    """How often each scan is in `draws` cohorts drawn by patient, float32 `(b, s)`, some cohorts at a time.

    The same cohorts as `resampled` of the same generator draws.
    """
    names, number = np.unique(np.asarray(patients), return_inverse=True)
    step = max(1, AT_ONCE // max(1, len(number)))
    for first in range(0, draws, step):
        cohorts = min(step, draws - first)
        drawn = generator.integers(len(names), size=(cohorts, len(names)))
        drawn += len(names) * np.arange(cohorts)[:, None]  # so that one count serves all of them
        times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        yield times.astype(np.float32)[:, number]


def once(scans: int) -> np.ndarray:
    """The counts `(1, s)` of the cohort as it is."""
    return np.ones((1, scans), np.float32)


@dataclass(frozen=True, eq=False)
class Ranked:
    """The known scans of one label from the highest score down: `rows` `(s,)` of the table, `positive` `(s,)`, and
    where each group of equal scores ends, `ends` `(t,)`.
    """

    rows: np.ndarray
    positive: np.ndarray
    ends: np.ndarray

    def figures(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """AUROC and average precision, each `(b,)`."""
        found = np.empty(len(counts)), np.empty(len(counts))
        rank_cohorts(counts, self.rows, self.positive, self.ends, *found)
        return found


def ranked(scores: np.ndarray, labels: np.ndarray) -> Ranked | None:
    """The scans `(s,)` in order; None where they are of one kind alone, or a score is no number."""
    values, positive = known(scores, labels)
    if not positive.any() or positive.all() or np.isnan(values).any():
        return None
    rows = np.flatnonzero(~np.isnan(labels.astype(float)))
    order = np.argsort(-values, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(values[order])) + 1, len(order))
    return Ranked(rows[order], positive[order], ends)


def drawn_ranking(scores: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """`auroc` and `average_precision` of every column of `(s, l)` in every drawn cohort, each `(b, l)`."""
    figures = np.full((2, len(counts), scores.shape[1]), np.nan)
    for i, (of, truth) in enumerate(zip(scores.T, labels.T, strict=True)):
        if order := ranked(of, truth):
            figures[:, :, i] = order.figures(counts)
    return dict(zip(("auroc", "average_precision"), figures, strict=True))

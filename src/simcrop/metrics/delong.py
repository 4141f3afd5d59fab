"""Whether two methods rank the scans of one label differently: DeLong's test, for scans that share patients, too.

Axes: k method, r repetition, s scan. DeLong, DeLong and Clarke-Pearson 1988; for several scans of a patient
Obuchowski 1997, which is DeLong's when every patient has one scan. Values of all pairs come from ranks (Sun and Xu
2014).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simcrop.metrics.ranking import mean_ranks


@dataclass(frozen=True, eq=False)
class Aurocs:
    """AUROC of every method `(k,)` and their covariance `(k, k)`, NaN where it cannot be estimated."""

    values: np.ndarray
    covariance: np.ndarray

    def p_value(self, first: int, second: int) -> float:
        """Two-sided, of the two methods' AUROC being equal; 1 when they rank alike, NaN when it cannot be tested: where
        it is not defined, or all scans differ alike, which says that they are few and not that chance is ruled out.
        """
        contrast = self.covariance[[first, second]][:, [first, second]]
        variance = contrast[0, 0] + contrast[1, 1] - 2 * contrast[0, 1]
        difference = self.values[first] - self.values[second]
        if np.isnan(variance) or np.isnan(difference):
            return float("nan")
        if variance <= 1e-15:
            return 1.0 if abs(difference) < 1e-12 else float("nan")
        return math.erfc(abs(difference) / math.sqrt(2 * variance))


def delong(
    scores: Sequence[np.ndarray] | np.ndarray,
    labels: np.ndarray,
    patients: Sequence[str] | np.ndarray | None = None,
) -> Aurocs:
    """AUROC of each method's scores, `(s,)` or `(r, s)`, whose mean over repetitions it then is, with one truth
    `(s,)` of 1, 0 or NaN (left out).

    `patients` `(s,)`: whose scan each is; None takes all scans as independent.
    """
    keep = ~np.isnan(labels.astype(float))
    repeats, positive = [np.atleast_2d(of)[:, keep].astype(float) for of in scores], labels[keep].astype(bool)
    if not positive.any() or positive.all() or any(np.isnan(of).any() for of in repeats):
        return Aurocs(np.full(len(repeats), np.nan), np.full((len(repeats), len(repeats)), np.nan))
    beaten = np.stack([placements(of, positive).mean(0) for of in repeats])
    values = beaten[:, positive].mean(1)
    of = (
        np.arange(len(positive))
        if patients is None
        else np.unique(np.asarray(patients)[keep], return_inverse=True)[1]
    )
    return Aurocs(values, covariance_of(beaten - values[:, None], positive, of))


def placements(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """`(r, s)`: of a scan with the finding the share of scans without it that score below; of one without it the share
    of scans with it that score above. A tie counts half.
    """
    found = np.empty_like(scores)
    with_it, without = int(positive.sum()), int((~positive).sum())
    for of, row in zip(scores, found, strict=True):
        rank = mean_ranks(of)
        row[positive] = (rank[positive] - mean_ranks(of[positive])) / without
        row[~positive] = 1 - (rank[~positive] - mean_ranks(of[~positive])) / with_it
    return found


def covariance_of(off: np.ndarray, positive: np.ndarray, patient: np.ndarray) -> np.ndarray:
    """Covariance `(k, k)` from what each scan's placement is off the mean, `(k, s)`, summed within each patient."""
    count = int(patient.max()) + 1
    with_it = np.stack([np.bincount(patient, row * positive, count) for row in off])
    without = np.stack([np.bincount(patient, row * ~positive, count) for row in off])
    have, lack = len(np.unique(patient[positive])), len(np.unique(patient[~positive]))
    if have < 2 or lack < 2:
        return np.full((len(off), len(off)), np.nan)
    m, n = positive.sum(), (~positive).sum()
    both = with_it @ without.T
    return (
        have / (have - 1) * (with_it @ with_it.T) / m**2
        + lack / (lack - 1) * (without @ without.T) / n**2
        + count / (count - 1) * (both + both.T) / (m * n)
    )


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """p-values raised so that one false alarm among all the tests stays as rare (Holm 1979). NaN stays."""
    p = np.asarray(p_values, float)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    raised = np.full(p.shape, np.nan)
    raised[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return raised

"""The inner loops over drawn cohorts, as machine code. Axes: b drawn cohort, s scan, t group of tied scans."""

import math

import numpy as np

from simcrop.jit import compiled


@compiled
def rank_cohorts(
    counts: np.ndarray,
    rows: np.ndarray,
    positive: np.ndarray,
    ends: np.ndarray,
    auroc: np.ndarray,
    precision: np.ndarray,
) -> None:
    """AUROC and average precision `(b,)` of scans in `rows`, from the highest score down, tied up to each of `ends`."""
    for b in range(counts.shape[0]):
        positives, negatives, won, summed, start = 0.0, 0.0, 0.0, 0.0, 0
        for end in ends:
            with_it, tied = 0.0, 0.0
            for k in range(start, end):
                times = counts[b, rows[k]]
                with_it, tied = with_it + times * positive[k], tied + times
            without = tied - with_it
            won += without * (positives + with_it / 2)
            positives, negatives, start = positives + with_it, negatives + without, end
            if with_it > 0:
                summed += with_it * positives / (positives + negatives)
        defined = positives > 0 and negatives > 0
        auroc[b] = won / (positives * negatives) if defined else np.nan
        precision[b] = summed / positives if defined else np.nan


@compiled
def fit_lines(
    counts: np.ndarray,
    odds: np.ndarray,
    truth: np.ndarray,
    steps: int,
    near: float,
    steepest: float,
    out: np.ndarray,
) -> None:
    """Newton's method for intercept and slope `(b, 2)` of a logistic regression of `truth` on `odds` `(s,)`."""
    for b in range(counts.shape[0]):
        line, slope, done = 0.0, 1.0, False
        for _ in range(steps):
            g0, g1, h00, h01, h11 = 0.0, 0.0, 0.0, 0.0, 0.0
            for s in range(len(odds)):
                times = counts[b, s]
                if times > 0:
                    x = odds[s]
                    expected = 1 / (1 + math.exp(-(line + slope * x)))
                    off, curve = times * (truth[s] - expected), times * expected * (1 - expected)
                    g0, g1 = g0 + off, g1 + off * x
                    h00, h01, h11 = h00 + curve, h01 + curve * x, h11 + curve * x * x
            area = h00 * h11 - h01 * h01
            if not area > 1e-12:
                break
            up, steeper = (h11 * g0 - h01 * g1) / area, (h00 * g1 - h01 * g0) / area
            line, slope = line + up, slope + steeper
            if max(abs(line), abs(slope)) > steepest:
                break
            if max(abs(up), abs(steeper)) < near:
                done = True
                break
        out[b, 0] = line if done else np.nan
        out[b, 1] = slope if done else np.nan

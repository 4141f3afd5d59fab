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
    """Newton's method for intercept and slope `(b, 2)` of a logistic regression of `truth` on `odds` `(s,)`.

    From no slope at all, and a step under which the likelihood falls is halved: from elsewhere, or undamped, steps grow
    without end where stated odds are far too large.
    """
    for b in range(counts.shape[0]):
        with_it, total = 0.0, 0.0
        # Odds of those without, and of those with it.
        lowest, highest = np.array([np.inf, np.inf]), np.array([-np.inf, -np.inf])
        for s in range(len(odds)):
            with_it, total = with_it + counts[b, s] * truth[s], total + counts[b, s]
            if counts[b, s] > 0:
                side = 1 if truth[s] > 0 else 0
                lowest[side], highest[side] = min(lowest[side], odds[s]), max(highest[side], odds[s])
        out[b, 0], out[b, 1] = np.nan, np.nan
        if not 0 < with_it < total:
            continue
        # Where any cut between tells them apart, no line is steep enough.
        if highest[0] < lowest[1] or highest[1] < lowest[0]:
            continue
        line, slope, up, steeper, best = math.log(with_it / (total - with_it)), 0.0, 0.0, 0.0, -np.inf
        for _ in range(steps):
            g0, g1, h00, h01, h11, likely = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for s in range(len(odds)):
                times = counts[b, s]
                if times > 0:
                    x = odds[s]
                    z = line + slope * x
                    tail = math.exp(-abs(z))
                    expected = (1.0 if z > 0 else tail) / (1 + tail)
                    off, curve = times * (truth[s] - expected), times * expected * (1 - expected)
                    g0, g1 = g0 + off, g1 + off * x
                    h00, h01, h11 = h00 + curve, h01 + curve * x, h11 + curve * x * x
                    likely += times * (truth[s] * z - max(z, 0.0) - math.log1p(tail))
            if likely < best - 1e-10 * abs(best):  # by more than rounding does
                up, steeper = up / 2, steeper / 2
                line, slope = line - up, slope - steeper
                continue
            best, area = likely, h00 * h11 - h01 * h01
            if not area > 1e-12:
                break
            up, steeper = (h11 * g0 - h01 * g1) / area, (h00 * g1 - h01 * g0) / area
            line, slope = line + up, slope + steeper
            if max(abs(line), abs(slope)) > steepest:
                break
            if max(abs(up), abs(steeper)) < near:
                out[b, 0], out[b, 1] = line, slope
                break

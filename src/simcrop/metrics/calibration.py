"""Whether a probability means what it says. Axes: b drawn cohort, s scan, l label.

Everything is a figure of drawn cohorts (`metrics.bootstrap`): `counts` `(b, s)` says how often each scan is in each.
Labels that are NaN (not known) are left out; a figure that is not defined is NaN.
"""

import numpy as np

from simcrop.metrics.kernels import fit_lines
from simcrop.metrics.means import ratio

BINS = 10
# A probability closer to 0 or 1 than this counts as this far.
EDGE = 1e-6
STEPS, NEAR, STEEPEST = 60, 1e-6, 100.0


def brier(probabilities: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean squared distance of probability and truth of every column of `(s, l)`: `(b, l)`. 0 is perfect."""
    keep = ~np.isnan(labels)
    return ratio(
        counts @ np.where(keep, (probabilities - labels) ** 2, 0.0), counts @ keep.astype(np.float64)
    )


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, counts: np.ndarray, bins: int = BINS
) -> np.ndarray:
    """Mean distance of stated and true frequency over equally wide bins, weighted by their scans: `(b, l)`
    (Naeini, Cooper and Hauskrecht, AAAI 2015).
    """
    keep = ~np.isnan(labels)
    off = np.where(keep, probabilities - labels, 0.0)
    place = np.clip((probabilities * bins).astype(int), 0, bins - 1)
    total = sum(np.abs(counts @ np.where(place == each, off, 0.0)) for each in range(bins))
    return ratio(np.asarray(total), counts @ keep.astype(np.float64))


def calibration_line(probabilities: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Intercept and slope of a logistic regression of the truth on the stated log odds, `(b, 2)`, for one label `(s,)`.

    0 and 1 are perfect; a slope below 1: the stated probabilities are too extreme (Cox 1958; Van Calster et al. 2019).
    NaN where a cohort lacks one kind of scan, or is told apart without error, so that no line is the best.
    """
    keep = ~np.isnan(labels)
    stated = np.clip(probabilities[keep].astype(np.float64), EDGE, 1 - EDGE)
    odds, truth, weight = np.log(stated / (1 - stated)), labels[keep], counts[:, keep]
    line = np.empty((len(weight), 2))
    fit_lines(weight, odds, truth, STEPS, NEAR, STEEPEST, line)
    return line

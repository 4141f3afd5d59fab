"""Numbers that say how good features are. Axes: s scan, d features."""

import numpy as np


def effective_rank(features: np.ndarray) -> float:
    """How many directions the features `(s, d)` really use: the exponential of the entropy of their spectrum.

    1 when all scans lie on one line, d when they spread evenly (Roy and Vetterli 2007).
    """
    strength = np.linalg.svd(features - features.mean(0), compute_uv=False)
    if strength.sum() <= 0:
        return 1.0
    share = strength / strength.sum()
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))

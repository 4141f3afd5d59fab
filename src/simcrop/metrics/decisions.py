"""How often decisions are right. Axes: s scan. Labels that are NaN (not known) are left out."""

import numpy as np


def accuracy(decided: np.ndarray, labels: np.ndarray) -> float:
    """Share of scans whose class `(s,)` was named rightly; NaN when no label is known."""
    keep = ~np.isnan(labels.astype(float))
    return float((decided[keep] == labels[keep]).mean()) if keep.any() else float("nan")


def f1(decided: np.ndarray, labels: np.ndarray) -> float:
    """Harmonic mean of precision and recall of yes-or-no decisions; NaN when no scan has the finding."""
    keep = ~np.isnan(labels.astype(float))
    predicted, true = decided[keep].astype(bool), labels[keep].astype(bool)
    if not true.any():
        return float("nan")
    return float(2 * (predicted & true).sum() / (predicted.sum() + true.sum()))

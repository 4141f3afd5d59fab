"""How often decisions are right. Axes: b drawn cohort, s scan, l label, c class. Labels that are NaN are left out."""

from collections.abc import Callable

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


def confusion(decided: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Scans `(c, c)` by true class (row) and named class (column)."""
    keep = ~np.isnan(labels.astype(float))
    found = np.zeros((classes, classes), int)
    np.add.at(found, (labels[keep].astype(int), decided[keep].astype(int)), 1)
    return found


def drawn_decisions(decided: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """`f1`, `sensitivity` and `specificity` of yes-or-no decisions `(s, l)` in every drawn cohort, each `(b, l)`.

    `counts` `(b, s)`: see `metrics.bootstrap`. NaN where a cohort has no scan that the figure is about.
    """
    yes, has = decided.astype(bool), labels == 1
    true_positive, false_negative = counts @ (yes & has), counts @ (~yes & has)
    false_positive, true_negative = counts @ (yes & (labels == 0)), counts @ (~yes & (labels == 0))
    positives, negatives = true_positive + false_negative, true_negative + false_positive
    positives, negatives = (np.where(count > 0, count, np.nan) for count in (positives, negatives))
    return {
        "f1": 2 * true_positive / (positives + true_positive + false_positive),
        "sensitivity": true_positive / positives,
        "specificity": true_negative / negatives,
    }


# What a threshold may be chosen for, by name.
RULES: dict[str, Callable[[np.ndarray, np.ndarray, int, int], np.ndarray]] = {
    "youden": lambda hits, alarms, positives, negatives: hits / positives - alarms / negatives,
    "f1": lambda hits, alarms, positives, _: 2 * hits / (hits + alarms + positives),
}


def best_threshold(scores: np.ndarray, labels: np.ndarray, rule: str = "youden") -> float:
    """The score from which on a scan `(s,)` is said to have the finding, midway between two scores of these scans.

    For scans that nothing is judged on. Among equals the highest; NaN where these scans hold one kind alone.
    """
    keep = ~np.isnan(labels.astype(float))
    values, positive = scores[keep].astype(float), labels[keep].astype(bool)
    if not positive.any() or positive.all() or np.isnan(values).any():
        return float("nan")
    order = np.argsort(-values, kind="stable")
    values, hits = values[order], positive[order].cumsum()
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    worth = RULES[rule](hits[last], last + 1 - hits[last], int(hits[-1]), int(len(values) - hits[-1]))
    best = last[int(np.argmax(worth))]
    return float(values[best] if best == len(values) - 1 else (values[best] + values[best + 1]) / 2)

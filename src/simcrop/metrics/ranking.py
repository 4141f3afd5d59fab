"""How well scores put scans that have a finding before those that have not. Axes: s scan, l label.

Labels are 1 (has it), 0 (has it not) or NaN (not known: left out). A figure that is not defined is NaN, never zero.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Macro:
    """Mean over the labels that can be judged. `per_label` `(l,)`: NaN where one cannot; `absent`: how many."""

    value: float
    per_label: np.ndarray

    @property
    def absent(self) -> int:
        return int(np.isnan(self.per_label).sum())


def auroc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Chance that a scan with the finding scores above one without it; a tie counts half.

    NaN when every known label is the same, or a score is not a number.
    """
    scores, positive = known(scores, labels)
    with_it = int(positive.sum())
    pairs = with_it * (len(positive) - with_it)
    if not pairs or np.isnan(scores).any():
        return float("nan")
    return float((mean_ranks(scores)[positive].sum() - with_it * (with_it + 1) / 2) / pairs)


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Precision averaged over the findings in the order of their scores; tied scans come all at once."""
    scores, positive = known(scores, labels)
    if not positive.any() or positive.all() or np.isnan(scores).any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = positive[order].cumsum()[last_of_tie]
    precision, recall = found / (last_of_tie + 1), found / found[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def label_aurocs(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`auroc` of every column of `(s, l)`."""
    return np.array([auroc(s, truth) for s, truth in zip(scores.T, labels.T, strict=True)])


def macro_auroc(scores: np.ndarray, labels: np.ndarray) -> Macro:
    """Mean AUROC over the labels of `(s, l)`; those that only one kind of scan has are left out and counted."""
    per_label = label_aurocs(scores, labels)
    return Macro(mean_of_defined(per_label), per_label)


def mean_of_defined(values: np.ndarray) -> float:
    """NaN when nothing is defined."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def means_of_defined(values: np.ndarray) -> np.ndarray:
    """The same of every row of `(b, l)`: there are a thousand drawn cohorts, and many tables."""
    defined = ~np.isnan(values)
    count, sums = defined.sum(1), np.where(defined, values, 0.0).sum(1)
    return np.divide(sums, count, out=np.full(len(values), np.nan), where=count > 0)


def completed(drawn: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Figures of drawn cohorts `(b, l)`, so that each is of the same labels: of those that all patients can judge,
    `whole` `(l,)` is not NaN, and of no others.

    A drawn cohort can miss a rare label. Its mean over the rest would be another figure, off by as much as that label
    lies apart; and without such cohorts a small test has none left, a larger one those with most positives. So the
    label's figure is that of the next drawn cohort that has one (after the last comes the first), just as the label's
    own interval rests on those. Methods have a label in the same cohorts: their differences stay paired.
    """
    filled = np.where(np.isnan(whole), np.nan, drawn)
    for of, value in zip(filled.T, whole, strict=True):
        there, gone = np.flatnonzero(~np.isnan(of)), np.flatnonzero(np.isnan(of))
        of[gone] = of[there[np.searchsorted(there, gone) % len(there)]] if len(there) else value
    return filled


def known(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores and bool labels of the scans whose label is known."""
    keep = ~np.isnan(labels.astype(float))
    return scores[keep].astype(float), labels[keep].astype(bool)


def mean_ranks(scores: np.ndarray) -> np.ndarray:
    """Rank of each score from 1; tied ones share the mean of theirs."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    return (count.cumsum() - (count - 1) / 2)[place]

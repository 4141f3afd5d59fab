"""Labels that exclude one another: of every scan one holds. Which is named, and how often that is right.

Axes: k repetition (seed), s scan, c class, b drawn cohort. Of a scan whose class is not known every label is NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from simcrop.errors import SimcropError
from simcrop.metrics import drawn_counts, interval_of, once
from simcrop.metrics.intervals import DRAWS, Interval


@dataclass(frozen=True, eq=False)
class JudgedClasses:
    """`confusion` `(c, c)`: scans by true class (row) and named class (column), the mean over repetitions; `shares` of
    each row, with intervals. `balanced_accuracy`: the mean over classes of how many of theirs were found.
    """

    names: tuple[str, ...]
    accuracy: Interval
    balanced_accuracy: Interval
    confusion: np.ndarray
    shares: tuple[tuple[Interval, ...], ...]


def one_of(labels: np.ndarray, where: str) -> np.ndarray:
    """Labels `(s, c)` with one 1 in each row, or nothing but NaN where the class is not known. Refused where a scan has
    two, or is said to have none.
    """
    if labels.shape[1] < 2:
        raise SimcropError("bad-labels", f"{where}: labels that exclude one another must be two or more")
    several, none = (labels == 1).sum(1) > 1, (labels == 0).all(1)
    if several.any() or none.any():
        raise SimcropError(
            "bad-labels",
            f"{where}: labels that exclude one another, but {int(several.sum())} of {len(labels)} scans have several "
            f"and {int(none.sum())} have none; --not-exclusive takes each label by itself",
        )
    known = (labels == 1).any(1)
    return np.where(known[:, None], labels == 1, np.nan)


def probabilities_of(logits: np.ndarray, exclusive: bool) -> np.ndarray:
    """Of logits `(s, l)`: each by itself, or such that those of a scan add up to one. NaN (not learned) stays."""
    if not exclusive:
        return 1 / (1 + np.exp(-logits.clip(-500, 500)))
    learned = ~np.isnan(logits)
    raised = np.exp(logits - np.where(learned, logits, -np.inf).max(1, keepdims=True))
    return raised / np.where(learned, raised, 0).sum(1, keepdims=True)


def named(scores: np.ndarray) -> np.ndarray:
    """Bool `(k, s, c)`: the most probable class of each scan; of equals the first."""
    best = np.where(np.isnan(scores), -np.inf, scores).argmax(-1)
    return best[..., None] == np.arange(scores.shape[-1])


def judge_classes(
    scores: np.ndarray,
    labels: np.ndarray,
    patients: Sequence[str] | np.ndarray,
    names: Sequence[str],
    seed: int,
    draws: int = DRAWS,
) -> JudgedClasses:
    """Of probabilities `(k, s, c)`, on the same drawn cohorts as every other figure."""
    decided, truth = named(scores), (labels == 1).astype(np.float32)
    whole = drawn_confusion(decided, truth, once(len(labels)))
    drawn = np.concatenate(
        [
            drawn_confusion(decided, truth, counts)
            for counts in drawn_counts(patients, np.random.default_rng((seed, 1)), draws)
        ]
    )
    shares, drawn_shares = row_shares(whole)[0], row_shares(drawn)
    classes = range(len(names))
    return JudgedClasses(
        tuple(names),
        interval_of(accuracy_of(whole)[0], accuracy_of(drawn)),
        interval_of(balanced_of(whole)[0], balanced_of(drawn)),
        whole[0],
        tuple(tuple(interval_of(shares[i, j], drawn_shares[:, i, j]) for j in classes) for i in classes),
    )


def compare_accuracies(
    scores: Sequence[np.ndarray],
    labels: np.ndarray,
    patients: Sequence[str] | np.ndarray,
    seed: int,
    draws: int = DRAWS,
) -> tuple[tuple[Interval, ...], dict[tuple[int, int], Interval]]:
    """Of methods `(k, s, c)` each on the same scans: the accuracy of each, and by pair the difference (first minus
    second) on the same drawn patients.
    """
    truth, decided = (labels == 1).astype(np.float32), [named(of) for of in scores]
    whole = [accuracy_of(drawn_confusion(of, truth, once(len(labels))))[0] for of in decided]
    parts = [
        [accuracy_of(drawn_confusion(of, truth, counts)) for of in decided]
        for counts in drawn_counts(patients, np.random.default_rng((seed, 1)), draws)
    ]
    drawn = np.concatenate(parts, axis=1)
    return (
        tuple(interval_of(value, of) for value, of in zip(whole, drawn, strict=True)),
        {
            (i, j): interval_of(whole[i] - whole[j], drawn[i] - drawn[j])
            for i, j in combinations(range(len(scores)), 2)
        },
    )


def drawn_confusion(decided: np.ndarray, truth: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`(b, c, c)`, the mean over repetitions."""
    classes = truth.shape[1]
    pairs = (truth[:, :, None] * decided.mean(0)[:, None]).reshape(len(truth), classes * classes)
    return (counts.astype(np.float64) @ pairs).reshape(-1, classes, classes)


def accuracy_of(confusion: np.ndarray) -> np.ndarray:
    """`(b,)`; NaN without a scan."""
    every = confusion.sum((1, 2))
    return np.trace(confusion, axis1=1, axis2=2) / np.where(every > 0, every, np.nan)


def row_shares(confusion: np.ndarray) -> np.ndarray:
    """`(b, c, c)`: of each true class, how many were named what; NaN in a row without a scan."""
    rows = confusion.sum(2, keepdims=True)
    return confusion / np.where(rows > 0, rows, np.nan)


def balanced_of(confusion: np.ndarray) -> np.ndarray:
    """`(b,)`: over the classes that a cohort has."""
    found = np.diagonal(row_shares(confusion), axis1=1, axis2=2)
    there = ~np.isnan(found)
    return np.where(there, found, 0).sum(1) / np.where(there.any(1), there.sum(1), np.nan)

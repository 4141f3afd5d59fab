"""How far down a list the right one stands. Axes: q query, c candidate.

A rank is that of the best relevant candidate, from 1; candidates that tie with it share the places, so that equal
scores are worth what chance would make of them. The same name hides different metrics in the field, so each variant
has its own.
"""

from collections.abc import Iterator
from math import comb

import numpy as np


def ranks(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Rank of the best relevant candidate for every query of `(q, c)`, `(q,)`; NaN where none is relevant."""
    best = np.where(relevant, scores, -np.inf).max(1, keepdims=True)
    above = (scores > best).sum(1)
    tied = ((scores == best) & ~relevant).sum(1)
    among = ((scores == best) & relevant).sum(1)
    found = (
        1 + above + tied / (among + 1)
    )  # where the first of `among` stands, on average, among all that tie
    return np.where(relevant.any(1), found, np.nan)


def recall_at(found: np.ndarray, k: int) -> float:
    """R@k: the share of queries whose relevant candidate is among the first k; queries without one are left out."""
    known = found[~np.isnan(found)]
    return float((known <= k).mean()) if len(known) else float("nan")


def chance_at(relevant: np.ndarray, k: int) -> float:
    """What R@k is of scores that say nothing: for each query the chance that k drawn candidates hold a relevant one."""
    counts, pool = relevant.sum(1), relevant.shape[1]
    counts = counts[counts > 0]
    if not len(counts):
        return float("nan")
    k = min(k, pool)
    missed = {int(m): comb(pool - int(m), k) / comb(pool, k) for m in np.unique(counts)}
    return float(np.mean([1 - missed[int(m)] for m in counts]))


def average_precision_at(scores: np.ndarray, relevant: np.ndarray, k: int, divide_by: str) -> np.ndarray:
    """AP over the first k candidates for every query, `(q,)`: precision summed at each relevant one, and divided by
    `k` (RadFinder) or by the number that could be found, at most k (`found`, SPECTRE). NaN where none is relevant.
    """
    k = min(k, scores.shape[1])
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(relevant, order, axis=1)
    precision = hits.cumsum(1) / np.arange(1, k + 1)
    total = np.full(len(scores), k) if divide_by == "k" else np.minimum(relevant.sum(1), k)
    return np.where(relevant.any(1), (precision * hits).sum(1) / np.maximum(total, 1), np.nan)


def disjoint_pools(count: int, size: int, shuffles: int, seed: int) -> Iterator[np.ndarray]:
    """Rows of every whole pool of `size` in `shuffles` orders; what is left over is in none (Merlin: 100, seed 42)."""
    rng = np.random.default_rng(seed)
    for _ in range(shuffles):
        order = rng.permutation(count)
        for start in range(0, count - size + 1, size):
            yield order[start : start + size]

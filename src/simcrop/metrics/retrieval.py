"""How far down a list the right one stands. Axes: q query, c candidate.

A rank is that of the best relevant candidate, from 1. Candidates that tie with it share the places: every figure is its
mean over their orders, so that equal scores are worth what chance would make of them. The same name hides different
metrics in the field, so each variant has its own.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Places:
    """Where the best relevant candidate of every query stands, each `(q,)`: how many candidates are `above` it, and of
    those that tie with it how many are not relevant (`tied`) and how many are (`among`, itself with them; 0: there is
    none).
    """

    above: np.ndarray
    tied: np.ndarray
    among: np.ndarray

    @property
    def ranks(self) -> np.ndarray:
        """From 1: where the first of `among` stands, on average, among all that tie; NaN where none is relevant."""
        return np.where(self.among > 0, 1 + self.above + self.tied / (self.among + 1), np.nan)

    def hits(self, k: int) -> np.ndarray:
        """The chance that one of `among` is within the first k, were those that tie put in order by lot; NaN likewise.
        Without ties that is 1 or 0. It is no matter of the mean rank: the first of two that tie is found half the time.
        """
        equal = self.tied + self.among
        room = np.minimum(k - self.above, equal)  # places within k that are left to those that tie
        missed = np.where(room > 0, 1.0, np.nan)
        for i in range(min(k, int(equal.max(initial=0)))):
            drawn = i < room
            missed[drawn] *= (self.tied[drawn] - i) / (equal[drawn] - i)
        return np.where(self.among > 0, np.where(room > 0, 1 - missed, 0.0), np.nan)

    def of(self, rows: Sequence[int] | np.ndarray) -> "Places":
        """Of these queries."""
        return Places(self.above[rows], self.tied[rows], self.among[rows])


def places(scores: np.ndarray, relevant: np.ndarray) -> Places:
    """Of every query of `(q, c)`."""
    best = np.where(relevant, scores, -np.inf).max(1, keepdims=True)
    equal = scores == best
    return Places((scores > best).sum(1), (equal & ~relevant).sum(1), (equal & relevant).sum(1))


def ranks(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Rank of the best relevant candidate for every query of `(q, c)`, `(q,)`; NaN where none is relevant."""
    return places(scores, relevant).ranks


def recall_at(found: Places, k: int) -> float:
    """R@k: the share of queries whose relevant candidate is among the first k; queries without one are left out."""
    hits = found.hits(k)
    known = hits[~np.isnan(hits)]
    return float(known.mean()) if len(known) else float("nan")


def chance_at(relevant: np.ndarray, k: int) -> float:
    """What R@k is of scores that say nothing: for each query the chance that k drawn candidates hold a relevant one."""
    counts = relevant.sum(1)
    return chance_of(counts[counts > 0], relevant.shape[1], k)


def chance_of(counts: np.ndarray, pool: int, k: int) -> float:
    """The same from how many of a `pool` are relevant to each query, `(q,)`, at least one."""
    if not len(counts):
        return float("nan")
    k = min(k, pool)
    distinct, of = np.unique(counts, return_inverse=True)
    missed = np.array([chance_of_none(pool, m, k) for m in distinct.tolist()])
    return float(np.mean(1 - missed[of]))


def chance_of_none(pool: int, m: int, k: int) -> float:
    """That k of a `pool` drawn at once hold none of m: C(pool - m, k) / C(pool, k), which is the same with m and k
    exchanged, so that it takes as many factors as the smaller of the two.
    """
    fewer, more = np.arange(min(m, k)), max(m, k)
    return float(np.prod(np.maximum(pool - more - fewer, 0) / (pool - fewer)))


def chance_ranks(relevant: np.ndarray) -> tuple[float, float]:
    """Median and mean rank of scores that say nothing."""
    counts, pool = relevant.sum(1), relevant.shape[1]
    counts = counts[counts > 0]
    if not len(counts):
        return float("nan"), float("nan")
    median = bisect_left(range(1, pool + 1), 0.5, key=lambda k: chance_of(counts, pool, k)) + 1
    return float(median), float(((pool + 1) / (counts + 1)).mean())


def precision_terms(scores: np.ndarray, relevant: np.ndarray, first: int | None = None) -> np.ndarray:
    """At every place of every query's list, `(q, c)`: the precision there if a relevant candidate stands there, else 0.
    Of candidates that tie it is the mean over all their orders. `first`: how many places are wanted, all when None.
    """
    if first is not None and (leading := leading_ones(scores, first)) is not None:
        scores, relevant = (np.take_along_axis(of, leading, axis=1) for of in (scores, relevant))
    order = np.argsort(-scores, axis=1, kind="stable")
    sorted_scores = np.take_along_axis(scores, order, axis=1)
    hits = np.take_along_axis(relevant, order, axis=1)
    places = np.arange(scores.shape[1])
    begins = np.ones(scores.shape, bool)
    begins[:, 1:] = sorted_scores[:, 1:] != sorted_scores[:, :-1]
    ends = np.ones(scores.shape, bool)
    ends[:, :-1] = begins[:, 1:]
    above = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    upto = np.minimum.accumulate(np.where(ends, places + 1, len(places))[:, ::-1], axis=1)[:, ::-1]
    found = np.concatenate([np.zeros((len(scores), 1)), hits.cumsum(1)], axis=1)
    before = np.take_along_axis(found, above, axis=1)
    tied, among = upto - above, np.take_along_axis(found, upto, axis=1) - before
    others = (among - 1) / np.maximum(tied - 1, 1)
    terms = among / tied * (before + 1 + (places - above) * others) / (places + 1)
    return terms[:, :first]


def leading_ones(scores: np.ndarray, first: int) -> np.ndarray | None:
    """Of every query of `(q, c)` at least the `first` candidates and all that tie with the last of them, in no order;
    for each query as many as the longest such list has, which is far less than all to be sorted. None: it takes all.
    """
    pool = scores.shape[1]
    if first >= pool:
        return None
    last = -np.partition(-scores, first - 1, axis=1)[:, first - 1, None]
    reach = (scores >= last).sum(1)
    if (
        reach.min() < first or reach.max() >= pool
    ):  # less than `first`: scores that are no numbers have no order
        return None
    return np.argpartition(-scores, reach.max() - 1, axis=1)[:, : reach.max()]


def average_precision_at(scores: np.ndarray, relevant: np.ndarray, k: int, divide_by: str) -> np.ndarray:
    """AP over the first k candidates for every query, `(q,)`: precision summed at each relevant one, and divided by
    `k` (RadFinder) or by the number that could be found, at most k (`found`, SPECTRE). NaN where none is relevant.
    """
    return average_of(precision_terms(scores, relevant), relevant, k, divide_by)


def average_of(terms: np.ndarray, relevant: np.ndarray, k: int, divide_by: str) -> np.ndarray:
    """The same from `precision_terms`."""
    k, counts = min(k, relevant.shape[1]), relevant.sum(1)
    total = np.full(len(relevant), k) if divide_by == "k" else np.minimum(counts, k)
    return np.where(counts > 0, terms[:, :k].sum(1) / np.maximum(total, 1), np.nan)


def chance_average_precision(relevant: np.ndarray, k: int, divide_by: str, pool: int) -> float:
    """What the mean AP over the first k of `pool` candidates is of scores that say nothing."""
    return chance_of_precision(relevant.sum(1), k, divide_by, pool)


def chance_of_precision(counts: np.ndarray, k: int, divide_by: str, pool: int) -> float:
    """The same from how many are relevant to each query, `(q,)`; a query without any is left out."""
    counts, k = counts[counts > 0], min(k, pool)
    if not len(counts):
        return float("nan")
    harmonic = (1 / np.arange(1, k + 1)).sum()
    total = np.full(len(counts), k) if divide_by == "k" else np.minimum(counts, k)
    others = (counts - 1) / max(pool - 1, 1)
    return float((counts / pool * (harmonic + others * (k - harmonic)) / total).mean())


def disjoint_pools(count: int, size: int, shuffles: int, seed: int) -> Iterator[np.ndarray]:
    """Rows of every whole pool of `size` in `shuffles` orders; what is left over is in none (Merlin: 100, seed 42)."""
    rng = np.random.default_rng(seed)
    for _ in range(shuffles):
        order = rng.permutation(count)
        for start in range(0, count - size + 1, size):
            yield order[start : start + size]

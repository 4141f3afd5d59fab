"""What `simcrop retrieve` finds: how high the right one stands, in every published pool, beside chance.

Axes: q query, c candidate, r report, s scan, b drawn cohort, p patient.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from simcrop.data.store.cohort import Cohort
from simcrop.metrics import drawn_counts, interval_of
from simcrop.metrics.intervals import DRAWS, Interval
from simcrop.metrics.retrieval import (
    Places,
    average_of,
    chance_at,
    chance_average_precision,
    chance_of_precision,
    chance_ranks,
    disjoint_pools,
    places,
    precision_terms,
)
from simcrop.tasks.labelled import first_of_each, label_matrix, patients_of
from simcrop.tasks.retrieval.pools import EVERY, FIRST, pools_of

AT = (1, 5, 10, 50, 100)
POOLS, SHUFFLES, POOL_SEED = (32, 64, 128), 100, 42  # Merlin's
POOLED_AT = (1, 8)
AT_ONCE = 4_000_000  # scores that are ranked at once: 16 MB in float32
OF_SENTENCES = "sentence -> scan, any whose report holds it"


@dataclass(frozen=True, eq=False)
class QueryRanks:
    """Queries by name, each with the patients that it is of, and what was found of each: a rank, or a precision.
    `places`: what a rank was made of.
    """

    names: Sequence[str]
    patients: Sequence[np.ndarray]
    found: np.ndarray
    places: Places | None = None

    def known(self) -> "QueryRanks":
        """Without the queries of which nothing could be found."""
        rows = np.flatnonzero(~np.isnan(self.found)).tolist()
        return QueryRanks(
            [self.names[row] for row in rows],
            [self.patients[row] for row in rows],
            self.found[rows],
            self.places.of(rows) if self.places else None,
        )

    def drawn(self, seed: int) -> np.ndarray:
        """`(b, q)`: how much each query counts in each cohort that is drawn by patient; one of several patients belongs
        to each of them in equal parts.
        """
        every, number = np.unique(np.concatenate(self.patients), return_inverse=True)
        counts = np.concatenate([*drawn_counts(every, np.random.default_rng((seed, 1)), DRAWS)])
        if len(number) == len(self.patients):
            return counts[:, number]
        query = np.repeat(np.arange(len(self.patients)), [len(of) for of in self.patients])
        shares = np.zeros((len(every), len(self.patients)), np.float32)
        shares[number, query] = np.repeat([1 / len(of) for of in self.patients], [*map(len, self.patients)])
        return counts @ shares


@dataclass(frozen=True, eq=False)
class Found:
    """One question: `direction` and `pool` by name; R@k with interval and chance, median and mean rank; and where it
    was asked the mean average precision. `asked`: the ranks of single queries, where they are the same for everyone.
    """

    direction: str
    pool: str
    queries: int
    candidates: int
    recall: dict[int, Interval]
    chance: dict[int, float]
    median_rank: float
    mean_rank: float
    chance_ranks: tuple[float, float] = (float("nan"), float("nan"))
    precision: Interval | None = None
    chance_precision: float = float("nan")
    asked: QueryRanks | None = None


@dataclass(frozen=True, eq=False)
class Alike:
    """Scan -> scan by one published variant: mAP@k with interval and chance; `asked`: of every scan its AP@k."""

    name: str
    queries: int
    candidates: int
    precision: dict[int, Interval]
    chance: dict[int, float]
    asked: dict[int, QueryRanks]


def between(fits: np.ndarray, studies: Cohort, texts: list[str], seed: int) -> Iterator[Found]:
    """Reports and scans both ways, `fits` `(r, s)`, in every published pool; and what counts any scan of the same
    report.
    """
    names, patients = studies.index["id"].to_numpy(), patients_of(studies)
    # A study without a text has the text of no other.
    words = [text or f"\0{row}" for row, text in enumerate(texts)]
    number = {text: at for at, text in enumerate(dict.fromkeys(words))}  # compared faster than whole texts
    said_by = np.array([number[text] for text in words])
    for pool, rows in pools_of(studies, said_by):
        scores, own = fits[np.ix_(rows, rows)], np.eye(len(rows), dtype=bool)
        alike = said_by[rows][:, None] == said_by[rows][None, :]
        for direction, of in (("report -> scan", scores), ("scan -> report", scores.T)):
            yield judged(direction, pool, of, own, names[rows], patients[rows][:, None], seed)
            if (alike != own).any():
                said = f"{direction}, any of the same text"
                yield judged(said, pool, of, alike, names[rows], patients[rows][:, None], seed)
    first = first_of_each(studies)
    scores = fits[np.ix_(first, first)]
    for size in POOLS:
        if size <= len(first):
            for direction, of in (("report -> scan", scores), ("scan -> report", scores.T)):
                yield in_pools(direction, of, size)


def of_sentences(
    scores: np.ndarray, holds: np.ndarray, names: Sequence[str], studies: Cohort, seed: int
) -> Iterator[Found]:
    """Each sentence looks for the scans whose reports hold it; `scores`, `holds` `(q, s)`."""
    patients = patients_of(studies)
    for pool, rows in ((EVERY, np.arange(len(studies))), (FIRST, first_of_each(studies))):
        there = holds[:, rows]
        asking = np.flatnonzero(there.any(1))
        if not len(asking):
            continue
        of = [np.unique(patients[rows][there[row]]) for row in asking]
        named, relevant = [names[row] for row in asking.tolist()], there[asking]
        yield judged(OF_SENTENCES, pool, scores[np.ix_(asking, rows)], relevant, named, of, seed, True)


def judged(
    direction: str,
    pool: str,
    scores: np.ndarray,
    relevant: np.ndarray,
    names: Sequence[str] | np.ndarray,
    patients: Sequence[np.ndarray] | np.ndarray,
    seed: int,
    precision: bool = False,
) -> Found:
    """Intervals over the patients of the queries; the pool stays whole."""
    stand = places(scores, relevant)
    asked = QueryRanks(list(names), list(patients), stand.ranks, stand).known()
    weights, candidates = asked.drawn(seed), scores.shape[1]
    assert asked.places is not None
    hits = {k: asked.places.hits(k) for k in AT if k <= candidates}
    recall = {k: interval_of(float(of.mean()), weights @ of / weights.sum(1)) for k, of in hits.items()}
    average = None
    if precision:
        each = precisions(scores, relevant)
        each = each[~np.isnan(each)]
        average = interval_of(float(each.mean()), weights @ each / weights.sum(1))
    return Found(
        *(direction, pool, len(asked.found), candidates, recall),
        {k: chance_at(relevant, k) for k in recall},
        median_rank=float(np.median(asked.found)),
        mean_rank=float(asked.found.mean()),
        chance_ranks=chance_ranks(relevant),
        precision=average,
        chance_precision=chance_average_precision(relevant, candidates, "found", candidates),
        asked=asked,
    )


def precisions(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """The average precision of every query, `(q,)`, a block of queries at a time: what is made on the way to it takes
    many times the room of the scores.
    """
    blocks = np.array_split(np.arange(len(scores)), ceil(scores.size / AT_ONCE))
    return np.concatenate(
        [
            average_of(
                precision_terms(scores[some], relevant[some]), relevant[some], scores.shape[1], "found"
            )
            for some in blocks
        ]
    )


def in_pools(direction: str, scores: np.ndarray, size: int) -> Found:
    """The mean over disjoint pools of many shuffles; its interval says how far single pools lie apart."""
    own = np.eye(size, dtype=bool)
    pools = np.stack([*disjoint_pools(len(scores), size, SHUFFLES, POOL_SEED)])
    parts = np.array_split(pools, ceil(pools.size * size / AT_ONCE))
    stand = [places_in_pools(scores, part) for part in parts]
    found = np.concatenate([part.ranks for part in stand])
    recall = {}
    for k in POOLED_AT:
        each = np.concatenate([part.hits(k) for part in stand]).reshape(-1, size).mean(1)
        recall[k] = interval_of(float(each.mean()), each)
    return Found(
        *(direction, f"pools of {size}", found.size, size, recall, {k: k / size for k in recall}),
        median_rank=float(np.median(found)),
        mean_rank=float(found.mean()),
        chance_ranks=chance_ranks(own),
    )


def places_in_pools(scores: np.ndarray, pools: np.ndarray) -> Places:
    """Of every query in its own pool, one pool after the other, for the rows of pools `(p, size)`."""
    count, size = pools.shape
    of = scores[pools[:, :, None], pools[:, None, :]].reshape(-1, size)
    return places(of, np.tile(np.eye(size, dtype=bool), (count, 1)))


def scans_alike(features: np.ndarray, studies: Cohort, seed: int = 0) -> list[Alike]:
    """Scan -> scan by the cosine of pooled features, in both published variants; nothing without labels.

    A scan is no candidate for itself, nor is another of its examination: it would find its own reconstruction.
    """
    if not studies.labels:
        return []
    rows = first_of_each(studies)
    labels = label_matrix(studies)[rows]
    known = ~np.isnan(labels).any(1)
    rows, has = rows[known], labels[known].astype(np.float32)
    if not len(rows):
        return []
    scores = cosines(features[rows], features[rows])
    np.fill_diagonal(scores, -np.inf)
    kind = np.unique(has, axis=0, return_inverse=True)[1].reshape(-1)
    names, patients = studies.index["id"].to_numpy()[rows], patients_of(studies)[rows]
    every, abnormal = np.arange(len(rows)), np.flatnonzero(has.any(1))

    def identical(some: np.ndarray) -> np.ndarray:
        return kind[some, None] == kind

    def share_one(some: np.ndarray) -> np.ndarray:
        return has[some] @ has.T > 0

    made = [
        in_variant(name, scores, asking, alike, divide_by, names, patients, seed)
        for name, asking, alike, divide_by in (
            ("identical labels, over what could be found (SPECTRE)", every, identical, "found"),
            ("any shared label, abnormal scans, over k (RadFinder)", abnormal, share_one, "k"),
        )
    ]
    return [of for of in made if of is not None]


def in_variant(
    name: str,
    scores: np.ndarray,
    asking: np.ndarray,
    alike: Callable[[np.ndarray], np.ndarray],
    divide_by: str,
    names: np.ndarray,
    patients: np.ndarray,
    seed: int,
) -> Alike | None:
    """One of them, for the scans `asking` among themselves; `alike`: for some of them which scans are relevant, `(q,
    s)`. A query that nothing is relevant for is dropped, as all do; None where all are.

    A block of queries at a time: what is made on the way to a precision takes many times the room of the scores.
    """
    others = len(asking) - 1
    if others < 1:
        return None
    at = [k for k in AT if k <= others]
    counts, found = [], []
    for some in np.array_split(asking, ceil(len(asking) ** 2 / AT_ONCE)):
        relevant = alike(some)[:, asking] & (some[:, None] != asking)
        terms = precision_terms(scores[np.ix_(some, asking)], relevant, at[-1])
        found.append([average_of(terms, relevant, k, divide_by) for k in at])
        counts.append(relevant.sum(1))
    relevant_ones = np.concatenate(counts)
    if not relevant_ones.any():
        return None
    asked = {
        k: QueryRanks(list(names[asking]), list(patients[asking, None]), each).known()
        for k, each in zip(at, np.concatenate(found, axis=1), strict=True)
    }
    drawn = asked[at[0]].drawn(seed)
    precision = {
        k: interval_of(float(of.found.mean()), drawn @ of.found / drawn.sum(1)) for k, of in asked.items()
    }
    chance = {k: chance_of_precision(relevant_ones, k, divide_by, others) for k in at}
    return Alike(name, int((relevant_ones > 0).sum()), others, precision, chance, asked)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of every row of `(q, d)` with every row of `(c, d)`."""
    units = [of / np.maximum(np.linalg.norm(of, axis=1, keepdims=True), 1e-12) for of in (a, b)]
    return units[0] @ units[1].T

"""Ranks, recall and average precision against brute force; chance against drawing at random."""

import math

import numpy as np
import pytest

from simcrop.metrics.retrieval import (
    average_precision_at,
    chance_at,
    chance_average_precision,
    chance_of_none,
    chance_ranks,
    disjoint_pools,
    places,
    ranks,
    recall_at,
)


def world(seed: int, queries: int = 30, candidates: int = 17) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(queries, candidates)), rng.random((queries, candidates)) < 0.15


@pytest.mark.parametrize("seed", range(3))
def test_ranks_and_recall_are_those_of_a_sorted_list(seed: int) -> None:
    scores, relevant = world(seed)
    slow = []
    for row, truth in zip(scores, relevant, strict=True):
        order = sorted(range(len(row)), key=lambda c, row=row: -row[c])
        slow.append(next((place for place, c in enumerate(order, 1) if truth[c]), math.nan))
    np.testing.assert_array_equal(ranks(scores, relevant), slow)
    known = [rank for rank in slow if rank == rank]
    for k in (1, 5, 17):
        assert recall_at(places(scores, relevant), k) == pytest.approx(
            sum(rank <= k for rank in known) / len(known)
        )


def test_ties_are_worth_what_chance_makes_of_them() -> None:
    """All the same: on average over every order of the candidates."""
    relevant = np.array([[True, False, False, False, True]])
    found = ranks(np.zeros((1, 5)), relevant)
    rng = np.random.default_rng(0)
    drawn = [np.flatnonzero(relevant[0][rng.permutation(5)])[0] + 1 for _ in range(20_000)]
    assert found[0] == pytest.approx(np.mean(drawn), abs=0.02)
    assert ranks(np.array([[2.0, 1, 1, 0]]), np.array([[False, True, False, False]]))[0] == 2.5


@pytest.mark.parametrize("k", [1, 2, 3, 5, 12, 40])
def test_recall_under_ties_is_the_mean_over_their_orders(k: int) -> None:
    """Few different scores, so that nearly every query has ties, some of them of several that are relevant."""
    _, relevant = world(1)
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 4, relevant.shape).astype(float)
    found = places(scores, relevant)
    assert (found.tied[found.among > 1] > 0).any()
    drawn = [places(scores + 0.5 * rng.random(scores.shape), relevant).hits(k) for _ in range(4000)]
    np.testing.assert_allclose(found.hits(k), np.mean(drawn, axis=0), atol=0.04)


@pytest.mark.parametrize("k", [1, 5, 10, 17, 40])
def test_scores_that_are_all_the_same_find_what_chance_finds(k: int) -> None:
    _, relevant = world(1)
    for truth in (relevant, np.eye(17, dtype=bool)):
        assert recall_at(places(np.zeros(truth.shape), truth), k) == pytest.approx(chance_at(truth, k))


def test_one_of_two_that_tie_is_found_first_half_the_time() -> None:
    found = places(np.array([[1.0, 1.0, 0.0]]), np.array([[True, False, False]]))
    assert [recall_at(found, k) for k in (1, 2, 3)] == [0.5, 1, 1]


@pytest.mark.parametrize("k", [1, 5, 10, 40])
def test_chance_is_what_scores_that_say_nothing_reach(k: int) -> None:
    _, relevant = world(1)
    rng = np.random.default_rng(2)
    found = [recall_at(places(rng.normal(size=relevant.shape), relevant), k) for _ in range(600)]
    assert chance_at(relevant, k) == pytest.approx(np.mean(found), abs=0.015)


def test_chance_of_one_in_many_is_k_over_all() -> None:
    """The published .33 % and .64 % at ten, of 3,039 volumes and of 1,564 studies."""
    one = np.zeros((1, 3039), bool)
    one[0, 7] = True
    assert chance_at(one, 10) == pytest.approx(10 / 3039)
    assert chance_at(one[:, :1564], 10) == pytest.approx(0.0064, abs=5e-5)


@pytest.mark.parametrize(
    ("pool", "m", "k"), [(9, 1, 4), (9, 6, 2), (9, 6, 4), (3039, 40, 900), (3039, 900, 5)]
)
def test_chance_that_none_is_drawn_is_that_of_counting_all_draws(pool: int, m: int, k: int) -> None:
    whole = math.comb(pool - m, k) / math.comb(pool, k)
    assert chance_of_none(pool, m, k) == pytest.approx(whole, rel=1e-12)


def test_half_of_a_pool_is_half_the_chance_to_the_bit() -> None:
    """A median lies there."""
    assert chance_of_none(50_000, 1, 25_000) == chance_of_none(50_000, 25_000, 1) == 0.5


@pytest.mark.parametrize(("k", "divide_by"), [(5, "k"), (5, "found"), (50, "k"), (50, "found")])
def test_average_precision_by_a_slow_loop(k: int, divide_by: str) -> None:
    scores, relevant = world(3)
    for row, truth, found in zip(
        scores, relevant, average_precision_at(scores, relevant, k, divide_by), strict=True
    ):
        order, hits, total = sorted(range(17), key=lambda c, row=row: -row[c])[:k], 0, 0.0
        for place, c in enumerate(order, 1):
            if truth[c]:
                hits += 1
                total += hits / place
        most = len(order) if divide_by == "k" else min(int(truth.sum()), len(order))
        assert found == pytest.approx(total / most if truth.any() else math.nan, nan_ok=True)


def test_pools_are_disjoint_and_whole() -> None:
    pools = list(disjoint_pools(70, 32, 3, 42))
    assert len(pools) == 6
    assert all(len(pool) == 32 for pool in pools)
    assert len(set(pools[0]) | set(pools[1])) == 64
    assert not np.array_equal(pools[0], pools[2])


def test_no_relevant_candidate_gives_no_figure() -> None:
    nothing = np.zeros((2, 4), bool)
    assert np.isnan(ranks(np.zeros((2, 4)), nothing)).all()
    assert math.isnan(recall_at(places(np.zeros((2, 4)), nothing), 1))
    assert math.isnan(chance_at(nothing, 1))


@pytest.mark.parametrize(("k", "divide_by"), [(1, "k"), (4, "found"), (4, "k"), (9, "found")])
def test_ties_in_average_precision_are_the_mean_over_their_orders(k: int, divide_by: str) -> None:
    scores = np.array([[2.0, 1, 1, 1, 1, 0, 0, 0, -1]])
    relevant = np.array([[False, True, False, True, False, False, True, False, True]])
    jitter = scores + 1e-3 * np.random.default_rng(0).random((8000, 9))
    drawn = average_precision_at(jitter, relevant.repeat(8000, axis=0), k, divide_by)
    assert average_precision_at(scores, relevant, k, divide_by)[0] == pytest.approx(np.mean(drawn), abs=0.01)


@pytest.mark.parametrize(("k", "divide_by"), [(1, "k"), (5, "k"), (5, "found"), (17, "found")])
def test_chance_of_average_precision_and_of_ranks_is_what_scores_that_say_nothing_reach(
    k: int, divide_by: str
) -> None:
    """And all the same score is worth exactly that."""
    _, relevant = world(1)
    rng, precision, places = np.random.default_rng(2), [], []
    for _ in range(500):
        scores = rng.normal(size=relevant.shape)
        precision.append(np.nanmean(average_precision_at(scores, relevant, k, divide_by)))
        places.append(ranks(scores, relevant))
    chance = chance_average_precision(relevant, k, divide_by, relevant.shape[1])
    assert chance == pytest.approx(np.mean(precision), abs=0.01)
    same = average_precision_at(np.zeros(relevant.shape), relevant, k, divide_by)
    assert np.nanmean(same) == pytest.approx(chance)
    median, mean = chance_ranks(relevant)
    assert mean == pytest.approx(np.nanmean(places), abs=0.1)
    assert median == pytest.approx(np.nanmedian(places), abs=1)

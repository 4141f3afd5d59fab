"""Scan to scan, a block of queries at a time: the same figures, to the bit, as of all at once, in far less room."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simcrop.data.store.cohort import Cohort
from simcrop.metrics.retrieval import average_precision_at, chance_average_precision
from simcrop.tasks.retrieval import judged
from simcrop.tasks.retrieval.fits import holding
from simcrop.tasks.retrieval.judged import AT, cosines, scans_alike

LABELS = 5


def world(scans: int, rare: float = 0.2, seed: int = 0) -> tuple[np.ndarray, Cohort, np.ndarray]:
    """Features of which some tie, a cohort of two scans a patient, and labels of which some are not known."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((scans, LABELS)) < rare).astype(float)
    labels[3, 2] = np.nan
    features = rng.normal(size=(scans, 6)).astype(np.float32)
    features[20:60] = features[10]
    index = pl.DataFrame(
        {
            "id": [f"s{row:05}" for row in range(scans)],
            "patient": [f"p{row // 2}" for row in range(scans)],
            "scan": [str(row % 2) for row in range(scans)],
            **{f"label:{i}": pl.Series(labels[:, i]).fill_nan(None) for i in range(LABELS)},
        }
    )
    return features, Cohort(Path("toy"), (1.0, 1.0, 1.0), (-1000.0, 1000.0), index, index.clear()), labels


def all_at_once(features: np.ndarray, labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The obvious way: scores and what is relevant in both variants, of every scan with every other."""
    known = ~np.isnan(labels).any(1)
    labels, features = labels[known], features[known]
    scores, other = cosines(features, features), ~np.eye(len(labels), dtype=bool)
    np.fill_diagonal(scores, -np.inf)
    same = (labels[:, None] == labels[None]).all(-1) & other
    shared = (labels @ labels.T > 0) & other
    both = np.ix_(labels.any(1), labels.any(1))
    return [(scores, same), (scores[both], shared[both])]


@pytest.mark.parametrize("scans", [12, 301])
def test_figures_are_to_the_bit_those_of_all_scans_at_once(
    scans: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, cohort, labels = world(scans)
    monkeypatch.setattr(judged, "AT_ONCE", 20 * scans)
    found = scans_alike(features, cohort, seed=1)
    slow = all_at_once(features, labels)
    for one, (scores, relevant), divide_by in zip(found, slow, ("found", "k"), strict=True):
        others = len(scores) - 1
        assert (one.queries, one.candidates) == (relevant.any(1).sum(), others)
        assert list(one.asked) == [k for k in AT if k <= others]
        for k, asked in one.asked.items():
            each = average_precision_at(scores, relevant, k, divide_by)
            np.testing.assert_array_equal(asked.found, each[~np.isnan(each)])
            assert one.chance[k] == chance_average_precision(relevant, k, divide_by, others)


def test_nothing_is_alike_where_no_two_scans_share_a_label() -> None:
    features, cohort, _ = world(12, rare=0)
    assert [one.name.split(",")[0] for one in scans_alike(features, cohort)] == ["identical labels"]
    unknown = cohort.index.with_columns(pl.lit(None, pl.Float64).alias("label:0"))
    assert scans_alike(features, replace(cohort, index=unknown)) == []


def test_a_thousand_scans_take_little_more_than_their_scores() -> None:
    """4 MB of scores; with the labels of every pair side by side they took 100 MB."""
    features, cohort, _ = world(1000)
    tracemalloc.start()
    try:
        scans_alike(features, cohort)
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()


def test_which_reports_hold_a_sentence_is_asked_of_the_chosen_alone() -> None:
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(rng.random(50) < 0.1) for _ in range(7)]
    whole = np.zeros((50, 7), dtype=bool)
    for report, of in enumerate(members):
        whole[of, report] = True
    chosen = np.array([0, 3, 4, 17, 49])
    np.testing.assert_array_equal(holding(chosen, members, 50), whole[chosen])


def test_precision_of_sentences_is_that_of_all_at_once_to_the_bit_in_less_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(700, 400)).astype(np.float32).round(1)
    relevant = rng.random(scores.shape) < 0.02
    relevant[5] = False
    whole, most = measured(scores, relevant)
    monkeypatch.setattr(judged, "AT_ONCE", 30 * scores.shape[1])
    found, room = measured(scores, relevant)
    np.testing.assert_array_equal(found, whole)
    assert np.isnan(found[5])
    assert room < most / 5


def measured(scores: np.ndarray, relevant: np.ndarray) -> tuple[np.ndarray, int]:
    """The precisions, and the bytes that they took on the way."""
    tracemalloc.start()
    found = judged.precisions(scores, relevant)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return found, most

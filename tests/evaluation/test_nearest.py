"""Exact search by cosine, against a slow reading."""

import numpy as np
import pytest

from simcrop.errors import SimcropError
from simcrop.evaluation.nearest import nearest

FEATURES = np.random.default_rng(0).normal(size=(30, 7)).astype(np.float32) * np.arange(1, 31)[:, None]


@pytest.mark.parametrize("k", [1, 5, 30, 99])
def test_nearest_are_those_of_a_slow_loop(k: int) -> None:
    queries = np.random.default_rng(1).normal(size=(4, 7)).astype(np.float32)
    found = nearest(FEATURES, queries, k)
    assert found.indices.shape == found.cosines.shape == (4, min(k, 30))
    for query, rows, cosines in zip(queries, *found, strict=True):
        slow = [float(row @ query / np.linalg.norm(row) / np.linalg.norm(query)) for row in FEATURES]
        assert rows.tolist() == sorted(range(30), key=lambda i, slow=slow: -slow[i])[:k]
        np.testing.assert_allclose(cosines, [slow[row] for row in rows], atol=1e-6)
        alone = nearest(FEATURES, query, k)
        np.testing.assert_array_equal(alone.indices, rows)


def test_equal_vectors_keep_their_order_and_zeros_are_like_nothing() -> None:
    features = np.array([[0.0, 0], [1, 0], [2, 0], [-1, 0], [3, 0]])
    found = nearest(features, np.array([1.0, 0]), 5)
    assert found.indices.tolist() == [1, 2, 4, 0, 3]
    np.testing.assert_allclose(found.cosines, [1, 1, 1, 0, -1])


@pytest.mark.parametrize(
    ("query", "k", "words"),
    [
        (np.zeros(6), 1, "of one width are wanted, got (30, 7) and (6,)"),
        (np.full(7, np.nan), 1, "NaN or infinite"),
        (np.zeros(7), 0, "k wants a number above 0"),
    ],
)
def test_what_cannot_be_searched_is_refused(query: np.ndarray, k: int, words: str) -> None:
    with pytest.raises(SimcropError) as caught:
        nearest(FEATURES, query, k)
    assert words in caught.value.sentence

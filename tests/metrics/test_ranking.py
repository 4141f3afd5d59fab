"""AUROC and average precision against scikit-learn, a slow loop, and cases by hand."""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from simcrop.metrics import auroc, average_precision, label_aurocs, macro_auroc
from simcrop.metrics.ranking import completed, means_of_defined

NAN = float("nan")


def pairs_won(scores: np.ndarray, labels: np.ndarray) -> float:
    """Every scan with the finding against every one without it."""
    won = [1.0 if a > b else 0.5 if a == b else 0.0 for a in scores[labels == 1] for b in scores[labels == 0]]
    return sum(won) / len(won)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("steps", [3, 1000])
def test_agrees_with_scikit_learn_and_with_counting_pairs_ties_included(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, steps, 61) / steps
    labels = (rng.random(61) < 0.3).astype(float)
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert auroc(scores, labels) == pytest.approx(pairs_won(scores, labels), abs=1e-12)
    expected = average_precision_score(labels, scores)
    assert average_precision(scores, labels) == pytest.approx(expected, abs=1e-12)


def test_order_by_hand() -> None:
    labels = np.array([0, 0, 1, 1])
    assert auroc(np.array([1, 2, 3, 4]), labels) == 1.0
    assert auroc(np.array([4, 3, 2, 1]), labels) == 0.0
    assert auroc(np.array([7, 7, 7, 7]), labels) == 0.5
    assert average_precision(np.array([4, 3, 2, 1]), labels) == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_unknown_labels_are_left_out() -> None:
    scores, labels = np.array([0.1, 0.9, 0.4, 0.8, 0.2]), np.array([0.0, NAN, 1.0, 0.0, 1.0])
    keep = np.array([0, 2, 3, 4])
    assert auroc(scores, labels) == auroc(scores[keep], labels[keep]) == 0.5
    assert average_precision(scores, labels) == average_precision(scores[keep], labels[keep])


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], [NAN, NAN, NAN], [1, NAN, 1]])
def test_one_kind_of_scan_alone_gives_no_figure(labels: list[float]) -> None:
    scores = np.array([0.1, 0.2, 0.3])
    assert math.isnan(auroc(scores, np.array(labels)))
    assert math.isnan(average_precision(scores, np.array(labels)))


def test_score_that_is_no_number_gives_no_figure() -> None:
    assert math.isnan(auroc(np.array([0.1, NAN, 0.3]), np.array([0, 1, 1])))
    assert math.isnan(average_precision(np.array([0.1, NAN, 0.3]), np.array([0, 1, 1])))


def test_macro_leaves_absent_labels_out_and_counts_them() -> None:
    scores = np.array([[1, 1, 5], [2, 1, 6], [3, 2, 7], [4, 2, 8]])
    labels = np.array([[0, 1, 0], [0, 0, 0], [1, 1, 0], [1, 0, 0]])
    macro = macro_auroc(scores, labels)
    np.testing.assert_array_equal(macro.per_label, [1.0, 0.5, NAN])
    assert (macro.value, macro.absent) == (0.75, 1)
    np.testing.assert_array_equal(label_aurocs(scores, labels), macro.per_label)


def test_macro_of_nothing_is_no_number() -> None:
    macro = macro_auroc(np.ones((3, 2)), np.zeros((3, 2)))
    assert math.isnan(macro.value)
    assert macro.absent == 2


def test_means_of_rows_are_those_of_each_row() -> None:
    rng = np.random.default_rng(4)
    rows = rng.random((50, 9))
    rows[rng.random(rows.shape) < 0.4] = np.nan
    rows[7] = np.nan
    slow = [row[~np.isnan(row)].mean() if (~np.isnan(row)).any() else np.nan for row in rows]
    np.testing.assert_allclose(means_of_defined(rows), slow, rtol=1e-14)


def test_a_drawn_cohort_takes_what_it_lacks_from_the_next_that_has_it() -> None:
    drawn = np.array([[0.1, NAN, 0.5, NAN], [NAN, 0.6, 0.5, NAN], [0.3, NAN, 0.5, NAN], [NAN, NAN, 0.5, NAN]])
    found = completed(drawn, np.array([0.2, 0.7, NAN, 0.9]))
    expected = [[0.1, 0.6, NAN, 0.9], [0.3, 0.6, NAN, 0.9], [0.3, 0.6, NAN, 0.9], [0.1, 0.6, NAN, 0.9]]
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(drawn[0, 1])

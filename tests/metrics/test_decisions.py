"""Decisions and where to cut, against scikit-learn, with labels missing."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from simcrop.metrics import accuracy, best_threshold, confusion, drawn_decisions, f1

NAN = float("nan")


@pytest.mark.parametrize("seed", range(5))
def test_agree_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    decided, labels = rng.integers(0, 3, 37), rng.integers(0, 3, 37)
    assert accuracy(decided, labels) == pytest.approx(accuracy_score(labels, decided))
    yes, true = decided > 0, labels > 1
    assert f1(yes, true) == pytest.approx(f1_score(true, yes))


def test_unknown_labels_are_left_out() -> None:
    labels = np.array([1.0, NAN, 0.0, 1.0])
    assert accuracy(np.array([1, 0, 1, 1]), labels) == pytest.approx(2 / 3)
    assert f1(np.array([1, 1, 1, 1]), labels) == pytest.approx(2 * 2 / (3 + 2))


def test_nothing_to_judge_is_no_number() -> None:
    assert math.isnan(accuracy(np.array([1]), np.array([NAN])))
    assert math.isnan(f1(np.array([True, False]), np.array([0, 0])))


@pytest.mark.parametrize("seed", range(3))
def test_rates_of_drawn_cohorts_agree_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    yes, labels = rng.random((40, 2)) < 0.5, (rng.random((40, 2)) < 0.4).astype(float)
    labels[3, 0] = NAN
    counts = rng.integers(0, 3, (6, 40))
    found = drawn_decisions(yes, labels, counts)
    for row, times in enumerate(counts):
        for j in range(2):
            keep = ~np.isnan(labels[:, j])
            of = (labels[keep, j], yes[keep, j].astype(float))
            weight = {"sample_weight": times[keep]}
            assert found["f1"][row, j] == pytest.approx(f1_score(*of, **weight))
            assert found["sensitivity"][row, j] == pytest.approx(recall_score(*of, **weight))
            assert found["specificity"][row, j] == pytest.approx(recall_score(*of, pos_label=0, **weight))


def test_confusion_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    decided, labels = rng.integers(0, 3, 50), rng.integers(0, 3, 50).astype(float)
    np.testing.assert_array_equal(confusion(decided, labels, 4)[:3, :3], confusion_matrix(labels, decided))
    labels[:5] = NAN
    assert confusion(decided, labels, 3).sum() == 45


@pytest.mark.parametrize("rule", ["youden", "f1"])
@pytest.mark.parametrize("seed", range(4))
def test_threshold_is_the_best_of_all(rule: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = (rng.random(60) < 0.4).astype(float)
    scores = np.round(labels * 0.5 + rng.normal(size=60), 1)
    labels[:3] = NAN

    def worth(threshold: float) -> float:
        rates = drawn_decisions((scores >= threshold)[:, None], labels[:, None], np.ones((1, 60)))
        one = {name: float(value[0, 0]) for name, value in rates.items()}
        return one["f1"] if rule == "f1" else one["sensitivity"] + one["specificity"]

    best = best_threshold(scores, labels, rule)
    assert worth(best) == pytest.approx(max(worth(each) for each in scores[3:]))


def test_threshold_lies_between_two_scores() -> None:
    assert best_threshold(np.array([0.1, 0.2, 0.6, 0.9]), np.array([0.0, 0, 1, 1])) == pytest.approx(0.4)
    assert math.isnan(best_threshold(np.array([0.1, 0.2]), np.array([1.0, NAN])))

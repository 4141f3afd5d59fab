"""Accuracy and F1 against scikit-learn, with labels missing."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from simcrop.metrics import accuracy, f1

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

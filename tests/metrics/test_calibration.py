"""Brier, calibration error and calibration line against scikit-learn, a slow reading and cases by hand."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from simcrop.metrics import brier, calibration_line, expected_calibration_error

NAN = float("nan")


def stated(seed: int, scans: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log odds that are twice too large and half too high, in truth; probabilities; counts of five drawn cohorts."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(size=scans) * 1.5
    truth = (rng.random(scans) < 1 / (1 + np.exp(-(odds / 2 - 0.25)))).astype(float)
    truth[::17] = NAN
    return 1 / (1 + np.exp(-odds)), truth, rng.integers(0, 4, (5, scans)).astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_agree_with_scikit_learn_in_every_drawn_cohort(seed: int) -> None:
    p, truth, counts = stated(seed)
    keep = ~np.isnan(truth)
    odds = np.log(p / (1 - p))
    line = calibration_line(p, truth, counts)
    for row, times in enumerate(counts):
        expected = brier_score_loss(truth[keep], p[keep], sample_weight=times[keep])
        assert brier(p[:, None], truth[:, None], counts)[row, 0] == pytest.approx(expected)
        model = LogisticRegression(C=np.inf, tol=1e-10).fit(odds[keep, None], truth[keep], times[keep])
        assert line[row] == pytest.approx([model.intercept_[0], model.coef_[0, 0]], abs=1e-5)


@pytest.mark.parametrize(
    ("spread", "slope"), [(3, 1.0), (3, 0.5), (4, 0.4), (5, 0.3), (6, 0.2), (8, 0.1), (4, -0.3)]
)
def test_line_of_probabilities_that_are_far_too_extreme(spread: float, slope: float) -> None:
    """Small true slopes under widely spread log odds, also in every drawn cohort."""
    rng = np.random.default_rng(1)
    odds = np.clip(rng.normal(-2, spread, 200), -13.8, 13.8)
    truth = (rng.random(200) < 1 / (1 + np.exp(-slope * odds))).astype(float)
    counts = np.stack([np.ones(200), *rng.integers(0, 4, (20, 200))])
    line = calibration_line(1 / (1 + np.exp(-odds)), truth, counts)
    for row, times in enumerate(counts):
        model = LogisticRegression(C=np.inf, tol=1e-10).fit(odds[:, None], truth, times)
        assert line[row] == pytest.approx([model.intercept_[0], model.coef_[0, 0]], abs=1e-4)


def test_line_says_in_which_way_probabilities_are_wrong() -> None:
    p, truth, _ = stated(0, 20_000)
    intercept, slope = calibration_line(p, truth, np.ones((1, len(p))))[0]
    assert intercept == pytest.approx(-0.25, abs=0.06)
    assert slope == pytest.approx(0.5, abs=0.04)  # too extreme


def test_calibration_error_by_a_slow_loop_over_bins() -> None:
    p, truth, counts = stated(1)
    for row, times in enumerate(counts):
        far, total = 0.0, 0.0
        for low in range(10):
            inside = [i for i in range(len(p)) if low <= p[i] * 10 < low + 1 and truth[i] in (0, 1)]
            weight = sum(times[i] for i in inside)
            total += weight
            if weight:
                mean_p = sum(times[i] * p[i] for i in inside) / weight
                share = sum(times[i] * truth[i] for i in inside) / weight
                far += weight * abs(mean_p - share)
        found = expected_calibration_error(p[:, None], truth[:, None], counts)[row, 0]
        assert found == pytest.approx(far / total)


def test_by_hand() -> None:
    p, truth, counts = np.array([[1.0], [0.0], [0.5]]), np.array([[1.0], [1.0], [NAN]]), np.ones((1, 3))
    assert brier(p, truth, counts)[0, 0] == 0.5
    assert expected_calibration_error(p, truth, counts)[0, 0] == 0.5
    assert np.isnan(brier(p, np.full((3, 1), NAN), counts)).all()


@pytest.mark.parametrize(
    "truth", [[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0], [NAN, NAN, NAN, NAN]]
)
def test_no_line_where_no_line_is_the_best(truth: list[float]) -> None:
    """One kind of scan, or scans told apart without error: the slope would grow without end."""
    found = calibration_line(np.array([0.1, 0.2, 0.8, 0.9]), np.array(truth, float), np.ones((1, 4)))
    assert np.isnan(found).all()


def test_no_line_where_all_scans_have_one_probability() -> None:
    found = calibration_line(np.full(4, 0.3), np.array([0.0, 1, 0, 1]), np.ones((1, 4)))
    assert np.isnan(found).all()

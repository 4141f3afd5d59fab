"""Many drawn cohorts at once against one after the other, with ties, unknown labels and patients of several scans."""

import math

import numpy as np
import pytest

from simcrop.metrics import auroc, average_precision, drawn_counts, drawn_ranking, resampled

NAN = float("nan")


def table(seed: int, scans: int = 60, labels: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores with ties, labels of which a tenth is not known, and about two scans per patient."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((scans, labels)) < 0.3).astype(float)
    truth[rng.random(truth.shape) < 0.1] = NAN
    return rng.integers(0, 12, truth.shape) / 12, truth, rng.integers(0, scans // 2, scans).astype(str)


@pytest.mark.parametrize("seed", range(3))
def test_every_drawn_cohort_is_judged_as_if_alone(seed: int) -> None:
    scores, truth, patients = table(seed)
    counts = np.concatenate(list(drawn_counts(patients, np.random.default_rng(4), 20)))
    found = drawn_ranking(scores, truth, counts)
    for i, rows in enumerate(resampled(patients, np.random.default_rng(4), 20)):
        for j in range(3):
            expected = (
                auroc(scores[rows, j], truth[rows, j]),
                average_precision(scores[rows, j], truth[rows, j]),
            )
            got = found["auroc"][i, j], found["average_precision"][i, j]
            assert got == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_few_cohorts_at_a_time_are_the_same_cohorts(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, patients = table(0)
    whole = list(drawn_counts(patients, np.random.default_rng(1), 25))
    monkeypatch.setattr("simcrop.metrics.bootstrap.AT_ONCE", 7 * len(patients))
    parts = list(drawn_counts(patients, np.random.default_rng(1), 25))
    assert (len(whole), [len(part) for part in parts]) == (1, [7, 7, 7, 4])
    np.testing.assert_array_equal(np.concatenate(parts), whole[0])
    assert (whole[0].sum(1) != len(patients)).any()  # patients are drawn, not scans


@pytest.mark.parametrize("truth", [[0, 0, 0], [1, NAN, 1], [NAN, NAN, NAN]])
def test_one_kind_of_scan_alone_gives_no_figure(truth: list[float]) -> None:
    found = drawn_ranking(np.ones((3, 1)), np.array([truth]).T, np.ones((2, 3)))
    assert np.isnan(found["auroc"]).all()
    assert np.isnan(found["average_precision"]).all()


def test_a_cohort_that_drew_no_positive_gives_no_figure_and_the_others_do() -> None:
    counts = np.array([[1, 1, 1], [0, 2, 1], [3, 0, 0]])
    found = drawn_ranking(np.array([[3.0, 1.0, 2.0]]).T, np.array([[1.0, 0.0, 0.0]]).T, counts)
    assert found["auroc"][0, 0] == found["average_precision"][0, 0] == 1
    assert all(math.isnan(found[name][row, 0]) for name in found for row in (1, 2))


def test_score_that_is_no_number_gives_no_figure() -> None:
    assert np.isnan(
        drawn_ranking(np.array([[0.1, NAN]]).T, np.array([[0.0, 1.0]]).T, np.ones((1, 2)))["auroc"]
    ).all()

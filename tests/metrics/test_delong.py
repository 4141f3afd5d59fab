"""DeLong's test against its formula written slowly, and against what repeated samples do."""

import math

import numpy as np
import pytest

from simcrop.metrics import auroc, delong, holm

NAN = float("nan")


def slow_covariance(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The structural components of 1988, pair by pair."""

    def won(x: float, y: float) -> float:
        return 1.0 if x > y else 0.5 if x == y else 0.0

    above, below = [], []
    for row in scores:
        cases, controls = row[labels == 1], row[labels == 0]
        above.append([sum(won(x, y) for y in controls) / len(controls) for x in cases])
        below.append([sum(won(x, y) for x in cases) / len(cases) for y in controls])
    return np.cov(above) / len(above[0]) + np.cov(below) / len(below[0])


def two_methods(
    rng: np.random.Generator, patients: int, each: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two methods of equal worth; the scans of a patient share label and noise."""
    truth = np.repeat((rng.random(patients) < 0.4).astype(float), each)
    shared = rng.normal(size=(2, patients)).repeat(each, 1) + 0.3 * rng.normal(size=(2, patients * each))
    return truth + shared, truth, np.arange(patients).repeat(each)


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_formula_written_slowly_ties_and_unknown_labels_included(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = (rng.random(50) < 0.4).astype(float)
    scores = np.round(labels + rng.normal(size=(3, 50)), 1)
    labels[:4] = NAN
    found = delong(scores, labels)
    assert found.values == pytest.approx([auroc(row, labels) for row in scores], abs=1e-12)
    expected = slow_covariance(scores[:, 4:], labels[4:])
    np.testing.assert_allclose(found.covariance, expected, atol=1e-12)
    names = rng.permutation(50).astype(str)
    np.testing.assert_allclose(delong(scores, labels, names).covariance, expected, atol=1e-12)
    z = (found.values[0] - found.values[1]) / math.sqrt(expected[0, 0] + expected[1, 1] - 2 * expected[0, 1])
    assert found.p_value(0, 1) == found.p_value(1, 0) == pytest.approx(2 * (1 - normal_cdf(abs(z))))


def normal_cdf(z: float) -> float:
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def test_scans_of_one_patient_are_no_independent_evidence() -> None:
    """Over many samples of equal methods: with patients about 5 % alarms, and the variance that the samples show."""
    rng = np.random.default_rng(0)
    samples = [two_methods(rng, 60, 4) for _ in range(300)]
    aware = [delong(*sample) for sample in samples]
    blind = [delong(scores, truth) for scores, truth, _ in samples]
    alarms = np.mean([found.p_value(0, 1) < 0.05 for found in aware])
    false_alarms = np.mean([found.p_value(0, 1) < 0.05 for found in blind])
    assert 0.02 < alarms < 0.09
    assert false_alarms > 0.2
    truly = np.var([found.values[0] for found in aware])
    assert np.mean([found.covariance[0, 0] for found in aware]) == pytest.approx(truly, rel=0.2)


def test_methods_that_rank_alike_do_not_differ() -> None:
    labels = np.array([0.0, 1, 0, 1, 1, 0])
    scores = np.array([0.1, 0.9, 0.4, 0.3, 0.8, 0.2])
    assert delong(np.stack([scores, scores**3]), labels).p_value(0, 1) == 1.0


@pytest.mark.parametrize("other", [[0.0, 0, 0, 0], [-4.0, -3, -2, -1]])
def test_a_difference_without_variance_cannot_be_tested(other: list[float]) -> None:
    """One method tells four scans apart without error, the other knows nothing, or has all upside down."""
    found = delong(np.array([[4.0, 3, 2, 1], other]), np.array([1.0, 1, 0, 0]), np.arange(4))
    assert found.values[0] - found.values[1] >= 0.5
    assert math.isnan(found.p_value(0, 1))


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, NAN, 0], [1, 0, 0]])
def test_too_few_scans_of_a_kind_give_no_test(labels: list[float]) -> None:
    scores = np.array([[0.1, 0.5, 0.3], [0.5, 0.2, 0.1]])
    assert math.isnan(delong(scores, np.array(labels, float)).p_value(0, 1))


def test_holm_by_hand() -> None:
    """The smallest of three counts three times, the next twice, and none less than one before it."""
    np.testing.assert_allclose(holm([0.01, NAN, 0.04, 0.03]), [0.03, NAN, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])
    assert holm([]).shape == (0,)

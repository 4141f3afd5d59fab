"""Methods side by side: paired, corrected, and no medal for chance."""

import numpy as np
import pytest

from simcrop.evaluation.comparison import compare_methods
from simcrop.metrics import auroc, delong, difference, macro_auroc

NAN = float("nan")


def three_methods(seed: int = 0, scans: int = 300) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """One that is better on the first label, one that is it by a hair, one with two repetitions; the last label is
    bare.
    """
    rng = np.random.default_rng(seed)
    truth = (rng.random((scans, 3)) < 0.4).astype(float)
    truth[:, 2] = 0
    plain = truth + 1.5 * rng.normal(size=(scans, 3))
    better = plain + [1.5, 0, 0] * truth + 0.1 * rng.normal(size=(scans, 3))
    hair = plain + 0.01 * rng.normal(size=(scans, 3))
    twice = np.stack([plain, hair])
    return [better[None], hair[None], twice], truth, np.arange(scans) // 3


def test_one_method_alone_has_no_pairs() -> None:
    scores, truth, patients = three_methods()
    alone = compare_methods(scores[:1], truth, patients, seed=3, draws=20)
    both = compare_methods(scores[:2], truth, patients, seed=3, draws=20)
    assert alone.macro == both.macro[:1]
    assert (alone.differences, alone.p_values) == ({}, {})


def test_differences_are_paired_and_averaged_over_what_all_can_judge() -> None:
    scores, truth, patients = three_methods()
    found = compare_methods(scores, truth, patients, seed=3, draws=100)
    assert list(found.judged) == [True, True, False]
    first, second = scores[0][0], scores[1][0]
    slow = difference(
        lambda rows: macro_auroc(first[rows], truth[rows]).value,
        lambda rows: macro_auroc(second[rows], truth[rows]).value,
        patients,
        np.random.default_rng((3, 1)),
        100,
    )
    pair = found.differences[0, 1]
    assert (pair.value, pair.low, pair.high) == pytest.approx((slow.value, slow.low, slow.high))
    assert found.aurocs[0].values[2] == pytest.approx(
        np.mean([auroc(s[:, 0], truth[:, 0]) for s in scores[2]])
    )


def test_only_what_differs_beyond_chance_is_marked() -> None:
    scores, truth, patients = three_methods()
    found = compare_methods(scores, truth, patients, seed=3, draws=200)
    assert found.marks() == {0: "best"}  # the other two differ by a hair
    assert found.marks(0) == {0: "best"}
    assert found.marks(1) == {}
    assert found.marks(2) == {}
    assert found.apart(1, 0, 0)
    assert not found.apart(1, 2)


def test_p_values_are_corrected_over_labels_and_pairs() -> None:
    scores, truth, patients = three_methods()
    found = compare_methods(scores, truth, patients, seed=3, draws=5)
    raw = delong([s[:, :, 0] for s in scores], truth[:, 0], patients).p_value(0, 1)
    assert raw < found.p_values[0, 1][0] <= 6 * raw
    assert np.isnan(found.p_values[0, 1][2])


def test_means_of_methods_are_of_the_same_labels_in_every_drawn_cohort() -> None:
    """A label of two positives that one method never mistakes and one always does, beside one that both know alike."""
    scores, truth, patients = three_methods()
    truth[:, 0] = np.arange(len(truth)) % 150 == 0
    better, worse = scores[0].copy(), scores[0].copy()
    better[:, truth[:, 0] == 1, 0], worse[:, truth[:, 0] == 1, 0] = 99, -99
    found = compare_methods([better, worse], truth, patients, seed=3, draws=200)
    assert [of.value for of in found.macro] == pytest.approx(found.macro[1].value + np.array([0.5, 0]))
    difference = found.differences[0, 1]
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.5, 0.5, 0.5))


def test_method_that_misses_a_label_takes_it_from_all() -> None:
    scores, truth, patients = three_methods()
    scores[1][:, :, 0] = NAN
    found = compare_methods(scores, truth, patients, seed=3, draws=5)
    assert list(found.judged) == [False, True, False]
    assert found.macro[0].value == pytest.approx(auroc(scores[0][0, :, 1], truth[:, 1]))

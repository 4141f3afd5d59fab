"""The probe on made-up features: it finds what is there, by patient, and never looks at the test scans.

Axes: s scan (60 of 30 patients), d 7 features, l 3 labels.
"""

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from simcrop.errors import SimcropError
from simcrop.evaluation.probe import (
    STRENGTHS,
    compare_probes,
    evaluate_probe,
    fit_at,
    fit_probe,
    patient_folds,
)
from simcrop.metrics import auroc, macro_auroc

NAN = float("nan")
NAMES = ("signal", "noise", "absent")


def world(seed: int, scans: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and patients: the first label lies along one direction, the second nowhere."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((scans, 3))
    labels[:, :2] = rng.random((scans, 2)) < 0.4
    features = rng.normal(size=(scans, 7)) * [1, 10, 0.1, 1, 1, 1, 1] + 5
    features[:, 1] += 25 * labels[:, 0]
    return features.astype(np.float32), labels, np.array([f"p{i // 2}" for i in range(scans)])


def test_finds_a_label_that_lies_along_a_direction_and_no_other() -> None:
    probe = fit_probe(*world(0), seed=1)
    features, labels, patients = world(1)
    result = evaluate_probe(probe, features, labels, patients, NAMES, seed=2)
    signal, noise, absent = result.labels
    assert signal.auroc.value > 0.9
    assert signal.auroc.low > 0.75
    assert 0.3 < noise.auroc.value < 0.7
    assert math.isnan(absent.auroc.value)
    assert result.absent == 1
    assert result.macro.value == pytest.approx((signal.auroc.value + noise.auroc.value) / 2)
    assert result.macro.low < result.macro.value < result.macro.high
    assert (signal.positives, signal.negatives) == (int(labels[:, 0].sum()), int((1 - labels[:, 0]).sum()))
    assert result.scores.shape == (60, 3)
    assert signal.auroc.value == pytest.approx(roc_auc_score(labels[:, 0], result.scores[:, 0]))


def test_is_a_logistic_regression_on_standardised_features() -> None:
    features, labels, _ = world(0)
    scaler = StandardScaler().fit(features)
    head = LogisticRegression(C=0.1, max_iter=5000).fit(scaler.transform(features), labels[:, 0])
    expected = head.predict_proba(scaler.transform(features))[:, 1]
    np.testing.assert_allclose(fit_at(features, labels, 0.1).scores(features)[:, 0], expected, atol=1e-4)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_all_labels_at_once_are_what_each_is_alone(strength: float) -> None:
    rng = np.random.default_rng(5)
    labels = (rng.random((90, 4)) < [0.5, 0.1, 0.3, 0.4]).astype(float)
    features = rng.normal(size=(90, 6)) @ rng.normal(size=(6, 11)) + labels @ rng.normal(size=(4, 11))
    features[:, 4] = 2.0  # says nothing
    labels[:20, 2] = NAN
    found = fit_at(features, labels, strength)
    standard = (features - found.mean) / found.scale
    for i in range(4):
        known = ~np.isnan(labels[:, i])
        head = LogisticRegression(C=strength, max_iter=5000, tol=1e-8).fit(standard[known], labels[known, i])
        np.testing.assert_allclose(found.weights[i], head.coef_[0], atol=1e-4)
        np.testing.assert_allclose(found.bias[i], head.intercept_[0], atol=1e-4)


def test_label_that_never_varies_in_training_is_not_judged() -> None:
    features, labels, patients = world(0)
    labels[:, 1] = 1
    probe = fit_probe(features, labels, patients, seed=1)
    test_labels = world(1)[1]
    result = evaluate_probe(probe, world(1)[0], test_labels, patients, NAMES, seed=2)
    assert result.absent == 2
    assert np.isnan(result.scores[:, 1:]).all()
    assert result.macro.value == result.labels[0].auroc.value


def test_unknown_labels_take_no_part() -> None:
    features, labels, patients = world(0)
    unknown = labels.copy()
    unknown[:9, 0] = NAN
    fitted = fit_at(features, unknown, 0.01)
    wild = features.copy()
    wild[:9] = wild[:9][::-1]  # the same cloud, so the same standardisation, in another order
    np.testing.assert_allclose(fit_at(wild, unknown, 0.01).weights[0], fitted.weights[0], rtol=1e-3)
    assert not np.allclose(fit_at(features, labels, 0.01).weights[0], fitted.weights[0], rtol=1e-3)
    result = evaluate_probe(fitted, features, unknown, patients, NAMES, seed=1)
    assert result.labels[0].unknown == 9


def test_penalty_is_chosen_on_held_out_patients_of_the_training_scans() -> None:
    rng = np.random.default_rng(3)
    features, labels = rng.normal(size=(60, 40)), (rng.random((60, 1)) < 0.5).astype(float)
    patients = np.array([f"p{i // 2}" for i in range(60)])
    # Every patient twice with the same label: whoever splits by scan would reward learning by heart.
    features[1::2], labels[1::2] = features[::2] + 0.01 * rng.normal(size=(30, 40)), labels[::2]
    probe = fit_probe(features, labels, patients, seed=0)
    assert probe.held_out_auroc is not None
    assert probe.held_out_auroc < 0.75
    by_scan = fit_probe(features, labels, np.array([str(i) for i in range(60)]), seed=0)
    assert by_scan.held_out_auroc is not None
    assert by_scan.held_out_auroc > 0.85
    assert probe.strength in STRENGTHS


def test_too_few_patients_to_choose_by_take_the_fallback() -> None:
    features, labels, _ = world(0, scans=4)
    probe = fit_probe(features, labels, ["only"] * 4, seed=0)
    assert (probe.strength, probe.held_out_auroc) == (1e-2, None)


def test_same_seed_gives_the_same_probe() -> None:
    once, again = fit_probe(*world(0), seed=1), fit_probe(*world(0), seed=1)
    np.testing.assert_array_equal(once.weights, again.weights)
    assert once.strength == again.strength


def test_folds_hold_whole_patients_and_are_about_equal() -> None:
    patients = np.array([f"p{i // 3}" for i in range(33)])
    folds = patient_folds(patients, 3, seed=4)
    for name in np.unique(patients):
        assert len(np.unique(folds[patients == name])) == 1
    assert sorted(np.bincount(folds)) == [9, 12, 12]
    assert patient_folds(np.array(["a", "b"]), 3, seed=4).max() == 1


def test_features_that_are_no_numbers_are_refused() -> None:
    features, labels, patients = world(0)
    features[3, 2] = NAN
    with pytest.raises(SimcropError, match="no numbers"):
        fit_probe(features, labels, patients, seed=0)


def test_two_methods_are_compared_on_the_labels_that_both_know() -> None:
    features, labels, patients = world(1)
    good = fit_probe(*world(0), seed=1).scores(features)
    blind = good.copy()
    blind[:, 0] = np.random.default_rng(0).random(60)
    found = compare_probes(good, blind, labels, patients, seed=0)
    assert found.value == pytest.approx(macro_auroc(good, labels).value - macro_auroc(blind, labels).value)
    assert 0 < found.low < found.value < found.high
    blind[:, 1] = NAN
    on_signal = compare_probes(good, blind, labels, patients, seed=0)
    assert on_signal.value == pytest.approx(
        auroc(good[:, 0], labels[:, 0]) - auroc(blind[:, 0], labels[:, 0])
    )

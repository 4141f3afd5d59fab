"""The probe on made-up features: it finds what is there, by patient, and never looks at the test scans.

Axes: s scan (60 of 30 patients), d 7 features, l 3 labels.
"""

import math
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from threadpoolctl import ThreadpoolController

from simcrop.errors import SimcropError
from simcrop.evaluation.heads import logistic
from simcrop.evaluation.heads.probe import STRENGTHS, choose, fit_at, fit_probe, patient_folds
from simcrop.evaluation.heads.views import VIEWS
from simcrop.metrics import best_threshold

NAN = float("nan")


def world(seed: int, scans: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and patients: the first label lies along one direction, the second nowhere."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((scans, 3))
    labels[:, :2] = rng.random((scans, 2)) < 0.4
    features = rng.normal(size=(scans, 7)) * [1, 10, 0.1, 1, 1, 1, 1] + 5
    features[:, 1] += 25 * labels[:, 0]
    return features.astype(np.float32), labels, np.array([f"p{i // 2}" for i in range(scans)])


def test_scipys_threads_sleep_while_a_probe_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or they would keep those of torch from the cores: fifteen times as long where nothing says OMP_NUM_THREADS=1."""
    seen: list[int] = []
    minimize, blas = logistic.minimize, ThreadpoolController().select(internal_api="openblas")

    def threads() -> list[int]:
        return [of["num_threads"] for of in blas.info()]

    def solve(*args: Any, **options: Any) -> Any:
        seen.extend(threads())
        return minimize(*args, **options)

    monkeypatch.setattr(logistic, "minimize", solve)
    with blas.limit(limits=2):
        before = threads()
        fit_probe(*world(0), seed=1)
        assert threads() == before == [2] * len(before)
    assert set(seen) == {1}


def test_finds_a_label_that_lies_along_a_direction_and_no_other() -> None:
    probe = fit_probe(*world(0), seed=1)
    features, labels, _ = world(1)
    scores = probe.scores(features)
    assert scores.shape == (60, 3)
    assert roc_auc_score(labels[:, 0], scores[:, 0]) > 0.9
    assert 0.3 < roc_auc_score(labels[:, 1], scores[:, 1]) < 0.7
    assert np.isnan(scores[:, 2]).all()


@pytest.mark.parametrize("more", [0, 90])
def test_is_a_logistic_regression_on_standardised_features(more: int) -> None:
    """With fewer features than scans, or more."""
    features, labels, _ = world(0)
    features = np.concatenate([features, np.random.default_rng(2).normal(size=(60, more))], axis=1)
    scaler = StandardScaler().fit(features)
    head = LogisticRegression(C=0.1, max_iter=5000, tol=1e-8).fit(scaler.transform(features), labels[:, 0])
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
    standard = found.scaling(features)
    for i in range(4):
        known = ~np.isnan(labels[:, i])
        head = LogisticRegression(C=strength, max_iter=5000, tol=1e-8).fit(standard[known], labels[known, i])
        np.testing.assert_allclose(found.weights[i], head.coef_[0], atol=1e-4)
        np.testing.assert_allclose(found.bias[i], head.intercept_[0], atol=1e-4)


def test_unknown_labels_take_no_part() -> None:
    features, labels, _ = world(0)
    unknown = labels.copy()
    unknown[:9, 0] = NAN
    fitted = fit_at(features, unknown, 0.01)
    wild = features.copy()
    wild[:9] = wild[:9][::-1]  # the same cloud, so the same standardisation, in another order
    np.testing.assert_allclose(fit_at(wild, unknown, 0.01).weights[0], fitted.weights[0], rtol=1e-3)
    assert not np.allclose(fit_at(features, labels, 0.01).weights[0], fitted.weights[0], rtol=1e-3)


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


@pytest.mark.parametrize("strength", [1e-3, 1.0])
def test_raw_view_keeps_what_is_large_large(strength: float) -> None:
    """As scikit-learn's on features that were divided by one number."""
    features, labels, _ = world(0)
    number = np.sqrt(features.astype(float).var(0).mean())
    scaled = (features - features.mean(0, dtype=float)) / number
    head = LogisticRegression(C=strength, max_iter=5000, tol=1e-8).fit(scaled, labels[:, 0])
    found = fit_at(features, labels, strength, "raw").scores(features)[:, 0]
    np.testing.assert_allclose(found, head.predict_proba(scaled)[:, 1], atol=1e-4)


def test_l2_view_sees_directions_and_not_lengths() -> None:
    features, labels, _ = world(0)
    times = np.random.default_rng(1).uniform(0.1, 9, (60, 1))
    fitted = fit_at(features, labels, 0.1, "l2")
    np.testing.assert_allclose(
        fitted.scores(features * times), fitted.scores(features), atol=1e-6, equal_nan=True
    )
    assert np.isfinite(fitted.scores(np.zeros((1, 7)))[0, 0])


def test_view_is_chosen_on_held_out_training_patients() -> None:
    """Scans that differ by their direction alone, under lengths that say nothing: l2 sees it best, and is taken."""
    rng = np.random.default_rng(0)
    labels = (rng.random((240, 1)) < 0.5).astype(float)
    features = rng.normal(size=(240, 20)) + labels * 1.2 + 1
    features *= np.exp(3 * rng.normal(size=(240, 1)))
    patients = np.array([f"p{i // 2}" for i in range(240)])
    chosen = fit_probe(features, labels, patients, seed=0, views=VIEWS)
    assert chosen.scaling.view == "l2"
    alone = {
        view: fit_probe(features, labels, patients, seed=0, views=(view,)).held_out_auroc for view in VIEWS
    }
    assert chosen.held_out_auroc == max(alone.values())


def test_threshold_comes_from_scans_that_were_held_out() -> None:
    """Learned by heart, training scans are told apart at any threshold; those held out are not."""
    features, labels, patients = world(0)
    probe = fit_probe(features, labels, patients, seed=1)
    choice = choose(features, labels, patients, 1, STRENGTHS, ("zscore",))
    assert not np.isnan(choice.held_out[:, :2]).any()
    assert probe.thresholds[0] == best_threshold(choice.held_out[:, 0], labels[:, 0])
    assert math.isnan(probe.thresholds[2])


def test_of_many_scans_one_fold_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels, patients = world(0)
    monkeypatch.setattr("simcrop.evaluation.heads.probe.MANY", 50)
    held_out = choose(features, labels, patients, 1, STRENGTHS, ("zscore",)).held_out[:, 0]
    assert 18 <= (~np.isnan(held_out)).sum() <= 22

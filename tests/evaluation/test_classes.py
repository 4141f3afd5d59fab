"""Labels that exclude one another: figures against scikit-learn, and tables that say otherwise.

Axes: k repetition, s scan, c class.
"""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    recall_score,
    roc_auc_score,
)
from sklearn.preprocessing import StandardScaler

from simcrop.errors import SimcropError
from simcrop.evaluation.heads.classes import judge_classes, named, one_of, probabilities_of
from simcrop.evaluation.heads.probe import STRENGTHS, fit_at, fit_probe
from simcrop.evaluation.judgement import judge
from simcrop.metrics import resampled

NAN, NAMES = float("nan"), ("Normal", "CP", "NCP")


def world(seed: int, scans: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of one repetition, classes and patients."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, scans)
    logits = rng.normal(size=(scans, 3)) + 1.2 * np.eye(3)[classes]
    return probabilities_of(logits, exclusive=True), classes, np.arange(scans) // 2


@pytest.mark.parametrize("seed", range(3))
def test_figures_agree_with_scikit_learn(seed: int) -> None:
    scores, classes, patients = world(seed)
    truth, decided = np.eye(3)[classes], scores.argmax(1)
    found = judge_classes(scores[None], truth, patients, NAMES, seed, draws=20)
    assert found.accuracy.value == pytest.approx(accuracy_score(classes, decided))
    assert found.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(classes, decided))
    np.testing.assert_allclose(found.confusion, confusion_matrix(classes, decided))
    shares = [[cell.value for cell in row] for row in found.shares]
    np.testing.assert_allclose(shares, confusion_matrix(classes, decided, normalize="true"))
    thresholds = np.full((1, 3), NAN)
    judged = judge(scores[None], truth, thresholds, patients, NAMES, seed, 20, decided=named(scores[None]))
    aurocs = roc_auc_score(classes, scores, multi_class="ovr", average=None)
    np.testing.assert_allclose([label.figures["auroc"].value for label in judged.labels], aurocs)
    assert judged.auroc.value == pytest.approx(np.mean(aurocs))
    for measure, of in (("f1", f1_score), ("sensitivity", recall_score)):
        values = [label.figures[measure].value for label in judged.labels]
        np.testing.assert_allclose(values, of(classes, decided, average=None))


def test_intervals_are_those_of_cohorts_drawn_by_patient() -> None:
    """Each figure of each drawn cohort, computed again from its rows."""
    scores, classes, patients = world(0)
    found = judge_classes(scores[None], np.eye(3)[classes], patients, NAMES, 5, draws=60)
    decided, accuracies, cells = scores.argmax(1), [], []
    for rows in resampled(patients, np.random.default_rng((5, 1)), 60):
        accuracies.append(accuracy_score(classes[rows], decided[rows]))
        cells.append(confusion_matrix(classes[rows], decided[rows], normalize="true", labels=range(3))[1, 2])
    np.testing.assert_allclose(
        [found.accuracy.low, found.accuracy.high], np.quantile(accuracies, [0.025, 0.975])
    )
    cell = found.shares[1][2]
    np.testing.assert_allclose([cell.low, cell.high], np.quantile(cells, [0.025, 0.975]))


def test_repetitions_are_averaged_and_unknown_scans_count_nowhere() -> None:
    (first, classes, patients), (second, _, _) = world(0), world(1)
    truth = np.eye(3)[classes]
    truth[7:11] = NAN
    known = ~np.isnan(truth[:, 0])
    both = judge_classes(np.stack([first, second]), truth, patients, NAMES, 0, draws=5)
    alone = [confusion_matrix(classes[known], of.argmax(1)[known]) for of in (first, second)]
    np.testing.assert_allclose(both.confusion, np.mean(alone, axis=0))
    assert both.accuracy.value == pytest.approx(np.mean([np.trace(of) / known.sum() for of in alone]))


def test_probabilities_add_up_to_one_over_the_classes_that_were_learned() -> None:
    logits = np.array([[1000.0, 0.0, -1000.0], [1.0, 2.0, 3.0]])
    np.testing.assert_allclose(probabilities_of(logits, exclusive=True).sum(1), 1)
    without = probabilities_of(np.array([[1.0, NAN, 3.0]]), exclusive=True)
    assert np.isnan(without[0, 1])
    assert np.nansum(without) == pytest.approx(1)
    assert named(without)[0].tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1, 0, 0], [0, 0, 1]], [[1, 0, 0], [0, 0, 1]]),
        ([[1, NAN, NAN], [0, 1, NAN]], [[1, 0, 0], [0, 1, 0]]),  # one that holds is enough
        ([[NAN, NAN, NAN], [0, NAN, 0]], [[NAN] * 3, [NAN] * 3]),
    ],
)
def test_a_row_says_its_class_or_nothing(rows: list[list[float]], expected: list[list[float]]) -> None:
    np.testing.assert_array_equal(one_of(np.array(rows, float), "here"), expected)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([[1, 1, 0], [0, 0, 1]], "1 of 2 scans have several and 0 have none"),
        ([[0, 0, 0], [1, 0, 1]], "1 of 2 scans have several and 1 have none"),
        ([[1], [0]], "must be two or more"),
    ],
)
def test_labels_that_do_not_exclude_one_another_are_refused(rows: list[list[int]], sentence: str) -> None:
    with pytest.raises(SimcropError, match=sentence):
        one_of(np.array(rows, float), "here")


@pytest.mark.parametrize("strength", [STRENGTHS[1], STRENGTHS[-1]])
def test_logistic_head_of_classes_is_the_multinomial_regression(strength: float) -> None:
    rng = np.random.default_rng(2)
    classes = rng.integers(0, 3, 90)
    features = rng.normal(size=(90, 7)) * [1, 10, 0.1, 1, 1, 1, 1] + np.eye(7)[classes] + 5
    standard = StandardScaler().fit_transform(features)
    head = LogisticRegression(C=strength, max_iter=10000, tol=1e-9).fit(standard, classes)
    truth = np.eye(3)[classes]
    found = fit_at(features, truth, strength, exclusive=True).scores(features)
    np.testing.assert_allclose(found, head.predict_proba(standard), atol=1e-4)
    with_unknown = np.concatenate([truth, np.full((5, 3), NAN)])
    more = np.concatenate([features, features[:5]])
    chosen = fit_probe(more, with_unknown, np.arange(95), 0, exclusive=True)
    assert chosen.exclusive
    assert np.isnan(chosen.thresholds).all()
    assert chosen.held_out_auroc is not None


def test_penalty_of_classes_is_one_under_which_they_are_named() -> None:
    """With every penalty the order is perfect; under the strongest one the most frequent class is named always."""
    rng = np.random.default_rng(3)
    classes = rng.choice(3, 120, p=[0.5, 0.3, 0.2])
    features = np.eye(3)[classes] * 6 + rng.normal(size=(120, 3)) * 0.3
    chosen = fit_probe(features, np.eye(3)[classes], np.arange(120), 0, exclusive=True)
    assert (chosen.scores(features).argmax(1) == classes).all()
    assert chosen.held_out_auroc == pytest.approx(1, abs=1e-3)
    strongest = fit_at(features, np.eye(3)[classes], STRENGTHS[0], exclusive=True).scores(features)
    assert (strongest.argmax(1) == 0).all()

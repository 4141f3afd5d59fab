"""Every measure of a table, its intervals, who is left out, and the groups of a column."""

import math

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, recall_score, roc_auc_score

from simcrop.evaluation.judgement import MEASURES, judge
from simcrop.evaluation.subgroups import NOT_STATED, groups_of, subgroups
from simcrop.metrics import auroc, interval
from simcrop.tasks.probing.figures import block
from simcrop.tasks.probing.page import fewer_words, macro_words, undecided_words
from simcrop.tasks.sharing.card_results import figures_of

NAN = float("nan")
NAMES = ("signal", "noise", "absent", "unlearned")


def world(seed: int, scans: int = 90) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of two repetitions, truth with unknown ones, thresholds, patients of two scans each."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((scans, 4)) < 0.4).astype(float)
    truth[:, 2] = 0
    truth[:7, 0] = NAN
    scores = 1 / (1 + np.exp(-(rng.normal(size=(2, scans, 4)) + 2 * np.nan_to_num(truth) * [1, 0, 0, 1])))
    scores[:, :, 3] = NAN
    return scores, truth, np.array([[0.6, 0.5, 0.5, NAN], [0.7, 0.5, 0.5, NAN]]), np.arange(scans) // 2


def test_every_figure_is_the_mean_over_repetitions_of_what_scikit_learn_says() -> None:
    scores, truth, thresholds, patients = world(0)
    found = judge(scores, truth, thresholds, patients, NAMES, seed=1, draws=50).labels[0]
    known, yes = truth[7:, 0], scores[:, 7:, 0] >= thresholds[:, :1]
    expected = {
        "auroc": [roc_auc_score(known, p) for p in scores[:, 7:, 0]],
        "average_precision": [average_precision_score(known, p) for p in scores[:, 7:, 0]],
        "f1": [f1_score(known, each) for each in yes],
        "sensitivity": [recall_score(known, each) for each in yes],
        "specificity": [recall_score(known, each, pos_label=0) for each in yes],
        "brier": [brier_score_loss(known, p) for p in scores[:, 7:, 0]],
    }
    for name, values in expected.items():
        assert found.figures[name].value == pytest.approx(np.mean(values)), name
    assert found.threshold == pytest.approx(0.65)
    assert (found.positives, found.negatives, found.unknown) == (int(known.sum()), int((1 - known).sum()), 7)
    assert set(found.figures) == set(MEASURES)
    for name, of in found.figures.items():
        assert of.low < of.value < of.high, name


def test_means_say_of_how_many_labels_they_are() -> None:
    """Of `noise` nothing was decided: its AUROC counts, its F1 does not."""
    scores, truth, thresholds, patients = world(0)
    thresholds[1, 1] = NAN
    found = judge(scores, truth, thresholds, patients, NAMES, seed=1, draws=20)
    assert found.undecided == ("noise",)
    assert {name: found.over(name) for name in ("auroc", "f1", "specificity", "brier")} == {
        "auroc": 2,
        "f1": 1,
        "specificity": 1,
        "brier": 2,
    }
    written = block(found)
    assert (written["macro_auroc_labels"], written["macro_f1_labels"]) == (2, 1)
    assert written["labels_without_threshold"] == ["noise"]
    assert written["labels"]["noise"]["calibration_slope_draws"] == 20
    assert macro_words(found, "f1").endswith("(1)")
    assert not macro_words(found, "brier").endswith(")")
    assert "noise" in undecided_words(found)
    assert "fewer than the AUROC's" in fewer_words([found])
    on_card = [figure.name for figure in figures_of("probe", {**written, "labels": {}})]
    assert len(on_card) == len(MEASURES)


def test_labels_without_figure_are_named_and_left_out_of_the_mean() -> None:
    found = judge(*world(0), NAMES, seed=1, draws=20)
    assert found.absent == ("absent", "unlearned")
    first, second = found.labels[:2]
    for name in MEASURES:
        assert found.macro[name].value == pytest.approx(
            (first.figures[name].value + second.figures[name].value) / 2
        )
    assert all(math.isnan(of.value) for label in found.labels[2:] for of in label.figures.values())


def test_interval_is_that_of_the_bootstrap_by_patient() -> None:
    scores, truth, thresholds, patients = world(0)
    found = (
        judge(scores[:1], truth, thresholds[:1], patients, NAMES, seed=5, draws=200)
        .labels[1]
        .figures["auroc"]
    )
    slow = interval(
        lambda rows: auroc(scores[0, rows, 1], truth[rows, 1]), patients, np.random.default_rng((5, 1)), 200
    )
    assert (found.value, found.low, found.high) == pytest.approx((slow.value, slow.low, slow.high))


def rare_world() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two labels like chance, and between them one of two positives that nobody mistakes."""
    rng = np.random.default_rng(0)
    truth, scores = (rng.random((300, 3)) < 0.4).astype(float), rng.random((2, 300, 3))
    truth[:, 1] = np.arange(300) < 2
    scores[:, :, 1] = (scores[:, :, 1] + 2 * truth[:, 1]) / 3
    return scores, truth, np.arange(300)


def test_a_mean_over_labels_is_of_the_same_labels_in_every_drawn_cohort() -> None:
    """Where 1 in 7 drawn cohorts lacked the rare label, the interval began at the mean of the two others."""
    scores, truth, patients = rare_world()
    none = np.full((2, 3), NAN)
    found = judge(scores, truth, none, patients, ("a", "rare", "b"), seed=1, draws=300)
    rare, macro = found.labels[1].figures["auroc"], found.auroc
    assert (rare.value, rare.low) == (1, 1)
    assert macro.value == pytest.approx(np.mean([of.figures["auroc"].value for of in found.labels]))
    assert macro.value - 0.06 < macro.low < macro.value < macro.high < macro.value + 0.06
    assert macro.draws == rare.draws < 300
    written = block(found)
    assert (written["macro_auroc_draws"], written["macro_auroc_labels"]) == (rare.draws, 3)
    assert written["macro_f1_draws"] == 0


def test_label_without_threshold_has_ranks_and_no_decisions() -> None:
    scores, truth, thresholds, patients = world(0)
    thresholds[:, 0] = NAN
    found = judge(scores, truth, thresholds, patients, NAMES, seed=1, draws=20).labels[0]
    assert found.threshold is None
    assert math.isnan(found.figures["f1"].value)
    assert found.figures["auroc"].value > 0.8


def test_groups_are_judged_apart_and_small_ones_counted_but_not_judged() -> None:
    scores, truth, thresholds, patients = world(3)
    column = pl.Series("kernel", ["B30f"] * 50 + ["B70f"] * 30 + [None] * 10)
    soft, sharp, unknown = subgroups(column, scores, truth, thresholds, patients, NAMES, seed=1, draws=20)
    assert [group.value for group in (soft, sharp, unknown)] == ["B30f", "B70f", NOT_STATED]
    assert [group.scans for group in (soft, sharp, unknown)] == [50, 30, 10]
    assert (soft.patients, unknown.judged) == (25, None)
    assert soft.judged is not None
    alone = judge(scores[:, :50], truth[:50], thresholds, patients[:50], NAMES, seed=1, draws=20)
    assert soft.judged.auroc.value == pytest.approx(alone.auroc.value)
    positives = (truth[50:80, :2] == 1).sum(0)
    assert positives.min() < 10 <= positives.max()  # so that one label is judged and one is not
    assert sharp.judged is not None
    assert [name not in sharp.judged.absent for name in NAMES[:2]] == list(positives >= 10)


def test_numbers_of_many_values_become_four_bands() -> None:
    ages = pl.Series("age", [None, *range(20, 100)])
    assert sizes(ages) == {
        "20 to 39.75": 20,
        "39.75 to 59.5": 20,
        "59.5 to 79.25": 20,
        "79.25 to 99": 20,
        NOT_STATED: 1,
    }
    assert groups_of(ages)[NOT_STATED].tolist() == [True] + [False] * 80
    assert sizes(pl.Series("sex", [1, 2, 1])) == {"1": 2, "2": 1}
    assert [*sizes(pl.Series("kvp", [80, 120, 100]))] == ["80", "100", "120"]  # by number


def sizes(column: pl.Series) -> dict[str, int]:
    """How many scans each group has, in order; every scan is in one of them."""
    groups = groups_of(column)
    np.testing.assert_array_equal(np.sum([*groups.values()], axis=0), 1)
    return {name: int(scans.sum()) for name, scans in groups.items()}


def test_bands_of_large_numbers_are_called_apart() -> None:
    days = pl.Series("StudyDate", [20200101 + day for day in range(40)])
    assert sizes(days) == {
        "20200101 to 20200111": 10,
        "20200111 to 20200120": 10,
        "20200120 to 20200130": 10,
        "20200130 to 20200140": 10,
    }
    seconds = sizes(pl.Series("acquired", [1600000000 + 60 * i for i in range(40)]))
    assert next(iter(seconds)) == "1600000000 to 1600000585"
    assert [*seconds.values()] == [10] * 4
    assert len(sizes(pl.Series("near", [1 + i * 1e-12 for i in range(40)]))) == 4


def test_a_frequent_number_is_a_band_of_its_own_and_no_scan_is_lost() -> None:
    some = [100, 110, 115, 120, 125, 130, 140, 150]
    assert sizes(pl.Series("kvp", [80] * 30 + some)) == {"80": 30, "above 80 to 150": 8}
    assert sizes(pl.Series("kvp", [200] * 30 + some)) == {"100 to 200": 8, "200": 30}
    both = sizes(pl.Series("kvp", [120] * 30 + some + [160]))
    assert both == {"100 to 120": 3, "120": 31, "above 120 to 160": 5}
    assert [*sizes(pl.Series("kvp", [80] * 12 + some)).values()] == [12, 3, 5]


def test_a_number_without_end_is_not_stated() -> None:
    found = sizes(pl.Series("age", [float(i) for i in range(39)] + [float("inf"), -float("inf")]))
    assert [*found.values()] == [10, 9, 10, 10, 2]
    assert next(iter(found)) == "0 to 9.5"
    assert [*found][-1] == NOT_STATED


@pytest.mark.parametrize("many", [True, False])
def test_a_number_that_is_not_a_number_is_not_stated(many: bool) -> None:
    ages = [20.5 + (i if many else i % 3) for i in range(12)]
    found = groups_of(pl.Series("age", [*ages[:3], NAN, *ages[4:11], None]))
    assert np.flatnonzero(found[NOT_STATED]).tolist() == [3, 11]
    assert len(set(found)) == (5 if many else 4)

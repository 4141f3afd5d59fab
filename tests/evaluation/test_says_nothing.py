"""What is there against what is not, within scans."""

from dataclasses import replace

import numpy as np
import pytest

from simcrop.evaluation.wording.audit import Answers, patient_mean, pointing_of, shift_of, shifts_of
from simcrop.evaluation.wording.says_nothing import told_apart
from simcrop.metrics import auroc


def test_sentences_are_compared_within_their_scan_as_a_slow_loop_does() -> None:
    rng = np.random.default_rng(0)
    there, lacking = rng.integers(5, size=40) / 4, rng.integers(5, size=60) / 4
    of_there, of_lacking = rng.integers(6, size=40), rng.integers(5, size=60)  # scan 5 lacks nothing
    lacking[3] = np.nan
    found = told_apart(there, lacking, of_there, of_lacking)
    for score, scan, won in zip(there, of_there, found, strict=True):
        others = lacking[(of_lacking == scan) & ~np.isnan(lacking)]
        if len(others):
            assert won == pytest.approx(np.mean((score > others) + 0.5 * (score == others)))
        else:
            assert np.isnan(won)


def test_of_one_scan_it_is_the_auroc() -> None:
    scores, labels = np.random.default_rng(1).random(30), np.arange(30) % 3 == 0
    one = np.zeros(30, int)
    won = told_apart(scores[labels], scores[~labels], one[labels], one[~labels])
    assert won.mean() == pytest.approx(auroc(scores, labels.astype(float)))


def test_a_scan_that_scores_all_higher_gains_nothing() -> None:
    there, lacking = np.array([9.0, 9.0, 9.0, 1.0]), np.array([9.0, 1.0, 1.0, 1.0])
    assert (told_apart(there, lacking, np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1])) == 0.5).all()


def answers(true: np.ndarray, changed: np.ndarray, **known: np.ndarray) -> Answers:
    nothing = np.full(len(true), np.nan)
    names = ("hit", "hit_changed", "other", "other_changed", "elsewhere")
    patients, kinds = np.arange(len(true)) // 2, np.array(["a", "b"])[np.arange(len(true)) % 2]
    return Answers(
        kinds, patients, true, changed, true - 0.1, changed, **(dict.fromkeys(names, nothing) | known)
    )


def test_equal_scores_are_exactly_no_effect() -> None:
    scores = np.random.default_rng(0).random(41)
    shift = shift_of(replace(answers(scores, scores), true_elsewhere=scores), 0)
    assert (shift.beyond.value, shift.beyond.low, shift.beyond.high) == (0, 0, 0)
    assert (shift.fall.value, shift.fall.low, shift.fall.high) == (0, 0, 0)
    assert (shift.falls.value, shift.falls.low, shift.falls.high) == (0.5, 0.5, 0.5)


def test_falls_are_means_over_sentences_and_kinds_with_intervals() -> None:
    rng = np.random.default_rng(2)
    true, changed = rng.random(60), rng.random(60)
    shifts = shifts_of(answers(true, changed), 0)
    assert shifts.all.fall.value == pytest.approx((true - changed).mean())
    assert shifts.all.falls.value == pytest.approx((true > changed).mean())
    assert shifts.all.fall.low < shifts.all.fall.value < shifts.all.fall.high
    assert shifts.all.fall_elsewhere.value == pytest.approx((true - changed).mean() - 0.1)
    assert shifts.all.falls_elsewhere.value == pytest.approx((true - 0.1 > changed).mean())
    assert shifts.all.beyond.value == pytest.approx(0.1)
    assert shifts.kinds["b"].fall.value == pytest.approx((true - changed)[1::2].mean())
    few = shifts_of(answers(true[:18], changed[:18]), 0)
    assert not few.kinds


def test_where_nothing_is_known_there_is_no_figure() -> None:
    assert np.isnan(patient_mean(np.full(3, np.nan), np.arange(3), 0).value)
    assert pointing_of(answers(np.ones(4), np.zeros(4)), 0, moved=True) is None
    assert shift_of(answers(np.zeros(0), np.zeros(0)), 0).sentences == 0


def test_a_moved_finding_is_found_there_or_its_score_falls() -> None:
    nan = float("nan")
    found = pointing_of(
        answers(
            np.ones(4),
            np.array([1.0, 1.0, 0.2, nan]),
            hit=np.array([1.0, 1.0, 1.0, nan]),
            hit_changed=np.array([0.0, 0.0, 1.0, nan]),
            other=np.array([0.0, 0.0, nan, nan]),
            other_changed=np.array([1.0, 0.0, nan, nan]),
            elsewhere=np.array([1.0, 1.0, 0.0, nan]),
        ),
        0,
        moved=True,
    )
    assert found is not None
    assert (found.sentences, found.true.value) == (3, 1.0)
    assert found.lost.value == pytest.approx(2 / 3)
    assert found.moved is not None
    assert (found.moved.there, found.moved.true_there.value, found.moved.changed_there.value) == (2, 0, 0.5)
    assert found.moved.nowhere.fall.value == pytest.approx(0.8)

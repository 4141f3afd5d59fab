"""Intervals by patient: wide enough, seeded, paired where two methods meet."""

import math

import numpy as np
import pytest

from simcrop.metrics import Interval, auroc, difference, interval, interval_of, resampled


def rng(seed: int = 5) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_drawn_cohort_holds_whole_patients() -> None:
    patients = ["b", "a", "c", "a", "b", "a"]
    for rows in resampled(patients, rng(), draws=50):
        drawn = [patients[row] for row in rows]
        times = [np.sum(rows == row) for row in range(6)]
        assert times[1] == times[3] == times[5]
        assert times[0] == times[4]
        assert drawn.count("a") / 3 + drawn.count("b") / 2 + drawn.count("c") == 3


def test_interval_of_a_mean_is_about_two_standard_errors() -> None:
    values = rng(1).normal(3.0, 2.0, 400)
    found = interval(lambda rows: float(values[rows].mean()), [str(i) for i in range(400)], rng())
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert found.low < found.value < found.high
    assert found.draws == 1000


def test_repeated_scans_of_a_patient_do_not_narrow_it() -> None:
    values = rng(1).normal(size=40)
    grouped = np.repeat(values[:10], 4)
    patients = np.repeat(list("abcdefghij"), 4)
    by_patient = interval(lambda rows: float(grouped[rows].mean()), patients, rng(2))
    single = interval(lambda rows: float(values[:10][rows].mean()), list("abcdefghij"), rng(2))
    assert by_patient.low == pytest.approx(single.low)
    assert by_patient.high == pytest.approx(single.high)


def test_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    values = rng(3).normal(size=30)

    def ask(seed: int) -> object:
        return interval(lambda rows: float(values[rows].mean()), [str(i) for i in range(30)], rng(seed))

    assert ask(7) == ask(7)
    assert ask(7) != ask(8)


def test_two_methods_are_compared_on_the_same_patients() -> None:
    labels = (rng(1).random(80) < 0.4).astype(float)
    good = labels + rng(2).normal(size=80)
    better = good + 0.4 * labels  # wins by a little, on every patient
    patients = [str(i) for i in range(80)]

    def of(scores: np.ndarray):
        return lambda rows: auroc(scores[rows], labels[rows])

    paired = difference(of(better), of(good), patients, rng(4))
    alone = [interval(of(scores), patients, rng(4)) for scores in (better, good)]
    assert paired.value == pytest.approx(alone[0].value - alone[1].value)
    assert paired.low > 0
    assert alone[0].low < alone[1].high  # two intervals side by side would not have shown it


def test_draws_without_a_figure_are_left_out_and_counted() -> None:
    labels = np.array([1.0, 0.0, 0.0])
    found = interval(
        lambda rows: auroc(np.array([3.0, 1.0, 2.0])[rows], labels[rows]), list("abc"), rng(), 300
    )
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
    assert 100 < found.draws < 300
    nothing = interval_of(0.5, np.array([float("nan")] * 4))
    assert nothing.draws == 0
    assert math.isnan(nothing.low)
    assert math.isnan(nothing.high)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Interval(0.8, 0.75, 0.9, 9), "0.800, 95 % interval 0.750 to 0.900"),
        (Interval(0.8, 0.8, 0.8, 9), "0.800, no interval: too few patients, or all of them alike"),
        (Interval(0.8, np.nan, np.nan, 0), "0.800, no interval: of no drawn patients is it defined"),
        (Interval(np.nan, np.nan, np.nan, 0), "not defined"),
    ],
)
def test_an_interval_without_width_is_said_to_be_none(found: Interval, words: str) -> None:
    assert found.words == words


def test_one_without_width_is_none() -> None:
    told, alike = Interval(0.8124, 0.79, 0.833, 1000), Interval(1.0, 1.0, 1.0, 1000)
    nowhere, undefined = Interval(0.5, math.nan, math.nan, 0), Interval(math.nan, math.nan, math.nan, 0)
    assert [one.wide for one in (told, alike, nowhere, undefined)] == [True, False, False, False]
    assert [one.limits for one in (told, alike, nowhere)] == ["0.790 to 0.833", "none", "none"]
    assert told.words == "0.812, 95 % interval 0.790 to 0.833"
    assert alike.words == "1.000, no interval: too few patients, or all of them alike"
    assert nowhere.words == "0.500, no interval: of no drawn patients is it defined"
    assert undefined.words == "not defined"

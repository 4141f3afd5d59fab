"""Intervals over patients and seeds together: how often two methods that are equally good are told apart.

Axes: k seed, r drawn cohort. Figures in [0, 1].
"""

import numpy as np
import pytest

from simcrop.experiments.scores import Reached

PAIRS, DRAWS = 400, 400


def reached(by_seed: np.ndarray, drawn: np.ndarray) -> Reached:
    return Reached(by_seed, by_seed[:, None] + drawn[None])


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize(("patients", "trainings"), [(0.002, 0.01), (0.01, 0.01), (0.01, 0.0)])
def test_equal_methods_are_told_apart_about_once_in_twenty(
    seeds: int, patients: float, trainings: float
) -> None:
    """`patients`, `trainings`: by how much a difference scatters with either; the two rows share their patients."""
    rng, apart = np.random.default_rng(seeds), 0
    for _ in range(PAIRS):
        off, drawn = rng.normal(0, patients), rng.normal(0, patients, DRAWS)
        one, two = 0.7 + rng.normal(0, trainings / np.sqrt(2), (2, seeds))
        over = reached(one + off, drawn).over(reached(two, np.zeros(DRAWS)))
        apart += over.beyond_zero
    # Of two seeds Student's t is so wide that with the patients' share added it is seldom left.
    assert (0.0 if seeds == 2 else 0.02) < apart / PAIRS < 0.09


def test_the_mean_of_three_lies_within_students_t() -> None:
    by_seed = np.array([0.70, 0.72, 0.77])
    found = reached(by_seed, np.zeros(DRAWS)).interval()
    reach = 4.303 * by_seed.std(ddof=1) / np.sqrt(3)
    assert (found.low, found.value, found.high) == pytest.approx((0.73 - reach, 0.73, 0.73 + reach), abs=3e-3)


def test_no_end_lies_beyond_what_a_figure_can_be() -> None:
    found = reached(np.array([0.6, 0.9]), np.zeros(DRAWS)).interval()
    assert (found.low, found.high) == (0, 1)
    assert reached(np.array([0.6, 0.9]), np.zeros(DRAWS)).over(reached(np.zeros(2), np.zeros(DRAWS))).high > 1


def test_one_seed_says_what_its_patients_say() -> None:
    drawn = np.linspace(-0.1, 0.1, DRAWS)
    found = reached(np.array([0.7]), drawn).interval()
    assert (found.low, found.high) == pytest.approx((0.605, 0.795), abs=1e-3)

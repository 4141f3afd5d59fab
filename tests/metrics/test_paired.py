"""Exchange of signs, against all ways by hand and SciPy's permutation test."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import permutation_test

from simcrop.metrics import paired, sign_flip_p
from simcrop.metrics.paired import DRAWS


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_few_patients_are_counted_out_and_their_scans_turn_together() -> None:
    differences, patients = np.array([0.3, 0.1, 0.2, -0.1, 0.05]), ["a", "a", "b", "c", "b"]
    sums = np.array([0.4, 0.25, -0.1])
    ways = [abs(np.dot(signs, sums)) for signs in product([1, -1], repeat=3)]
    by_hand = sum(way >= abs(sums.sum()) - 1e-12 for way in ways) / 8
    assert sign_flip_p(differences, patients, rng()) == by_hand == 0.5
    assert sign_flip_p(differences, list("abcde"), rng()) != by_hand


def test_of_one_scan_each_it_is_scipys_exact_test() -> None:
    differences = rng().normal(0.4, 1, 9)
    theirs = permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_p(differences, np.arange(9), rng()) == pytest.approx(theirs.pvalue)


def test_of_many_patients_ways_are_drawn_and_come_near() -> None:
    differences = rng().normal(0.3, 1, 40)
    theirs = permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=20_000, rng=1)
    assert sign_flip_p(differences, np.arange(40), rng()) == pytest.approx(theirs.pvalue, abs=0.01)
    assert sign_flip_p(np.full(40, 0.1), np.arange(40), rng()) == pytest.approx(1 / 10_001)


def test_what_was_not_scored_is_left_out_and_no_difference_is_no_finding() -> None:
    differences = np.array([0.1, np.nan, 0.2])
    assert (
        sign_flip_p(differences, list("abc"), rng())
        == sign_flip_p(differences[[0, 2]], list("ac"), rng())
        == 0.5
    )
    assert np.isnan(sign_flip_p(np.full(3, np.nan), list("abc"), rng()))
    assert sign_flip_p(np.zeros(20), np.arange(20), rng()) == 1


@pytest.mark.parametrize("held", [1, 15, 1000, 10**9])
def test_however_many_signs_are_held_at_once_the_same_are_drawn(
    held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    differences = rng().normal(0.1, 1, 37)
    signs = rng().choice([-1.0, 1.0], (DRAWS, 37))
    by_hand = (1 + (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).sum()) / (1 + DRAWS)
    monkeypatch.setattr(paired, "AT_ONCE", held)
    assert sign_flip_p(differences, np.arange(37), rng()) == by_hand


class Told(np.random.Generator):
    """Says how many signs were drawn at once."""

    sizes: tuple[tuple[int, int], ...] = ()

    def choice(self, of: list[float], size: tuple[int, int]) -> np.ndarray:  # type: ignore[override]
        self.sizes += (size,)
        return super().choice(of, size)


def test_no_more_signs_are_held_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired, "AT_ONCE", 70_000)
    generator = Told(np.random.PCG64(0))
    sign_flip_p(np.ones(20), np.arange(20), generator)
    assert sum(rows for rows, _ in generator.sizes) == DRAWS
    assert max(rows * wide for rows, wide in generator.sizes) <= 70_000

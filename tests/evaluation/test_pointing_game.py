"""The pointing game on hand-made maps: hits, swaps, priors and chance, each by hand.

Axes: s sentence, n patch (6 of them).
"""

import math

import numpy as np
import pytest

from simcrop.errors import SimcropError
from simcrop.evaluation.pointing_game import (
    Pointed,
    chance,
    point,
    prior_maps,
    score_pointing_game,
)

NAN, OUT = float("nan"), -np.inf


def one_hot(*places: int) -> np.ndarray:
    return np.eye(6)[list(places)]


def test_hit_means_that_the_nearest_patch_touches_the_lesion() -> None:
    maps = np.array([[0.1, 0.9, 0.2, 0.0, 0.3, 0.1], [0.9, 0.1, 0.2, 0.0, 0.3, 0.1]])
    lesion = np.array([[0, 0.05, 0.9, 0, 0, 0], [0, 0.05, 0.9, 0, 0, 0]])
    np.testing.assert_array_equal(point(maps, lesion), [1, 0])
    np.testing.assert_array_equal(point(maps, lesion, touches=0.1), [0, 0])


def test_sentence_that_was_not_asked_is_neither_hit_nor_missed() -> None:
    maps = np.array([[NAN] * 6, [1, 0, 0, 0, 0, OUT]])
    np.testing.assert_array_equal(point(maps, one_hot(0, 0)), [NAN, 1])


def test_prior_is_the_mean_map_of_the_same_kind_over_other_patients() -> None:
    maps = np.arange(24.0).reshape(4, 6) ** 2
    prior = prior_maps(maps, ["a", "a", "a", "b"], ["p", "p", "q", "r"])
    np.testing.assert_array_equal(prior[0], maps[2])
    np.testing.assert_array_equal(prior[2], (maps[0] + maps[1]) / 2)
    assert np.isnan(prior[3]).all()


def test_prior_averages_over_the_scans_that_reach_a_patch_and_stays_in_its_own() -> None:
    maps = np.array([[9, 9, OUT, 9, 9, 9], [1, 2, 3, 4, OUT, OUT], [3, 4, 9, OUT, 5, OUT]])
    prior = prior_maps(maps, ["a"] * 3, ["p", "q", "r"])
    np.testing.assert_array_equal(prior[0], [2, 3, OUT, 4, 5, OUT])


def test_chance_counts_only_patches_that_hold_the_scan() -> None:
    maps = np.array([[0, 0, 0, 0, OUT, OUT], [0, 0, 0, 0, 0, 0]])
    lesion = np.array([[0.2, 0, 0, 0, 1, 0], [0.2, 0, 0, 0, 1, 0]])
    np.testing.assert_allclose(chance(maps, lesion), [1 / 4, 2 / 6])


def pointed(maps: np.ndarray, swapped: np.ndarray, lesion: np.ndarray) -> Pointed:
    return Pointed(maps, swapped, lesion, ["nodule", "nodule", "effusion", "effusion"], list("pqpr"))


def test_model_that_looks_is_told_from_one_that_knows_places_only() -> None:
    lesion = one_hot(0, 3, 4, 5)
    looks = score_pointing_game(pointed(lesion, one_hot(1, 1, 1, 1), lesion), seed=0)
    assert (looks.hit.value, looks.swapped.value) == (1.0, 0.0)
    assert looks.prior.value == 0.0
    assert looks.chance.value == pytest.approx(1 / 6)
    assert looks.over_swapped.value == 1.0
    assert (looks.over_prior.low, looks.over_prior.high) == (1.0, 1.0)
    assert (looks.sentences, looks.patients, looks.unreachable) == (4, 3, 0)

    same_place = one_hot(2, 2, 2, 2)
    knows = score_pointing_game(pointed(same_place, same_place, same_place), seed=0)
    assert (knows.hit.value, knows.swapped.value, knows.prior.value) == (1.0, 1.0, 1.0)
    assert knows.prior_any.value == 1.0
    assert knows.over_swapped.value == knows.over_prior.value == 0.0


def test_left_and_right_exchanged_is_a_miss() -> None:
    lesion = one_hot(0, 1, 2, 0)
    assert score_pointing_game(pointed(lesion, lesion, lesion), seed=0).hit.value == 1.0
    mirrored = lesion[:, ::-1]
    assert score_pointing_game(pointed(lesion, lesion, mirrored), seed=0).hit.value == 0.0


def test_kinds_are_told_apart() -> None:
    lesion = one_hot(0, 3, 4, 5)
    maps = np.concatenate([lesion[:2], one_hot(0, 0)])
    kinds = score_pointing_game(pointed(maps, lesion, lesion), seed=0).kinds
    assert [(k.kind, k.sentences, k.hit, k.swapped) for k in kinds] == [
        ("effusion", 2, 0.0, 1.0),
        ("nodule", 2, 1.0, 1.0),
    ]


def test_lesion_outside_the_crop_is_left_out_and_counted() -> None:
    lesion = one_hot(0, 3, 4, 5)
    lesion[2] = 0
    found = score_pointing_game(pointed(one_hot(0, 3, 4, 1), lesion, lesion), seed=0)
    assert (found.sentences, found.unreachable) == (3, 1)
    assert found.hit.value == pytest.approx(2 / 3)
    with pytest.raises(SimcropError, match="inside the crop"):
        score_pointing_game(pointed(lesion, lesion, lesion * 0), seed=0)


def test_difference_to_swapped_is_taken_where_both_were_asked() -> None:
    lesion, swapped = one_hot(0, 3, 4, 5), one_hot(0, 3, 4, 5)
    swapped[:2] = NAN
    maps = np.concatenate([lesion[:2], one_hot(1, 1)])
    found = score_pointing_game(pointed(maps, swapped, lesion), seed=0)
    assert (found.hit.value, found.swapped.value) == (0.5, 1.0)
    assert found.over_swapped.value == -1.0
    nobody = score_pointing_game(pointed(maps, np.full((4, 6), NAN), lesion), seed=0)
    assert math.isnan(nobody.over_swapped.value)


def test_maps_that_are_no_numbers_or_do_not_fit_are_refused() -> None:
    lesion = one_hot(0, 3, 4, 5)
    with pytest.raises(SimcropError, match="no numbers"):
        pointed(lesion * NAN, lesion, lesion)
    with pytest.raises(SimcropError, match="one shape"):
        pointed(lesion, lesion, lesion[:, :5])


def test_figures_are_plain_numbers_and_leave_out_what_is_not_defined() -> None:
    lesion = one_hot(0, 3, 4, 5)
    figures = score_pointing_game(pointed(lesion, np.full((4, 6), NAN), lesion), seed=0).figures()
    assert (figures["pointing_hit"], figures["pointing_prior"]) == (1.0, 0.0)
    assert (figures["pointing_sentences"], figures["pointing_patients"]) == (4, 3)
    assert "pointing_hit_swapped" not in figures
    assert all(value == value for value in figures.values())

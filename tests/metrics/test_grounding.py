"""Grounding measures against slow readings, voxel by voxel on a grid that the patches are spread over.

Axes: x y z voxels, n patch of 3 x 2 x 2 voxels.
"""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from simcrop.metrics.grounding import (
    best_map_threshold,
    blind_hit,
    contrast_to_noise,
    dice_at,
    overlap,
    top_hit,
    top_patches,
    top_precision_recall,
)

GRID, PATCH = (4, 3, 5), (3, 2, 2)
COUNT = math.prod(GRID)


def spread(patches: np.ndarray) -> np.ndarray:
    """One value per patch over all its voxels."""
    return np.kron(patches.reshape(GRID), np.ones(PATCH))


def cases() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """A map that is -inf beside the scan, a lesion and the scan as masks of voxels."""
    rng = np.random.default_rng(0)
    for _ in range(6):
        scan = np.zeros(np.multiply(GRID, PATCH), bool)
        scan[: rng.integers(5, 13), 1:, : rng.integers(4, 11)] = True
        lesion = (rng.random(scan.shape) < 0.2) & scan
        held = (
            scan.reshape(*(n for pair in zip(GRID, PATCH, strict=True) for n in pair))
            .sum((1, 3, 5))
            .reshape(-1)
        )
        similarity = rng.normal(size=COUNT).round(1)  # with ties
        similarity[held == 0] = -np.inf
        yield similarity, lesion, scan


def counted(mask: np.ndarray) -> np.ndarray:
    """Voxels of a mask in each patch, by a loop."""
    counts = np.zeros(GRID, int)
    for at in np.argwhere(mask):
        counts[tuple(at // PATCH)] += 1
    return counts.reshape(-1)


@pytest.mark.parametrize("case", list(cases()))
def test_overlaps_are_those_of_the_voxels(case: tuple[np.ndarray, ...]) -> None:
    similarity, lesion, scan = case
    beyond = 7  # voxels of the lesion outside the input
    thresholds = np.array([-9.0, -0.5, 0.1, 1.0, 9.0])
    found = dice_at(similarity, counted(lesion), counted(scan), int(lesion.sum()) + beyond, thresholds)
    for dice, threshold in zip(found, thresholds, strict=True):
        region = (spread(similarity) >= threshold) & scan
        both, either = (region & lesion).sum(), (region | lesion).sum() + beyond
        slow = 2 * both / (region.sum() + lesion.sum() + beyond)
        assert dice == pytest.approx(slow)
        one = overlap(similarity >= threshold, counted(lesion), counted(scan), int(lesion.sum()) + beyond)
        assert (one.dice, one.iou) == pytest.approx((slow, both / either))


@pytest.mark.parametrize("case", list(cases()))
def test_contrast_is_that_of_the_voxels(case: tuple[np.ndarray, ...]) -> None:
    similarity, lesion, scan = case
    values = spread(np.where(similarity > -np.inf, similarity, 0.0))
    within, beside = values[lesion], values[scan & ~lesion]
    slow = (within.mean() - beside.mean()) / np.sqrt(within.var() + beside.var())
    assert contrast_to_noise(similarity, counted(lesion), counted(scan)) == pytest.approx(slow)
    assert contrast_to_noise(
        -np.where(similarity > -np.inf, similarity, np.inf), counted(lesion), counted(scan)
    ) == (pytest.approx(-slow))


def test_contrast_without_a_lesion_or_without_anything_that_varies_is_not_defined() -> None:
    scan = np.full(COUNT, 12)
    assert math.isnan(contrast_to_noise(np.arange(COUNT) * 1.0, np.zeros(COUNT, int), scan))
    assert math.isnan(contrast_to_noise(np.arange(COUNT) * 1.0, scan, scan))
    assert math.isnan(contrast_to_noise(np.ones(COUNT), np.eye(COUNT, dtype=int)[3], scan))


@pytest.mark.parametrize("case", list(cases()))
@pytest.mark.parametrize("k", [1, 4, 10**6])
def test_nearest_patches_are_those_of_a_slow_search(case: tuple[np.ndarray, ...], k: int) -> None:
    similarity, lesion, _ = case
    of = counted(lesion)
    ranked = sorted((n for n in range(COUNT) if similarity[n] > -np.inf), key=lambda n: (-similarity[n], n))[
        :k
    ]
    assert top_patches(similarity, k).tolist() == ranked
    right = [n for n in ranked if of[n] > 0]
    assert top_hit(similarity, of, k) == float(bool(right))
    precision, recall = top_precision_recall(similarity, of, k)
    assert precision == pytest.approx(len(right) / len(ranked))
    assert recall == pytest.approx(len(right) / sum(n > 0 for n in of))


def test_recall_of_a_lesion_that_no_patch_touches_is_not_defined() -> None:
    assert math.isnan(top_precision_recall(np.ones(COUNT), np.zeros(COUNT), 3)[1])


@pytest.mark.parametrize(
    ("inside", "touching", "k"), [(10, 3, 1), (10, 3, 4), (7, 0, 3), (5, 5, 2), (4, 1, 9)]
)
def test_a_blind_hit_is_as_often_as_drawing_says(inside: int, touching: int, k: int) -> None:
    rng = np.random.default_rng(0)
    drawn = [(rng.permutation(inside)[:k] < touching).any() for _ in range(4000)]
    assert blind_hit(inside, touching, k) == pytest.approx(np.mean(drawn), abs=0.03)


def test_the_threshold_has_the_highest_mean_dice_of_all() -> None:
    rows = [(similarity, counted(lesion), counted(scan)) for similarity, lesion, scan in cases()]
    similarity, lesion, scan = (np.stack(part) for part in zip(*rows, strict=True))
    total = lesion.sum(1)
    best = best_map_threshold(similarity, lesion, scan, total)

    def mean(threshold: float) -> float:
        return float(
            np.mean(
                [
                    overlap(s >= threshold, of, held, int(t)).dice
                    for s, of, held, t in zip(similarity, lesion, scan, total, strict=True)
                ]
            )
        )

    middle = np.quantile(similarity[similarity > -np.inf], 0.5)
    every = [value for value in np.unique(similarity[similarity > -np.inf]) if value >= middle]
    assert mean(best) == pytest.approx(max(mean(value) for value in every), abs=0.002)
    unasked = np.full((1, COUNT), np.nan)
    assert best_map_threshold(
        np.concatenate([similarity, unasked]),
        np.concatenate([lesion, lesion[:1]]),
        np.concatenate([scan, scan[:1]]),
        np.append(total, 1),
    ) == pytest.approx(best)
    assert math.isnan(best_map_threshold(unasked, lesion[:1], scan[:1], total[:1]))

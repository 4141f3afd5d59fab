"""Dice, surfaces and volumes of masks: against MONAI, by hand, and against every pair of voxels."""

from itertools import product

import numpy as np
import pytest
import torch

from simcrop.metrics.segmentation import ClassScore, score_classes, surface, volumes_ml

SHAPE, SPACING = (13, 17, 11), (0.71, 1.3, 2.9)
NOWHERE = np.zeros(SHAPE, np.int16)


def ball(middle: tuple[int, int, int], radius: float, label: int = 1) -> np.ndarray:
    off = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), -1) - middle
    return np.where((off**2).sum(-1) <= radius**2, label, 0).astype(np.int16)


def speckled(seed: int, classes: int = 3) -> np.ndarray:
    """Labels in coarse blocks: many surfaces, some at the border of the scan."""
    blocks = np.random.default_rng(seed).integers(0, classes + 1, (5, 6, 4))
    spread = np.kron(blocks, np.ones((3, 3, 3), int))
    return spread[tuple(slice(n) for n in SHAPE)].astype(np.int16)


def moved(labels: np.ndarray) -> np.ndarray:
    return np.roll(labels, (1, -1, 0), (0, 1, 2))


PAIRS = [
    (speckled(0), speckled(1)),
    (speckled(2), moved(speckled(2))),
    (ball((6, 8, 5), 4), ball((7, 8, 4), 3)),
]


def of(predicted: np.ndarray, truth: np.ndarray, label: int = 1, **more: float) -> ClassScore:
    return score_classes(predicted, truth, SPACING, [label], **more)[0]


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@pytest.mark.parametrize("pair", range(len(PAIRS)))
@pytest.mark.parametrize("tolerance", [1.0, 3.3])
def test_dice_and_distances_are_those_of_monai(pair: int, tolerance: float) -> None:
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance
    from monai.metrics.meandice import compute_dice
    from monai.metrics.surface_dice import compute_surface_dice

    predicted, truth = PAIRS[pair]
    classes = [label for label in (1, 2, 3) if (truth == label).any()]
    ours, right = (
        torch.from_numpy(np.stack([labels == c for c in classes]))[None].float()
        for labels in (predicted, truth)
    )
    dice = compute_dice(ours, right)[0]
    hd95 = compute_hausdorff_distance(ours, right, include_background=True, percentile=95, spacing=SPACING)[0]
    nsd = compute_surface_dice(
        ours, right, class_thresholds=[tolerance] * len(classes), include_background=True, spacing=SPACING
    )[0]
    scores = score_classes(predicted, truth, SPACING, classes, tolerance)
    np.testing.assert_allclose([s.dice for s in scores], dice, atol=1e-6)
    np.testing.assert_allclose([s.hd95_mm for s in scores], hd95, rtol=1e-5)
    np.testing.assert_allclose([s.nsd for s in scores], nsd, atol=1e-6)


def slow_surface(mask: np.ndarray) -> np.ndarray:
    """Voxels of a mask beside one that is not of it, each looked at by itself."""
    beside = [step for step in product((-1, 0, 1), repeat=3) if sum(map(abs, step)) == 1]
    wide = np.pad(mask, 1)
    return np.array(
        [at for at in np.argwhere(mask) if not all(wide[tuple(at + 1 + step)] for step in beside)]
    )


@pytest.mark.parametrize("pair", range(len(PAIRS)))
def test_scores_are_those_of_every_pair_of_surface_voxels(pair: int) -> None:
    predicted, truth = PAIRS[pair]
    points = [slow_surface(labels == 1) * SPACING for labels in (predicted, truth)]
    apart = np.sqrt(((points[0][:, None] - points[1][None]) ** 2).sum(-1))
    near = [apart.min(1), apart.min(0)]
    score = of(predicted, truth, tolerance_mm=1.0)
    both = ((predicted == 1) & (truth == 1)).sum()
    assert score.dice == pytest.approx(2 * both / ((predicted == 1).sum() + (truth == 1).sum()))
    assert score.hd95_mm == pytest.approx(max(np.percentile(distances, 95) for distances in near))
    assert score.nsd == pytest.approx(np.mean(np.concatenate(near) <= 1.0))


def test_two_voxels_two_apart_by_hand() -> None:
    predicted, truth = NOWHERE.copy(), NOWHERE.copy()
    predicted[4, 5, 6], truth[4, 5, 8] = 2, 2
    score = of(predicted, truth, 2)
    assert (score.dice, score.nsd) == (0.0, 0.0)
    assert score.hd95_mm == pytest.approx(2 * 2.9)
    assert of(predicted, truth, 2, tolerance_mm=5.8).nsd == 1.0  # exactly at the tolerance is within it
    assert score.truth_ml == pytest.approx(0.71 * 1.3 * 2.9 / 1000)


def test_the_truth_itself_is_perfect_even_at_the_border_of_the_scan() -> None:
    truth = speckled(3)
    for score in score_classes(truth, truth, SPACING, [1, 2, 3]):
        assert (score.dice, score.hd95_mm, score.nsd) == (1.0, 0.0, 1.0)


def test_absent_organ_is_not_scored_and_what_was_found_of_it_is_a_false_positive() -> None:
    for predicted, found in ((NOWHERE, False), (ball((6, 8, 5), 3), True)):
        score = of(predicted, NOWHERE)
        assert np.isnan([score.dice, score.hd95_mm, score.nsd]).all()
        assert (score.present, score.false_positive, score.missed) == (False, found, False)


def test_missed_organ_scores_nothing_and_lies_at_no_distance() -> None:
    score = of(ball((6, 8, 5), 3, label=2), ball((6, 8, 5), 3, label=1))
    assert (score.dice, score.nsd, score.present, score.missed) == (0.0, 0.0, True, True)
    assert np.isnan(score.hd95_mm)


def test_way_that_a_scan_lies_in_memory_changes_nothing() -> None:
    predicted, truth = PAIRS[0]
    expected = score_classes(predicted, truth, SPACING, [1, 2, 3])
    assert (
        score_classes(np.asfortranarray(predicted), np.asfortranarray(truth), SPACING, [1, 2, 3]) == expected
    )
    assert score_classes(predicted.astype(np.uint8), np.asfortranarray(truth), SPACING, [1, 2, 3]) == expected


def test_axes_in_another_order_change_nothing() -> None:
    predicted, truth = PAIRS[0]
    expected = of(predicted, truth)
    turned = [labels.transpose(2, 0, 1)[::-1] for labels in (predicted, truth)]
    got = score_classes(turned[0], turned[1], (SPACING[2], SPACING[0], SPACING[1]), [1])[0]
    assert (got.dice, got.nsd) == (expected.dice, expected.nsd)
    assert got.hd95_mm == pytest.approx(expected.hd95_mm)


def test_volumes_in_ml_are_voxels_times_their_size_and_nobody_asked_for_other_labels() -> None:
    labels = speckled(4)
    sizes = [(labels == label).sum() * 0.71 * 1.3 * 2.9 / 1000 for label in (3, 1)]
    assert volumes_ml(labels, SPACING, [3, 1]) == pytest.approx(sizes)
    assert volumes_ml(np.asfortranarray(labels), SPACING, [7]) == [0.0]


def test_a_solid_block_has_its_shell_as_surface() -> None:
    block = NOWHERE.copy()
    block[2:6, 3:8, 4:10] = 5
    assert len(surface(block, 5)) == 4 * 5 * 6 - 2 * 3 * 4

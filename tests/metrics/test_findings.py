"""Figures of ReXGroundingCT by hand, and against sums that are written out.

Axes: x y z voxels of three different lengths and spacings.
"""

import numpy as np
import pytest

from simcrop.metrics.findings import FindingScore, FindingTable, dice, score_finding

SPACING = (0.8, 1.0, 5.0)
SHAPE = (20, 18, 9)


def marked(*boxes: tuple[slice, slice, slice]) -> np.ndarray:
    """Instance 1, 2, ... in these boxes."""
    labels = np.zeros(SHAPE, np.int16)
    for number, box in enumerate(boxes, start=1):
        labels[box] = number
    return labels


LOW = (slice(2, 6), slice(2, 6), slice(2, 4))  # 32 voxels
HIGH = (slice(12, 16), slice(10, 14), slice(5, 7))


def test_dice_of_nothing_is_undefined_and_of_a_miss_zero() -> None:
    empty, full = marked() > 0, marked(LOW) > 0
    assert np.isnan(dice(full, empty))
    assert np.isnan(dice(empty, empty))
    assert dice(empty, full) == 0
    assert dice(full, full) == 1
    half = marked((slice(2, 6), slice(2, 6), slice(2, 3))) > 0
    assert dice(half, full) == pytest.approx(2 * 16 / 48)


def test_a_mask_that_is_the_truth_has_every_instance() -> None:
    truth = marked(LOW, HIGH)
    score = score_finding(truth > 0, truth, SPACING, focal=True, complete=True)
    assert score == FindingScore(1.0, 2, 2, 2, 2, True)


def test_an_empty_mask_finds_nothing_and_an_empty_truth_has_nothing_to_find() -> None:
    truth, nothing = marked(LOW), marked()
    assert score_finding(nothing > 0, truth, SPACING, True, True) == FindingScore(0.0, 1, 0, 0, 0, True)
    score = score_finding(truth > 0, nothing, SPACING, True, True)
    assert (score.true, score.predicted, score.by_overlap) == (0, 1, 0)
    assert np.isnan(score.dice)
    assert np.isnan(score.hit)


def test_a_piece_of_nine_voxels_is_no_instance_and_still_counts_for_dice() -> None:
    truth, small = marked(LOW), marked((slice(2, 5), slice(2, 5), slice(2, 3)))
    score = score_finding(small > 0, truth, SPACING, True, True)
    assert (score.predicted, score.by_overlap, score.by_distance) == (0, 0, 0)
    assert score.dice == pytest.approx(2 * 9 / (9 + 32))


def test_distance_is_in_mm_and_limited_by_the_largest_spacing() -> None:
    truth = marked(LOW)  # centroid (3.5, 3.5, 2.5); the limit is 10 mm
    for z, near in ((2, True), (3, False)):  # two slices are 10 mm, three are 15
        moved = marked((LOW[0], LOW[1], slice(2 + z, 4 + z)))
        score = score_finding(moved > 0, truth, SPACING, True, True)
        assert (score.by_distance == 1) is near, z
        assert score.by_overlap == 0
    moved = marked((slice(13, 17), LOW[1], LOW[2]))  # 11 voxels of 0.8 mm are 8.8 mm
    assert score_finding(moved > 0, truth, SPACING, True, True).by_distance == 1
    moved = marked((slice(15, 19), LOW[1], LOW[2]))  # 13 are 10.4
    assert score_finding(moved > 0, truth, SPACING, True, True).by_distance == 0


def test_focal_findings_are_near_by_centroid_and_others_by_surface() -> None:
    even = (1.0, 1.0, 1.0)  # the limit is 2 mm
    block, core = (
        marked((slice(1, 19), slice(1, 17), slice(0, 9))),
        marked((slice(9, 11), slice(8, 10), slice(3, 6))),
    )
    same_middle = [score_finding(core > 0, block, even, focal, True).by_distance for focal in (True, False)]
    assert same_middle == [1, 0]
    part = marked(
        (slice(7, 19), slice(1, 17), slice(0, 9))
    )  # its middle is 3 mm off, most of its surface is shared
    same_surface = [score_finding(part > 0, block, even, focal, True).by_distance for focal in (True, False)]
    assert same_surface == [0, 1]


SCORES = [
    FindingScore(0.5, 2, 3, 1, 2, True),
    FindingScore(0.1, 1, 1, 0, 1, True),
    FindingScore(0.0, 4, 2, 0, 0, True),
    FindingScore(0.3, 1, 5, 1, 1, False),
    FindingScore(float("nan"), 0, 1, 0, 0, True),
]
CASES = ["a", "a", "b", "b", "c"]


def test_both_averages_and_every_figure_by_hand() -> None:
    figures = FindingTable.of(SCORES, CASES).figures(np.arange(5))
    assert figures["dice_per_finding"] == pytest.approx((0.5 + 0.1 + 0 + 0.3) / 4)
    assert figures["dice_per_case"] == pytest.approx(((0.5 + 0.1) / 2 + (0 + 0.3) / 2) / 2)
    assert figures["hit_rate"] == pytest.approx(3 / 4)  # 0.1 is a hit
    # precision of complete labels alone: 3 + 1 + 2 + 1 said, 1 right; recall of all: 2 right of 8
    assert figures["instance_precision"] == pytest.approx(1 / 7)
    assert figures["instance_recall"] == pytest.approx(2 / 8)
    assert figures["instance_f1"] == pytest.approx(2 * 1 / (7 + 7))
    assert figures["distance_precision"] == pytest.approx(3 / 7)
    assert figures["distance_recall"] == pytest.approx(4 / 8)
    assert figures["distance_f1"] == pytest.approx(2 * 3 / (7 + 7))


def test_f1_is_the_harmonic_mean_where_all_labels_are_complete() -> None:
    table = FindingTable.of(SCORES[:3], CASES[:3])
    figures = table.figures(np.arange(3))
    p, r = figures["distance_precision"], figures["distance_recall"]
    assert figures["distance_f1"] == pytest.approx(2 * p * r / (p + r))


def test_partial_labels_alone_have_recall_and_no_precision() -> None:
    figures = FindingTable.of(SCORES[3:4], ["b"]).figures(np.arange(1))
    assert figures["instance_recall"] == 1
    assert np.isnan(figures["instance_precision"])
    assert np.isnan(figures["instance_f1"])


def test_a_scan_that_is_drawn_twice_counts_twice() -> None:
    table = FindingTable.of(SCORES, CASES)
    figures = table.figures(np.array([0, 1, 0, 1, 2, 3]))
    assert figures["dice_per_case"] == pytest.approx((0.3 + 0.3 + 0.15) / 3)
    assert figures["dice_per_finding"] == pytest.approx((0.6 * 2 + 0.3) / 6)

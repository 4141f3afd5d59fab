"""Labels beside scans: whole numbers alone, axes turned and nothing interpolated, each refusal with its reason."""

import itertools

import numpy as np
import pytest
from nibabel.affines import apply_affine

from simcrop.data.label_volume import Channels, as_labels, check_sides, found_classes, on_scan
from simcrop.errors import SimcropError

SHAPE = (7, 5, 4)
SCAN = np.array([[0, 0, 3.0, -11], [-0.7, 0, 0, 40], [0, -0.9, 0, 8], [0, 0, 0, 1]])


def turned(axes: tuple[int, ...], flips: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels on the scan's grid, the same as a file with other axes has them, and that file's affine."""
    labels = np.random.default_rng(3).integers(0, 9, SHAPE).astype(np.int16)
    to_scan = np.zeros((4, 4))
    to_scan[3, 3] = 1
    stored = labels.transpose(axes)
    for axis, (to, flip) in enumerate(zip(axes, flips, strict=True)):
        to_scan[to, axis] = flip
        to_scan[to, 3] = 0 if flip > 0 else SHAPE[to] - 1
        stored = np.flip(stored, axis) if flip < 0 else stored
    return labels, stored, SCAN @ to_scan


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
def test_labels_in_any_order_of_axes_come_back_to_the_voxels_they_mark(axes: tuple[int, ...]) -> None:
    for flips in itertools.product((1, -1), repeat=3):
        labels, stored, affine = turned(axes, flips)
        found = on_scan(stored, affine, SHAPE, SCAN)
        np.testing.assert_array_equal(found, labels)
        for index in itertools.product(range(2), repeat=3):  # the slow way, through mm
            there = np.linalg.inv(affine) @ np.append(apply_affine(SCAN, index), 1)
            assert stored[tuple(np.rint(there[:3]).astype(int))] == found[index]


def test_what_a_header_rounds_away_is_no_other_place() -> None:
    labels, stored, affine = turned((1, 0, 2), (1, -1, 1))
    affine[:3, 3] += 0.02
    np.testing.assert_array_equal(on_scan(stored, affine, SHAPE, SCAN), labels)


def shifted(mm: float) -> np.ndarray:
    affine = SCAN.copy()
    affine[0, 3] += mm
    return affine


@pytest.mark.parametrize(
    ("affine", "shape", "reason", "words"),
    [
        (shifted(3.0), SHAPE, "mask-place", "3 mm or 1 voxels off"),
        (shifted(0.4), SHAPE, "mask-place", "perhaps it is that of another scan"),
        (SCAN @ np.diag([1, 1, 1.2, 1]), SHAPE, "mask-place", "off the scan"),
        (SCAN, (7, 5, 3), "mask-grid", "7 x 5 x 3 voxels along the scan's axes, the scan has 7 x 5 x 4"),
        (SCAN, (5, 7, 4), "mask-grid", "5 x 7 x 4"),
        (
            SCAN @ np.array([[1.0, -1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
            SHAPE,
            "mask-grid",
            "angle",
        ),
    ],
)
def test_a_mask_that_lies_elsewhere_is_refused(
    affine: np.ndarray, shape: tuple[int, int, int], reason: str, words: str
) -> None:
    with pytest.raises(SimcropError, match=words) as caught:
        on_scan(np.zeros(shape, np.int16), affine, SHAPE, SCAN)
    assert caught.value.reason == reason


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, np.float64, ">i2"])
def test_whole_numbers_of_any_type_are_labels(kind: object) -> None:
    values = np.arange(24).reshape(2, 3, 4)
    found = as_labels(values.astype(kind))  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(as_labels(values.astype(np.float32) / 4, 4.0, 1.0), values + 1)


@pytest.mark.parametrize(
    ("odd", "words"),
    [(0.5, "0.5"), (-1, "-1"), (40_000, "40000"), (-40_000, "-40000"), (65_536.0, "65536"), (np.nan, "NaN")],
)
def test_other_numbers_are_no_labels(odd: float, words: str) -> None:
    values = np.ones((2, 3, 4), np.float64)
    values[1, 2, 0] = odd
    with pytest.raises(SimcropError, match=words) as caught:
        as_labels(values)
    assert caught.value.reason == "mask-numbers"


def test_classes_are_those_that_are_there_and_declared() -> None:
    labels = np.zeros(SHAPE, np.int16)
    with pytest.raises(SimcropError, match="marks nothing"):
        found_classes(labels, None)
    labels[2, 1], labels[3, 3, 2] = 7, 300
    assert found_classes(labels, None) == (7, 300)
    assert found_classes(labels, {7: "a", 8: "b", 300: "c"}) == (7, 300)
    with pytest.raises(SimcropError, match="holds 300, which is no declared class"):
        found_classes(labels, {7: "a", 8: "b"})
    with pytest.raises(SimcropError, match="256 different numbers"):
        found_classes(np.arange(257, dtype=np.int16).reshape(257, 1, 1), None)


def joined(channels: np.ndarray, classes: dict[int, str] | None) -> np.ndarray:
    """Channels `(c, x, y, z)`, plane by plane."""
    into = Channels(channels.shape[1:], len(channels), classes)
    for k, plane in enumerate(
        channels.transpose(0, 3, 2, 1).reshape(-1, channels.shape[2], channels.shape[1])
    ):
        into.take(k, plane)
    return into.labels.transpose(2, 1, 0)


def test_channels_become_the_classes_in_their_order() -> None:
    labels = np.random.default_rng(0).choice([0, 2, 5, 9], SHAPE)
    channels = np.stack([labels == n for n in (2, 5, 9)])
    names = {2: "a", 5: "b", 9: "c"}
    np.testing.assert_array_equal(joined(channels, names), labels)
    np.testing.assert_array_equal(joined(np.stack([labels == 0, *channels]), names), labels)
    np.testing.assert_array_equal(joined(channels, None), np.searchsorted([0, 2, 5, 9], labels))


def test_channels_that_overlap_or_are_too_few_are_refused() -> None:
    channels = np.zeros((2, *SHAPE), np.uint8)
    channels[:, 1, 1, 1] = 1
    with pytest.raises(SimcropError, match="class 2 overlaps"):
        joined(channels, None)
    with pytest.raises(SimcropError, match="2 channels, expected one for each of 4"):
        joined(channels, dict.fromkeys((1, 2, 3, 4), "x"))
    with pytest.raises(SimcropError, match="holds 0 and 1"):
        joined(channels * 3, None)


@pytest.mark.parametrize("scan", [np.eye(4), SCAN, np.diag([-1.0, 1, 1, 1])], ids=["right", "back", "left"])
def test_a_left_lung_on_the_right_is_refused(scan: np.ndarray) -> None:
    axis = int(np.abs(scan[0, :3]).argmax())
    labels = np.zeros(SHAPE, np.int16)
    along = np.moveaxis(labels, axis, 0)
    along = along if scan[0, axis] > 0 else along[::-1]  # from left to right
    along[0, 1], along[3, 1], along[2, 0, 0] = 3, 4, 5
    check_sides(labels, scan, {3: "left lung", 4: "right lung", 5: "left kidney", 6: "right kidney"})
    with pytest.raises(SimcropError, match="left lung lies to the right of the right lung") as caught:
        check_sides(labels, scan, {4: "left lung", 3: "right lung"})
    assert caught.value.reason == "mask-sides"


def test_organs_named_with_their_side_at_the_end_are_held_to_their_sides_too() -> None:
    labels = np.zeros(SHAPE, np.int16)
    labels[1], labels[4] = 1, 2  # from left to right
    check_sides(labels, np.eye(4), {1: "kidney_left", 2: "kidney_right"})
    check_sides(labels, np.eye(4), {2: "cleft", 1: "cright"})
    with pytest.raises(SimcropError, match="kidney_left lies to the right of the kidney_right"):
        check_sides(labels, np.eye(4), {2: "kidney_left", 1: "kidney_right"})
    with pytest.raises(SimcropError, match="rib_left_1 lies to the right"):
        check_sides(labels, np.eye(4), {2: "rib_left_1", 1: "rib_right_1"})
    with pytest.raises(SimcropError, match="the Left Lung lies to the right of the right lung"):
        check_sides(labels, np.eye(4), {2: "Left Lung", 1: "right lung"})

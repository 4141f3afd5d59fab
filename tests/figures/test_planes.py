"""Cuts: sides, voxel orders, the hottest patch, boxes. Toy axes 13, 17, 11 voxels in RAS+."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from nibabel.orientations import apply_orientation as reorder
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

from simcrop.data.volume import Volume
from simcrop.errors import SimcropError
from simcrop.figures.planes import AXIAL, CORONAL, SAGITTAL, border, make_scene, seen

ALL_CODES = ["".join(c) for order in permutations(("LR", "AP", "IS")) for c in product(*order)]
AFFINE = np.array([[2.0, 0, 0, -9], [0, 3, 0, 4], [0, 0, 5, -20], [0, 0, 0, 1]])


def toy_hu() -> np.ndarray:
    return np.random.default_rng(3).normal(-500, 300, (13, 17, 11)).astype(np.float32)


def stored_as(codes: str, hu: np.ndarray) -> Volume:
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    return Volume(reorder(hu, turn), AFFINE @ inv_ornt_aff(turn, hu.shape))


@pytest.mark.parametrize("codes", ALL_CODES)
def test_every_voxel_order_gives_the_same_cuts(codes: str) -> None:
    hu = toy_hu()
    volume = stored_as(codes, hu)
    assert volume.axis_codes == codes
    heat = np.where(volume.hu == hu[2, 12, 7], 1.0, 0.0).astype(np.float32)
    scene = make_scene(volume, heat)
    assert scene.centre == (2, 12, 7)
    np.testing.assert_allclose(scene.centre_mm, (-5, 40, 15))
    np.testing.assert_array_equal(scene.cut(scene.scan.hu, AXIAL), hu[:, :, 7].T)
    np.testing.assert_array_equal(scene.cut(scene.scan.hu, CORONAL), hu[:, 12, :].T)
    np.testing.assert_array_equal(scene.cut(scene.scan.hu, SAGITTAL), hu[2, :, :].T)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAL"])
def test_a_cut_copies_nothing_of_the_scan(codes: str) -> None:
    scene = make_scene(stored_as(codes, toy_hu()))
    for view in (AXIAL, CORONAL, SAGITTAL):
        assert np.shares_memory(scene.cut(scene.scan.hu, view), scene.scan.hu)


def test_hottest_voxel_is_the_middle_of_the_hottest_patch() -> None:
    heat = np.full((13, 17, 11), np.nan, np.float32)
    heat[1:12, 1:16, 1:10] = 0.1
    heat[4:9, 6:9, 2:9] = 0.7
    assert make_scene(stored_as("RAS", toy_hu()), heat).centre == (6, 7, 5)


def test_without_heat_or_with_an_empty_one_the_middle_is_shown() -> None:
    volume = stored_as("RAS", toy_hu())
    assert make_scene(volume).centre == (6, 8, 5)
    empty = make_scene(volume, np.full((13, 17, 11), np.nan, np.float32))
    assert empty.centre == (6, 8, 5)
    assert empty.heat is None


def test_asked_point_wins_over_the_heat_and_must_lie_inside() -> None:
    volume = stored_as("LPS", toy_hu())
    heat = np.zeros((13, 17, 11), np.float32)
    assert make_scene(volume, heat, np.array([-8.9, 52.2, -20.0])).centre == (0, 16, 0)
    with pytest.raises(SimcropError, match="outside the scan"):
        make_scene(volume, heat, np.array([-11.0, 4.0, -20.0]))


def test_heat_of_another_grid_is_refused() -> None:
    with pytest.raises(SimcropError, match="does not lie on"):
        make_scene(stored_as("RAS", toy_hu()), np.zeros((13, 11, 17), np.float32))


@pytest.mark.parametrize("codes", ["RAS", "LPI", "SAR"])
def test_box_is_drawn_where_the_cut_goes_through_it(codes: str) -> None:
    scene = make_scene(stored_as(codes, toy_hu()))
    inside = np.array([[-9.0, 4, 0], [1, 34, 10]])  # z of the cut: -20 + 5 * 5 = 5 mm
    above = inside + np.array([0, 0, 20])
    assert scene.crossed(np.stack([inside, above]), AXIAL) == [pytest.approx((0, 10, 0, 30))]
    assert scene.crossed(inside[None], SAGITTAL) == []  # ends at x = 1 mm, the cut is at 3 mm
    assert scene.crossed(inside[None], CORONAL) == [pytest.approx((0, 10, 20, 30))]


def test_neighbouring_boxes_share_no_line() -> None:
    rim = border([(0, 2, 0, 3), (2 + 1e-9, 5, 0, 3)])
    assert ((2.0, 0.0), (2.0, 3.0)) not in rim
    assert sum(abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in rim) == pytest.approx(2 * (5 + 3))


def test_part_that_the_model_saw_is_bounded_by_voxel_edges() -> None:
    heat = np.full((13, 17, 11), np.nan, np.float32)
    heat[2:10, 3:12, 1:9] = 0.5
    scene = make_scene(stored_as("RAS", toy_hu()), heat)
    assert seen(scene, AXIAL) == [(3.0, 19.0, 7.5, 34.5)]
    assert seen(replace(scene, heat=np.zeros_like(heat)), AXIAL) == []

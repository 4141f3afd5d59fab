"""Whole scans resized: against averages written out, from any orientation, and edge to edge in the patient."""

import numpy as np
import pytest
from nibabel.affines import apply_affine
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

from simcrop.data.ingest.run import prepare
from simcrop.data.preprocess import InputSpec, preprocess, to_unit
from simcrop.data.samples.dataset import cut, cut_hu, placement_of
from simcrop.data.store.cohort import open_cohort
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

SPEC = InputSpec(shape=(8, 6, 10), fit="resize", scale="minmax")
AFFINE = np.array([[2.0, 0, 0, -31], [0, 2.5, 0, 12], [0, 0, 4, 100], [0, 0, 0, 1]])


def chest() -> Volume:
    """In RAS+, longer than the input along two axes and shorter along the third."""
    hu = np.random.default_rng(4).uniform(-1300, 900, (13, 16, 7)).astype(np.float32)
    return Volume(hu, AFFINE)


def turned(volume: Volume, codes: str) -> Volume:
    """The same scan as another program stores it."""
    change = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    order = np.argsort(change[:, 0])
    hu = volume.hu.transpose(order)
    for axis, direction in enumerate(change[order, 1]):
        hu = np.flip(hu, axis) if direction < 0 else hu
    return Volume(hu, volume.affine @ inv_ornt_aff(change, volume.shape))


def averaged(hu: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Voxel by voxel: the mean of all that the new voxel touches."""
    out = np.zeros(shape)
    for index in np.ndindex(shape):
        box = tuple(
            slice(i * have // want, -(-(i + 1) * have // want))
            for i, have, want in zip(index, hu.shape, shape, strict=True)
        )
        out[index] = hu[box].mean(dtype=np.float64)
    return out


def test_each_voxel_is_the_mean_of_those_it_touches_between_the_scans_own_least_and_largest() -> None:
    hu = chest().hu.clip(-1000, 1000)
    small = averaged(hu, SPEC.shape)
    expected = (small - hu.min()) / (hu.max() - hu.min()) * 2 - 1
    found, _ = preprocess(chest(), SPEC)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-5)
    assert hu.max() < 950


def test_with_a_window_the_window_becomes_minus_one_to_one() -> None:
    spec = InputSpec(shape=SPEC.shape, window_hu=(-200.0, 300.0), fit="resize")
    expected = averaged(chest().hu.clip(-200, 300), spec.shape)
    np.testing.assert_allclose(
        preprocess(chest(), spec)[0][0].numpy(), to_unit(expected, (-200.0, 300.0)), atol=1e-5
    )


@pytest.mark.parametrize("codes", ["LPS", "SAR", "PIL"])
def test_the_orientation_in_the_file_changes_neither_input_nor_place(codes: str) -> None:
    ours, here = preprocess(chest(), SPEC)
    theirs, there = preprocess(turned(chest(), codes), SPEC)
    np.testing.assert_array_equal(theirs.numpy(), ours.numpy())
    np.testing.assert_allclose(there.affine, here.affine, atol=1e-9)
    assert turned(chest(), codes).axis_codes == codes


def test_patches_lie_edge_to_edge_and_cover_the_scan() -> None:
    _, placement = preprocess(turned(chest(), "LPS"), SPEC)
    patch, grid = (4, 2, 5), (2, 3, 2)
    first, last = placement.box_mm((0, 0, 0), patch), placement.box_mm((1, 2, 1), patch)
    corners = apply_affine(AFFINE, np.array([(-0.5, -0.5, -0.5), (12.5, 15.5, 6.5)]))
    np.testing.assert_allclose([first[0], last[1]], corners, atol=1e-9)
    assert placement.holds_scan(grid).all()
    assert np.isfinite(placement.to_source(np.zeros(grid))).all()


def test_a_scan_of_one_value_is_the_least_everywhere() -> None:
    found, _ = preprocess(Volume(np.full((5, 6, 7), 40.0, np.float32), AFFINE), SPEC)
    assert (found == -1).all()


def test_a_stored_scan_is_resized_from_what_is_stored(toy_cohort) -> None:
    study = open_cohort(toy_cohort)[0]
    stored = study.volume()
    expected, there = preprocess(stored, SPEC)
    np.testing.assert_array_equal(cut(study, SPEC, None), expected[0].numpy())
    placement = placement_of(study, SPEC)
    np.testing.assert_allclose(placement.affine, there.affine)
    assert placement.to_source(np.zeros((2, 3, 2))).shape == study.source_shape


def test_a_file_is_prepared_as_the_scan_in_it(tmp_path, scan, save) -> None:
    path = save(tmp_path / "ct.nii.gz", scan(0))
    tensor, placement = prepare(path, SPEC)
    volume = Volume(scan(0).astype(np.float32), np.diag([-2.0, -2.5, 4.0, 1.0]))
    np.testing.assert_array_equal(tensor.numpy(), preprocess(volume, SPEC)[0].numpy())
    assert placement.source_shape == volume.shape


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"scale": "minmax"}, "wants fit = resize"),
        ({"fit": "resize", "centre": "lungs"}, "about crops"),
        ({"fit": "resize", "antialias": True}, "about crops"),
    ],
)
def test_what_does_not_go_together_is_refused(wrong: dict, why: str) -> None:
    with pytest.raises(SimcropError, match=why):
        InputSpec(**wrong)


def test_no_crop_is_drawn_of_it(toy_cohort) -> None:
    study = open_cohort(toy_cohort)[0]
    for draw in (None, np.random.default_rng(0)):
        with pytest.raises(SimcropError, match="nothing to draw"):
            cut_hu(study, SPEC, draw)
    with pytest.raises(SimcropError, match="nothing to draw"):
        cut(study, SPEC, np.random.default_rng(0))

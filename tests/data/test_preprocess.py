"""From millimetres to the network's input and back: against SimpleITK, by hand, and in all 48 axis orders."""

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from nibabel.affines import apply_affine
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from simcrop.data.preprocess import InputSpec, centred_start, crop_or_pad, preprocess, to_unit
from simcrop.data.readers import read_volume
from simcrop.data.resampling.plan import resample
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

CODES = ["".join(c) for axes in permutations(("LR", "PA", "IS")) for c in product(*axes)]
REAL = ["lidc_idri_0001/cxr.nii.gz", "nsclc_radiomics_lung1_001/LUNG1-001_shrink2.nii.gz"]
SPEC = InputSpec(spacing_mm=(2.0, 3.0, 2.5), shape=(12, 8, 10))
PATCH = (3, 4, 2)


def oblique(spacing: tuple[float, float, float] = (1.3, 2.1, 3.7)) -> np.ndarray:
    """A scan turned by a few degrees about every axis, as a tilted head holder or a gantry leaves it."""
    a, b, c = np.deg2rad([11, -7, 5])
    turns = [
        np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]),
        np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]),
        np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]),
    ]
    affine = np.eye(4)
    affine[:3, :3] = turns[0] @ turns[1] @ turns[2] * spacing
    affine[:3, 3] = (-31.5, 12.25, -140)
    return affine


def toy(shape: tuple[int, int, int] = (17, 13, 9), affine: np.ndarray | None = None) -> Volume:
    hu = np.random.default_rng(0).uniform(-1000, 1000, shape).astype(np.float32)
    return Volume(hu, oblique() if affine is None else affine)


def stored_as(codes: str, volume: Volume) -> Volume:
    """The same scan with its voxel axes in another order and direction."""
    turn = ornt_transform(axcodes2ornt(tuple(volume.axis_codes)), axcodes2ornt(tuple(codes)))
    affine = volume.affine @ inv_ornt_aff(turn, volume.shape)
    return Volume(np.ascontiguousarray(apply_orientation(volume.hu, turn)), affine)


def to_itk(hu: np.ndarray, affine: np.ndarray) -> sitk.Image:
    """ITK counts mm to the left and to the back."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(hu.transpose(2, 1, 0).astype(np.float32))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).flatten().tolist())
    return image


def itk_resampled(volume: Volume, onto: Volume) -> np.ndarray:
    """SimpleITK's linear resampling of `volume` at the voxels of `onto`; NaN outside the scan."""
    grid = to_itk(np.zeros(onto.shape, np.float32), onto.affine)
    image = to_itk(volume.hu, volume.affine)
    nothing = -30000.0
    out = sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, nothing)
    values = sitk.GetArrayFromImage(out).transpose(2, 1, 0)
    return np.where(values == nothing, np.nan, values)


def check_against_itk(volume: Volume, spacing: tuple[float, float, float]) -> None:
    ours = resample(volume, spacing)
    theirs = itk_resampled(volume, ours)
    inside = np.isfinite(theirs)
    assert inside.mean() > 0.7
    assert np.abs(ours.hu - theirs)[inside].max() < 1.0


def test_there_are_48_axis_orders() -> None:
    assert len(set(CODES)) == 48


@pytest.mark.parametrize("name", REAL)
def test_real_scan_is_within_one_unit_of_simpleitk(real_data: Path, name: str) -> None:
    check_against_itk(read_volume(real_data / "ct" / name), (1.5, 1.5, 3.0))


@pytest.mark.parametrize("spacing", [(2.0, 3.0, 2.5), (0.9, 1.1, 1.7)])
def test_oblique_toy_is_within_one_unit_of_simpleitk(spacing: tuple[float, float, float]) -> None:
    check_against_itk(toy(), spacing)


@pytest.mark.parametrize("codes", CODES)
def test_axis_order_of_the_file_changes_nothing(codes: str) -> None:
    volume = toy()
    tensor, placement = preprocess(volume, SPEC)
    turned, again = preprocess(stored_as(codes, volume), SPEC)
    assert stored_as(codes, volume).axis_codes == codes
    np.testing.assert_allclose(turned.numpy(), tensor.numpy(), atol=1e-6)
    np.testing.assert_allclose(again.affine, placement.affine, atol=1e-9)


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("turned", [False, True], ids=["upright", "oblique"])
def test_every_source_voxel_gets_the_patch_that_holds_it(codes: str, turned: bool) -> None:
    affine = oblique() if turned else np.diag([1.3, 2.1, 3.7, 1.0])
    volume = stored_as(codes, toy(affine=affine))
    placement = preprocess(volume, SPEC)[1]
    patches = np.arange(4 * 2 * 5, dtype=np.float32).reshape(4, 2, 5)
    painted = placement.to_source(patches)
    assert painted.shape == volume.shape
    where = np.stack(np.meshgrid(*[np.arange(n) for n in volume.shape], indexing="ij"), -1)
    mm = apply_affine(volume.affine, where)
    index = apply_affine(np.linalg.inv(placement.affine), mm)
    number = np.floor((index + 0.5 + 1e-6) / PATCH).astype(int)
    outside = ((number < 0) | (number >= patches.shape)).any(-1)
    expected = patches[tuple(number.clip(0, np.array(patches.shape) - 1).transpose(3, 0, 1, 2))]
    np.testing.assert_array_equal(np.isnan(painted), outside)
    np.testing.assert_array_equal(painted[~outside], expected[~outside])
    assert 0 < outside.sum() < outside.size


@pytest.mark.parametrize("codes", CODES)
def test_box_in_mm_holds_exactly_the_voxels_that_its_patch_paints(codes: str) -> None:
    volume = stored_as(codes, toy(affine=np.diag([1.3, 2.1, 3.7, 1.0])))
    placement = preprocess(volume, SPEC)[1]
    where = np.stack(np.meshgrid(*[np.arange(n) for n in volume.shape], indexing="ij"), -1)
    mm = apply_affine(volume.affine, where)
    seen = 0
    for index in product(range(4), range(2), range(5)):
        patches = np.zeros((4, 2, 5), np.float32)
        patches[index] = 1
        low, high = placement.box_mm(index, PATCH)
        np.testing.assert_allclose(high - low, np.array(SPEC.spacing_mm) * PATCH)
        inside = ((mm > low - 1e-5) & (mm < high - 1e-5)).all(-1)
        np.testing.assert_array_equal(placement.to_source(patches) == 1, inside)
        seen += int(inside.sum())
    assert seen > 100


def test_box_of_an_oblique_patch_holds_all_its_voxels() -> None:
    volume = toy()
    placement = preprocess(volume, SPEC)[1]
    patches = np.arange(40, dtype=np.float32).reshape(4, 2, 5)
    painted = placement.to_source(patches)
    for index in product(range(4), range(2), range(5)):
        mm = apply_affine(volume.affine, np.argwhere(painted == patches[index]))
        low, high = placement.box_mm(index, PATCH)
        assert ((mm >= low - 1e-4) & (mm <= high + 1e-4)).all()


def test_smaller_scan_is_padded_with_air_on_both_sides() -> None:
    volume = Volume(np.full((3, 5, 4), 200.0, np.float32), np.diag([2.0, 3.0, 2.5, 1.0]))
    tensor, placement = preprocess(volume, SPEC)
    assert placement.start == (-4, -1, -3)
    assert tensor.shape == (1, 12, 8, 10)
    expected = np.full((12, 8, 10), -1.0)
    expected[4:7, 1:6, 3:7] = 0.2
    np.testing.assert_allclose(tensor[0].numpy(), expected, atol=1e-6)
    assert not np.isnan(placement.to_source(np.ones((4, 2, 5)))).any()
    np.testing.assert_allclose(apply_affine(placement.affine, [4, 1, 3]), [0, 0, 0], atol=1e-9)


def test_larger_scan_is_cut_in_the_middle_and_nan_outside() -> None:
    volume = Volume(np.zeros((20, 9, 14), np.float32), np.diag([2.0, 3.0, 2.5, 1.0]))
    _, placement = preprocess(volume, SPEC)
    assert placement.start == (4, 0, 2)
    inside = np.isfinite(placement.to_source(np.ones((4, 2, 5))))
    expected = np.zeros((20, 9, 14), bool)
    expected[4:16, 0:8, 2:12] = True
    np.testing.assert_array_equal(inside, expected)


def test_crop_may_lie_anywhere_even_outside() -> None:
    hu = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
    found = crop_or_pad(hu, (1, -1, 3), (3, 6, 4))
    expected = np.full((3, 6, 4), -1000.0)
    expected[0:2, 1:5, 0:2] = hu[1:3, :, 3:5]
    np.testing.assert_array_equal(found, expected)
    assert (crop_or_pad(hu, (9, -9, 0), (2, 3, 4)) == -1000).all()
    assert centred_start((20, 9, 3), (12, 8, 10)) == (4, 0, -3)


def monai_middle(line: np.ndarray, want: int) -> np.ndarray:
    """MONAI's SpatialPad and then its CenterSpatialCrop, along one axis, as its documentation words them: half of the
    missing length, rounded down, goes before, the rest after; a crop starts `want // 2` before the middle `n // 2`.
    """
    missing = max(want - len(line), 0)
    line = np.pad(line, (missing // 2, missing - missing // 2))
    start = len(line) // 2 - want // 2
    return line[start : start + want]


@pytest.mark.parametrize("want", [8, 9])
def test_scan_lies_in_the_input_where_monai_puts_it(want: int) -> None:
    for have in range(1, 20):
        line = np.arange(1, have + 1, dtype=np.int16)
        start, _, _ = centred_start((have, 1, 1), (want, 1, 1))
        found = crop_or_pad(line[:, None, None], (start, 0, 0), (want, 1, 1))[:, 0, 0]
        np.testing.assert_array_equal(np.where(found == -1000, 0, found), monai_middle(line, want))


def test_window_maps_to_minus_one_and_one_and_clips() -> None:
    hu = np.array([-2048, -1000, -500, 0, 1000, 3000], np.int16)
    assert to_unit(hu, (-1000.0, 1000.0)).tolist() == [-1, -1, -0.5, 0, 1, 1]
    assert to_unit(hu, (-1000.0, 1000.0)).dtype == np.float32


@pytest.mark.parametrize("kind", ["<i2", ">i2", "<f4", "<f8", "|u1", "<i4"])
@pytest.mark.parametrize("window_hu", [(-1000.0, 1000.0), (-175.0, 250.0)])
def test_window_in_machine_code_is_that_of_numpy_to_the_bit(
    kind: str, window_hu: tuple[float, float]
) -> None:
    values = np.random.default_rng(3).uniform(0 if kind == "|u1" else -1500, 250, (7, 5, 6)).astype(kind)
    low, high = window_hu
    for hu in (values, values[1:, ::-1, ::2], values.transpose(2, 0, 1)):
        slope, shift = np.float32(2 / (high - low)), np.float32(-2 * low / (high - low) - 1)
        expected = np.clip(hu.astype(np.float32) * slope + shift, -1, 1)
        assert np.array_equal(to_unit(hu, window_hu), expected)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR", "PIL"])
def test_patch_on_the_patients_left_has_negative_x(codes: str) -> None:
    # RAS+ counts to the patient's right: what lies on the left, the heart side, is negative.
    affine = np.diag([1.0, 1.5, 2.0, 1.0])
    affine[:3, 3] = (-11.5, -11.25, -9.0)
    hu = np.full((24, 16, 10), -1000, np.float32)
    hu[:12] = 1000  # the low end of an axis that runs to the right
    left = stored_as(codes, Volume(hu, affine))
    spec = InputSpec((1.0, 1.5, 2.0), (24, 16, 10))
    tensor, placement = preprocess(left, spec)
    patches = tensor[0].numpy().reshape(4, 6, 2, 8, 5, 2).mean((1, 3, 5))
    for index in product(range(4), range(2), range(5)):
        low, high = placement.box_mm(index, (6, 8, 2))
        assert (patches[index] > 0) == (index[0] < 2)
        assert (low[0] + high[0] < 0) == (index[0] < 2)


@pytest.mark.parametrize(
    "bad",
    [{"spacing_mm": (0.0, 1.0, 1.0)}, {"shape": (4, 0, 4)}, {"window_hu": (100.0, 100.0)}],
    ids=["spacing", "shape", "window"],
)
def test_impossible_input_is_refused(bad: dict) -> None:
    with pytest.raises(SimcropError, match="positive"):
        InputSpec(**bad)

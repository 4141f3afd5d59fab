"""Resampling plane by plane, beside a slow version that says what is meant, and beside the whole scan at once.

Axes: i, j, k as stored, x, y, z resampled (RAS+).
"""

import gzip
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from simcrop.data.hounsfield import Hint
from simcrop.data.ingest.streamed import read_on, read_resampled
from simcrop.data.readers import read_volume
from simcrop.data.resampling.plan import Spacing, linear_taps, resample, resampled_length, smoothing_taps
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

CODES = ["".join(c) for axes in permutations(("LR", "PA", "IS")) for c in product(*axes)]
SPACING = (2.0, 3.0, 2.5)


def chest(shape: tuple[int, int, int] = (31, 23, 37)) -> Volume:
    """Air, lung and soft tissue in RAS+, hardly a number twice, slightly turned."""
    random = np.random.default_rng(4)
    kinds = np.choose(random.choice(3, shape), [-1000, -850, 40])
    turn, size = np.array([[0.998, 0.063, 0], [-0.063, 0.998, 0], [0, 0, 1]]), np.diag([1.3, 2.1, 0.9])
    affine = np.block([[turn @ size, np.array([[-5], [7], [11]])], [np.zeros((1, 3)), np.ones((1, 1))]])
    return Volume((kinds + random.integers(-60, 60, shape)).astype(np.float32), affine)


def stored_as(codes: str, volume: Volume) -> Volume:
    turn = ornt_transform(axcodes2ornt(tuple(volume.axis_codes)), axcodes2ornt(tuple(codes)))
    affine = volume.affine @ inv_ornt_aff(turn, volume.shape)
    return Volume(np.ascontiguousarray(apply_orientation(volume.hu, turn)), affine)


def slowly(volume: Volume, spacing: Spacing, antialias: bool = False) -> np.ndarray:
    """What is meant: once in RAS+, along one axis after the other, new voxel i is a mean of the old ones around it."""
    ras = volume.to_ras()
    hu = ras.hu.astype(np.float64)
    for axis in range(3):
        old_mm, length = ras.spacing_mm[axis], hu.shape[axis]
        step = spacing[axis] / old_mm
        reach = max(1.0, step) if antialias else 1.0
        matrix = np.zeros((resampled_length(length, old_mm, spacing[axis]), length))
        for i in range(len(matrix)):
            at = min(i * step, length - 1)
            for j in range(length):
                matrix[i, j] = max(0.0, 1 - abs(at - j) / reach)
        matrix /= matrix.sum(1, keepdims=True)
        hu = np.moveaxis(np.tensordot(matrix, hu, (1, axis)), 0, axis)
    return hu


def save(path: Path, volume: Volume, dtype: type = np.int16) -> Path:
    nib.Nifti1Image(volume.hu.astype(dtype), volume.affine).to_filename(path)
    return path


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("spacing", [SPACING, (0.7, 2.1, 0.9), (9.0, 1.0, 200.0)])
def test_resampling_is_what_is_meant(spacing: Spacing, antialias: bool) -> None:
    found = resample(chest(), spacing, antialias)
    np.testing.assert_allclose(found.hu, slowly(chest(), spacing, antialias), atol=5e-3)
    np.testing.assert_allclose(found.spacing_mm, spacing)


@pytest.mark.parametrize("codes", CODES)
def test_file_read_on_is_the_scan_read_whole_in_every_axis_order(codes: str, tmp_path: Path) -> None:
    volume = stored_as(codes, chest())
    found = read_resampled(save(tmp_path / "ct.nii.gz", volume), SPACING)
    np.testing.assert_allclose(found.volume.hu, slowly(volume, SPACING), atol=5e-3)
    np.testing.assert_allclose(found.volume.affine, resample(chest(), SPACING).affine, atol=1e-4)
    assert found.source_shape == volume.shape
    np.testing.assert_allclose(found.source_affine, volume.affine, atol=1e-4)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_reading_on_gives_what_reading_at_once_gives(dtype: type, antialias: bool, tmp_path: Path) -> None:
    path = save(tmp_path / "ct.nii", chest(), dtype)
    on, whole = read_on(path, SPACING, None, antialias), resample(read_volume(path), SPACING, antialias)
    assert on is not None
    np.testing.assert_array_equal(on.volume.hu, whole.hu)
    np.testing.assert_array_equal(on.volume.affine, whole.affine)
    assert on.volume.decision == read_volume(path).decision
    assert on.volume.notes == whole.notes


def test_padding_is_air_before_it_is_interpolated(tmp_path: Path) -> None:
    volume = chest()
    volume.hu[:5] = -3024
    found = read_resampled(save(tmp_path / "ct.nii.gz", volume), SPACING)
    volume.hu[:5] = -1000
    np.testing.assert_allclose(found.volume.hu, slowly(volume, SPACING), atol=5e-3)
    assert found.volume.decision is not None
    assert found.volume.decision.padding_hu == -3024


def test_table_is_asked_as_when_reading_whole(tmp_path: Path) -> None:
    volume = chest()
    hint = Hint(1.0, -8192.0, spacing_mm=(1.3, 2.1, 0.9))
    bare = Volume(volume.hu + 8192, np.eye(4))
    path = save(tmp_path / "ct.nii.gz", bare)
    found, whole = read_resampled(path, SPACING, hint), resample(read_volume(path, hint), SPACING)
    assert read_on(path, SPACING, hint, antialias=False) is not None
    np.testing.assert_array_equal(found.volume.hu, whole.hu)
    assert (found.volume.decision, found.volume.notes) == (whole.decision, whole.notes)


@pytest.mark.parametrize("surprise", [-4000, None])
def test_file_that_ends_unlike_it_begins_is_read_again(surprise: int | None, tmp_path: Path) -> None:
    volume = chest((31, 23, 60))
    if surprise is None:
        volume.hu[..., :26] = -1000  # nothing to be seen at first
    else:
        volume.hu[..., 50:] = surprise  # padding that the first planes lack
    path = save(tmp_path / "ct.nii.gz", volume)
    assert read_on(path, SPACING, None, antialias=False) is None
    whole = resample(read_volume(path), SPACING)
    found = read_resampled(path, SPACING).volume
    np.testing.assert_array_equal(found.hu, whole.hu)
    assert found.decision == whole.decision


def test_broken_files_are_refused_alike(tmp_path: Path) -> None:
    path = save(tmp_path / "ct.nii.gz", chest())
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-6] ^= 1  # in the checksum
    inside = gzip.decompress(whole)
    broken = {
        "short": whole[: len(whole) // 2],
        "checksum": bytes(flipped),
        "few": gzip.compress(inside[:-100]),
        "empty": b"",
        "no": gzip.compress(b"no header at all"),
    }
    for name, content in broken.items():
        file = tmp_path / f"{name}.nii.gz"
        file.write_bytes(content)
        refusals = []
        for read in (lambda f=file: read_volume(f), lambda f=file: read_resampled(f, SPACING)):
            with pytest.raises(SimcropError) as caught:
                read()
            refusals.append((caught.value.reason, caught.value.sentence))
        assert refusals[0] == refusals[1]


def test_weights_by_hand() -> None:
    linear = linear_taps(3, 6, 0.5)
    line = np.array([0.0, 10.0, 30.0])
    values = (linear.weights * line[linear.first[:, None] + np.arange(2)]).sum(1)
    assert values.tolist() == [0, 5, 10, 20, 30, 30]  # clamped behind the last voxel
    third = smoothing_taps(9, 3, 3.0)
    spread = np.zeros(9)
    spread[third.first[1] : third.first[1] + third.weights.shape[1]] = third.weights[1]
    np.testing.assert_allclose(spread, np.array([0, 1, 2, 3, 2, 1, 0, 0, 0]) / 9, atol=1e-7)


def test_smoothing_skips_no_plane_and_a_bright_one_is_seen() -> None:
    volume = Volume(np.zeros((4, 4, 30), np.float32), np.eye(4))
    volume.hu[..., 10] = 300
    assert resample(volume, (1.0, 1.0, 3.0)).hu.max() == 0  # read at 0, 3, 6, 9, 12
    assert resample(volume, (1.0, 1.0, 3.0), antialias=True).hu.max() == pytest.approx(300 * 2 / 9)


def test_scan_of_one_plane_after_coarse_resampling_can_be_resampled_again() -> None:
    once = resample(chest(), (1.0, 1.0, 200.0))
    assert once.shape[2] == 1
    assert resample(once, (2.0, 2.0, 200.0)).shape[2] == 1


@pytest.mark.parametrize(
    ("length", "old", "new", "voxels"),
    [
        (5, 1.0, 1.0, 5),
        (5, 1.0, 2.0, 3),
        (6, 1.0, 2.0, 3),
        (512, 0.703125, 1.5, 241),
        (133, 2.5, 3.0, 111),
        (1, 9.0, 3.0, 1),
    ],
)
def test_length_spans_the_same_distance(length: int, old: float, new: float, voxels: int) -> None:
    assert resampled_length(length, old, new) == voxels


def test_last_slice_beyond_the_scan_repeats_its_border() -> None:
    volume = Volume(chest((3, 4, 5)).hu, np.eye(4))
    found = resample(volume, (1.0, 1.0, 1.5))  # at 0, 1.5, 3 and 4.5, but the last slice lies at 4
    assert found.shape == (3, 4, 4)
    np.testing.assert_array_equal(found.hu[..., 3], volume.hu[..., 4])

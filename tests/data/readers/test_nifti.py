"""NIfTI files, whole and broken: what is read and what is refused, and with which word."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from simcrop.data.hounsfield import Hint
from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

HINT = Hint(1.0, -1024.0, (0.5, 0.6, 2.0), (-100.0, -90.0, 30.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))


def refusal(path: Path) -> SimcropError:
    with pytest.raises(SimcropError) as caught:
        read_volume(path)
    assert path.name in caught.value.sentence
    assert "\n" not in caught.value.sentence
    return caught.value


def test_every_axis_order_comes_back_as_the_same_scan(
    tmp_path: Path, turned_toy: Volume, write_nifti: Callable[..., Path], same_scan: Callable[[Volume], None]
) -> None:
    volume = read_volume(write_nifti(tmp_path / "ct.nii.gz", turned_toy))
    assert volume.axis_codes == turned_toy.axis_codes
    np.testing.assert_array_equal(volume.hu, turned_toy.hu)
    np.testing.assert_allclose(volume.affine, turned_toy.affine, atol=1e-4)
    same_scan(volume)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_every_number_type_is_read_exactly(
    tmp_path: Path, toy: Volume, dtype: type, write_nifti: Callable[..., Path]
) -> None:
    volume = read_volume(str(write_nifti(tmp_path / "ct.nii", toy, dtype)))
    assert volume.hu.dtype == np.float32
    assert volume.affine.dtype == np.float64
    np.testing.assert_array_equal(volume.hu, toy.hu)


def test_big_endian_and_nifti_2_and_a_header_extension_are_read(tmp_path: Path, toy: Volume) -> None:
    old = nib.Nifti1Image(toy.hu.astype(">i2"), toy.affine, nib.Nifti1Header(endianness=">"))
    old.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"a word"))
    new = nib.Nifti2Image(toy.hu.astype(np.int16), toy.affine)
    for name, image in (("old.nii", old), ("new.nii.gz", new)):
        nib.save(image, tmp_path / name)
        np.testing.assert_array_equal(read_volume(tmp_path / name).hu, toy.hu)


def test_the_header_rescale_is_applied_once(tmp_path: Path, toy: Volume) -> None:
    image = nib.Nifti1Image(((toy.hu + 1200) * 2).astype(np.int16), toy.affine)
    image.header.set_slope_inter(0.5, -1200)
    nib.save(image, tmp_path / "ct.nii.gz")
    volume = read_volume(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(volume.hu, toy.hu)
    assert volume.decision is not None
    assert (volume.decision.source, volume.decision.slope, volume.decision.intercept) == (
        "header",
        0.5,
        -1200,
    )


@pytest.mark.parametrize("slope", [0.0, np.nan])
def test_a_slope_of_zero_or_nan_means_no_rescale(
    tmp_path: Path, toy: Volume, slope: float, write_nifti: Callable[..., Path]
) -> None:
    path = write_nifti(tmp_path / "ct.nii", toy)
    block = bytearray(path.read_bytes())
    block[112:116] = np.float32(slope).tobytes()
    path.write_bytes(block)
    np.testing.assert_array_equal(read_volume(path).hu, toy.hu)


def test_a_trailing_axis_of_one_is_dropped(tmp_path: Path, toy: Volume) -> None:
    nib.save(nib.Nifti1Image(toy.hu[..., None], toy.affine), tmp_path / "ct.nii")
    assert read_volume(tmp_path / "ct.nii").shape == (5, 7, 9)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 9, 2)])
def test_two_and_four_axes_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    nib.save(nib.Nifti1Image(np.zeros(shape, np.int16), np.eye(4)), tmp_path / "ct.nii")
    assert refusal(tmp_path / "ct.nii").reason == "not-3d"


def test_a_missing_and_an_empty_file_are_told_apart(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.nii.gz").reason == "missing-file"
    (tmp_path / "empty.nii.gz").touch()
    assert refusal(tmp_path / "empty.nii.gz").reason == "empty-file"


@pytest.mark.parametrize("keep", [10, 60, 200, -9, -1])
def test_a_gzip_cut_anywhere_is_refused_as_truncated(
    tmp_path: Path, toy: Volume, keep: int, write_nifti: Callable[..., Path]
) -> None:
    path = write_nifti(tmp_path / "ct.nii.gz", toy)
    path.write_bytes(path.read_bytes()[:keep])
    assert refusal(path).reason == "truncated-file"


@pytest.mark.parametrize("keep", [3, 100, 350, 900])
def test_a_plain_file_cut_anywhere_is_refused(
    tmp_path: Path, toy: Volume, keep: int, write_nifti: Callable[..., Path]
) -> None:
    path = write_nifti(tmp_path / "ct.nii", toy)
    path.write_bytes(path.read_bytes()[:keep])
    assert refusal(path).reason == ("unreadable" if keep < 4 else "truncated-file")


@pytest.mark.parametrize("behind", [0, 1 << 20])
def test_a_wrong_or_missing_checksum_is_noticed(
    tmp_path: Path, toy: Volume, behind: int, write_nifti: Callable[..., Path]
) -> None:
    """Also where bytes follow the voxels and the checksum lies beyond what has to be read for them."""
    path = tmp_path / "ct.nii.gz"
    whole = gzip.compress(write_nifti(tmp_path / "ct.nii", toy).read_bytes() + bytes(behind))
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_volume(path).hu, toy.hu)
    path.write_bytes(whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:])
    assert refusal(path).reason == "corrupt-file"
    path.write_bytes(whole[:-8])
    assert refusal(path).reason == "truncated-file"


def test_other_bytes_are_no_nifti(tmp_path: Path, toy: Volume, write_nifti: Callable[..., Path]) -> None:
    path = write_nifti(tmp_path / "ct.nii", toy)
    block = bytearray(path.read_bytes())
    (tmp_path / "text.nii").write_bytes(b"a report, not a scan" * 40)
    (tmp_path / "text.nii.gz").write_bytes(gzip.compress(b"a report, not a scan" * 40))
    block[344:348] = b"ni1\0"
    (tmp_path / "pair.nii").write_bytes(block)
    for name in ("text.nii", "text.nii.gz", "pair.nii"):
        assert refusal(tmp_path / name).reason == "unreadable"


@pytest.mark.parametrize(
    ("dims", "reason"), [((30000, 30000, 30000), "absurd-size"), ((900, 900, 900), "truncated-file")]
)
def test_a_header_that_promises_too_much_is_refused_before_allocating(
    tmp_path: Path, toy: Volume, dims: tuple[int, int, int], reason: str, write_nifti: Callable[..., Path]
) -> None:
    block = bytearray(write_nifti(tmp_path / "ct.nii", toy).read_bytes())
    block[42:48] = np.array(dims, np.int16).tobytes()
    (tmp_path / "ct.nii").write_bytes(block)
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(bytes(block)))
    assert refusal(tmp_path / "ct.nii").reason == reason
    assert refusal(tmp_path / "ct.nii.gz").reason == reason


def test_not_finite_voxels_are_refused(tmp_path: Path, toy: Volume) -> None:
    for value in (np.nan, np.inf, -np.inf):
        hu = toy.hu.copy()
        hu[1, 2, 3] = value
        nib.save(nib.Nifti1Image(hu, toy.affine), tmp_path / "ct.nii.gz")
        assert refusal(tmp_path / "ct.nii.gz").reason == "not-finite"


def test_all_zeros_are_refused_as_constant(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((5, 7, 9), np.int16), np.eye(4)), tmp_path / "ct.nii.gz")
    assert refusal(tmp_path / "ct.nii.gz").reason == "constant"


def test_colours_and_complex_numbers_are_refused(tmp_path: Path) -> None:
    rgb = np.zeros((5, 7, 9), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for name, array in (("rgb.nii", rgb), ("complex.nii", np.zeros((5, 7, 9), np.complex64))):
        nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / name)
        assert refusal(tmp_path / name).reason == "not-scalar"


def test_a_singular_affine_is_refused(tmp_path: Path, toy: Volume, write_nifti: Callable[..., Path]) -> None:
    path = write_nifti(tmp_path / "ct.nii", toy)
    block = bytearray(path.read_bytes())
    block[312:328] = np.array([0, 0, 0, 5], np.float32).tobytes()  # the sform's third row
    path.write_bytes(block)
    assert refusal(path).reason == "singular-affine"


def bare(path: Path, volume: Volume, spacing: tuple[float, float, float] = (1, 1, 1)) -> Path:
    """CT-RATE's first release: raw numbers, no rescale, no geometry."""
    image = nib.Nifti1Image((volume.hu + 1024).astype(np.int16), None)
    image.header.set_zooms(spacing)
    image.header["qform_code"] = image.header["sform_code"] = 0
    nib.save(image, path)
    return path


def test_a_file_without_geometry_takes_it_from_the_hint(tmp_path: Path, toy: Volume) -> None:
    volume = read_volume(bare(tmp_path / "ct.nii.gz", toy), HINT)
    assert volume.axis_codes == "LPS"
    assert volume.spacing_mm == (0.5, 0.6, 2.0)
    np.testing.assert_allclose(volume.affine[:3, 3], (100, 90, 30))
    np.testing.assert_array_equal(volume.hu, toy.hu)
    assert volume.decision is not None
    assert volume.decision.source == "metadata"


def test_slices_grow_along_the_normal_of_the_hint(tmp_path: Path, toy: Volume) -> None:
    coronal = replace(HINT, orientation_lps=(1.0, 0.0, 0.0, 0.0, 0.0, -1.0))
    assert read_volume(bare(tmp_path / "ct.nii.gz", toy), coronal).axis_codes == "LIP"


def test_without_a_hint_the_guess_is_noted(
    tmp_path: Path, toy: Volume, write_nifti: Callable[..., Path]
) -> None:
    image = nib.Nifti1Image(toy.hu, None)
    image.header.set_zooms((0.7, 0.9, 1.3))
    nib.save(image, tmp_path / "ct.nii")
    volume = read_volume(tmp_path / "ct.nii")
    assert volume.axis_codes == "RAS"
    np.testing.assert_allclose(volume.spacing_mm, (0.7, 0.9, 1.3), rtol=1e-6)
    assert "guessed" in " ".join(volume.notes)
    assert read_volume(write_nifti(tmp_path / "placed.nii", toy)).notes == ()


def test_a_header_with_geometry_wins_over_the_hint_and_says_so(
    tmp_path: Path, toy: Volume, write_nifti: Callable[..., Path]
) -> None:
    path = write_nifti(tmp_path / "ct.nii.gz", toy)
    volume = read_volume(path, HINT)
    np.testing.assert_allclose(volume.affine, toy.affine, atol=1e-4)
    assert "0.7 x 0.9 x 1.3" in " ".join(volume.notes)
    assert read_volume(path, replace(HINT, spacing_mm=(0.7, 0.9, 1.301))).notes == ()


def test_the_stated_spacing_of_an_unplaced_header_stays(tmp_path: Path, toy: Volume) -> None:
    volume = read_volume(bare(tmp_path / "ct.nii.gz", toy, (0.7, 0.9, 1.3)), HINT)
    np.testing.assert_allclose(volume.spacing_mm, (0.7, 0.9, 1.3), rtol=1e-6)
    assert volume.axis_codes == "LPS"
    assert "kept" in volume.notes[0]


def test_lengths_in_metres_become_mm(tmp_path: Path, toy: Volume) -> None:
    metres = toy.affine.copy()
    metres[:3] /= 1000
    image = nib.Nifti1Image(toy.hu, metres)
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "ct.nii")
    np.testing.assert_allclose(read_volume(tmp_path / "ct.nii").affine, toy.affine, atol=1e-4)


def test_a_scan_that_was_compressed_twice_says_so(tmp_path: Path, toy: Volume) -> None:
    nib.Nifti1Image(toy.hu, toy.affine).to_filename(tmp_path / "ct.nii.gz")
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress((tmp_path / "ct.nii.gz").read_bytes()))
    with pytest.raises(SimcropError, match="compressed twice"):
        read_volume(tmp_path / "ct.nii.gz")

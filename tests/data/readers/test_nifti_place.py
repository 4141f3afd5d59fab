"""Which of sform, qform and pixdim counts, held against nibabel where that reads the same statement.

Axes: i, j, k of the toy, 5 x 7 x 9 voxels of 0.7, 0.9, 1.3 mm; affines in RAS+ mm.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from simcrop.data.guess import is_guess
from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

Affine = np.ndarray
MM = (0.7, 0.9, 1.3)
UNIT = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Header:
    """What is written; a form of None is not coded."""

    sform: Affine | None = None
    qform: Affine | None = None
    pixdim: tuple[float, float, float] = MM
    sform_code: int = 1
    quaternion: tuple[float, float, float] | None = None
    unit: int = 2

    def write(self, path: Path, hu: np.ndarray) -> Path:
        image = nib.Nifti1Image(hu.astype(np.int16), None)
        if self.qform is not None:
            image.header.set_qform(self.qform, code=1)
        if self.sform is not None:
            image.header.set_sform(self.sform, code=self.sform_code)
        image.header["pixdim"][1:4] = self.pixdim
        if self.quaternion is not None:
            image.header["qform_code"] = 1
            for letter, value in zip("bcd", self.quaternion, strict=True):
                image.header[f"quatern_{letter}"] = value
        image.header["xyzt_units"], image.header["vox_offset"] = self.unit, 352
        # An image would make its forms agree: the header goes to the file as it is.
        content = image.header.binaryblock + bytes(4) + hu.astype("<i2").tobytes(order="F")
        path.write_bytes(content)
        return path


def lps(*mm: float, at: tuple[float, float, float] = (30.0, 40.0, -50.0)) -> Affine:
    affine = np.diag([-mm[0], -mm[1], mm[2], 1.0])
    affine[:3, 3] = at
    return affine


def moved(affine: Affine, by: float) -> Affine:
    return np.block([[affine[:3, :3], affine[:3, 3:] + by], [np.zeros((1, 3)), 1]])


def turned(degrees: float) -> Affine:
    """About the axis from right to left, as a table or a gantry may be."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]])


def sheared(degrees: float, *mm: float) -> Affine:
    """Slices that shift to the front as they go up."""
    affine = lps(*mm)
    affine[1, 2] = mm[2] * np.tan(np.radians(degrees))
    return affine


SOUND = {
    "sform alone": Header(lps(*MM)),
    "qform alone": Header(qform=lps(*MM)),
    "both": Header(lps(*MM), lps(*MM)),
    "oblique": Header(turned(23) @ lps(*MM), turned(23) @ lps(*MM)),
    "oblique and half a turn": Header(turned(179.9) @ lps(*MM), turned(179.9) @ lps(*MM)),
    "a pixdim of zeros": Header(lps(*MM), pixdim=(0, 0, 0)),
    "a negative pixdim": Header(lps(*MM), pixdim=(-0.7, 0.9, 1.3)),
    "half a per cent": Header(lps(0.7, 0.9, 1.3065), lps(*MM)),
    "one true millimetre": Header(lps(1, 1, 1), lps(1, 1, 1), pixdim=(1, 1, 1)),
    "an atlas": Header(lps(*MM), lps(*MM), sform_code=4),
}


@pytest.mark.parametrize("name", SOUND)
def test_statements_that_agree_are_read_as_nibabel_reads_them_and_without_a_note(
    tmp_path: Path, toy: Volume, name: str
) -> None:
    path = SOUND[name].write(tmp_path / "ct.nii", toy.hu)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.affine, nib.load(path).affine, atol=1e-5)
    assert volume.notes == (
        ("its axes stand 23 degrees off those of the patient and are not turned",) * (name == "oblique")
    )


SETTLED = {
    "sides": (Header(lps(*MM), np.diag([*MM, 1.0])), lps(*MM), "different sides, LPS and RAS"),
    "place": (Header(lps(*MM), moved(lps(*MM), 2.0)), lps(*MM), "up to 3.464 mm apart"),
    "rotation": (Header(lps(*MM), turned(9) @ lps(*MM)), lps(*MM), "mm apart"),
    "no pixdim": (Header(lps(*MM), pixdim=(1, 1, 1)), lps(*MM), "pixdim states no size"),
    "unit cosines": (Header(moved(UNIT, 7)), moved(UNIT @ np.diag([*MM, 1]), 7), "states no size"),
    "unit cosines, qform": (Header(UNIT, lps(*MM)), lps(*MM), "the qform's place and 0.7 x 0.9 x 1.3 mm"),
    "identity": (Header(np.eye(4)), np.diag([*MM, 1]), "pixdim's 0.7 x 0.9 x 1.3 mm are taken"),
    "identity, qform": (Header(np.eye(4), lps(*MM)), lps(*MM), "with sides LPS and not RAS"),
    "a stretched atlas": (Header(lps(0.9, 1.1, 1.5), lps(*MM), sform_code=3), lps(*MM), "into an atlas"),
    "a sheared atlas": (Header(sheared(20, 1, 1, 2), lps(*MM), sform_code=4), lps(*MM), "into an atlas"),
    "a broken qform": (
        Header(lps(*MM), quaternion=(1, 1, 0)),
        lps(*MM),
        "the qform is no rotation",
    ),
    "a sform of zeros": (Header(np.diag([0.0, 0, 0, 1]), lps(*MM)), lps(*MM), "the sform places no voxel"),
    "a sform of NaN": (Header(lps(*MM) * np.nan, lps(*MM)), lps(*MM), "the sform places no voxel"),
    "micrometres": (
        Header(lps(*np.multiply(MM, 1000)), pixdim=(700, 900, 1300), unit=3),
        lps(*MM, at=(0.03, 0.04, -0.05)),
        "multiplied by 0.001",
    ),
}


@pytest.mark.parametrize("name", SETTLED)
def test_statements_that_differ_are_settled_with_a_note(tmp_path: Path, toy: Volume, name: str) -> None:
    header, wanted, words = SETTLED[name]
    volume = read_volume(header.write(tmp_path / "ct.nii", toy.hu))
    np.testing.assert_allclose(volume.affine, wanted, atol=1e-4)
    assert words in volume.notes[0]
    assert not any(letter in note for note in volume.notes for letter in ":;")


CONTRADICTING = {
    "a third too long": Header(lps(5, 5, 9.33), lps(5, 5, 7), pixdim=(5, 5, 7)),
    "sform alone": Header(lps(5, 5, 9.33), pixdim=(5, 5, 7)),
    "two per cent": Header(lps(5, 5, 7.14), pixdim=(5, 5, 7)),
    "axes exchanged": Header(lps(5, 7, 5), pixdim=(5, 5, 7)),
    "old sizes beside a new qform": Header(lps(*MM), lps(1, 1, 1), pixdim=(1, 1, 1)),
    "one blank size": Header(lps(5, 5, 9.33), pixdim=(5, 0, 7)),
}


@pytest.mark.parametrize("name", CONTRADICTING)
def test_sizes_that_contradict_one_another_are_refused(tmp_path: Path, toy: Volume, name: str) -> None:
    path = CONTRADICTING[name].write(tmp_path / "ct.nii", toy.hu)
    with pytest.raises(SimcropError, match="the sform's voxels measure") as caught:
        read_volume(path)
    assert caught.value.reason == "contradicting-geometry"


@pytest.mark.parametrize("excess", [6e-7, 1e-4, 8e-3])
def test_a_quaternion_slightly_too_long_is_normalised(tmp_path: Path, toy: Volume, excess: float) -> None:
    header = Header(quaternion=(0.0, 0.6 * (1 + excess), 0.8 * (1 + excess)))
    volume = read_volume(header.write(tmp_path / "ct.nii", toy.hu))
    exact = replace(header, quaternion=(0.0, 0.6 * (1 - 1e-7), 0.8 * (1 - 1e-7)))
    np.testing.assert_allclose(
        volume.affine, nib.load(exact.write(tmp_path / "e.nii", toy.hu)).affine, atol=2e-3
    )
    np.testing.assert_allclose(volume.spacing_mm, MM, rtol=1e-6)


@pytest.mark.parametrize("quaternion", [(1.0, 0.3, 0.0), (np.nan, 0.0, 0.0)])
def test_a_quaternion_that_is_no_rotation_is_refused(
    tmp_path: Path, toy: Volume, quaternion: tuple[float, float, float]
) -> None:
    with pytest.raises(SimcropError, match="no rotation") as caught:
        read_volume(Header(quaternion=quaternion).write(tmp_path / "ct.nii", toy.hu))
    assert caught.value.reason == "singular-affine"


GUESSED = {
    "nothing": (Header(pixdim=(1, 1, 1)), ("voxels of 1 x 1 x 1 mm", "axes R, A, S", "position 0")),
    "zeros": (Header(pixdim=(0, 0, 0)), ("voxels of 1 x 1 x 1 mm", "axes R, A, S", "position 0")),
    "sizes alone": (Header(), ("axes R, A, S", "position 0")),
    "the identity": (Header(np.eye(4), pixdim=(1, 1, 1)), ("voxels of 1 x 1 x 1 mm", "axes R, A, S")),
    "a qform without depth": (Header(qform=lps(*MM), pixdim=(0.7, 0.9, 0)), ("voxels of 0.7 x 0.9 x 1 mm",)),
    "an unknown unit": (Header(lps(*MM), unit=5), ("lengths in mm",)),
}


@pytest.mark.parametrize("name", GUESSED)
def test_what_the_header_does_not_state_is_guessed_with_a_note(
    tmp_path: Path, toy: Volume, name: str
) -> None:
    header, guesses = GUESSED[name]
    notes = read_volume(header.write(tmp_path / "ct.nii", toy.hu)).notes
    assert len(notes) == len(guesses)
    for note, words in zip(notes, guesses, strict=True):
        assert note.startswith(f"guessed {words}")
        assert is_guess(note)


@pytest.mark.parametrize("degrees", [3.0, 12.0, 20.0, -15.0])
@pytest.mark.parametrize("as_pixdim", [True, False])
def test_a_sheared_affine_is_refused_as_the_tilt_that_it_is(
    tmp_path: Path, toy: Volume, degrees: float, as_pixdim: bool
) -> None:
    """Converters write the distance along the slant or across the slices into pixdim."""
    affine = sheared(degrees, 0.7, 0.9, 5.0)
    depth = float(np.linalg.norm(affine[:3, 2])) if as_pixdim else 5.0
    path = Header(affine, pixdim=(0.7, 0.9, depth)).write(tmp_path / "ct.nii", toy.hu)
    with pytest.raises(SimcropError, match="tilted gantry") as caught:
        read_volume(path)
    assert caught.value.reason == "tilted-slices"


def test_rounding_is_no_shear(tmp_path: Path) -> None:
    """As large as scans are, with cosines of six digits, and float32 in the header."""
    random = np.random.default_rng(5)
    hu = np.choose(random.choice(3, (64, 64, 40)), [-1000, -850, 40]) + random.integers(-60, 60, (64, 64, 40))
    large = np.pad(hu, ((0, 448), (0, 448), (0, 0)), mode="wrap").astype(np.int16)
    for degrees in (0.3, 17, 89.7):
        axes = np.round(turned(degrees)[:3, :3] @ turned(degrees)[[1, 2, 0]][:, [1, 2, 0, 3]][:3, :3], 6)
        affine = np.eye(4)
        affine[:3, :3] = axes * (0.671875, 0.671875, 0.8)
        path = Header(affine, pixdim=(0.671875, 0.671875, 0.8)).write(tmp_path / "ct.nii", large)
        assert [n for n in read_volume(path).notes if not n.startswith("its axes stand")] == []

"""A submission's zip, sound and wrong in every way that it can be: each has its own line.

Axes: F finding; H, W, D voxels of the scan's own file.
"""

import gzip
import re
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from simcrop.data.writers.finding_masks import write_findings
from simcrop.errors import SimcropError
from simcrop.tasks.grounding.rex_submission import Checked, check_zip, write_zip

SHAPE = (5, 7, 3)
SHAPES = {"train_1_a_1.nii.gz": (2, *SHAPE), "valid_3_b_2.nii.gz": (1, *SHAPE)}


@pytest.fixture
def masks(tmp_path: Path) -> dict[str, Path]:
    """The files of a sound submission."""
    made = {}
    for name, (count, *_) in SHAPES.items():
        found = np.random.default_rng(count).integers(0, 2, (*SHAPE[::-1], count), np.uint8)
        made[name] = tmp_path / name
        write_findings(made[name], iter(found), count, SHAPE, np.diag([-1.0, -1.0, 2.0, 1.0]))
    return made


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def nifti(voxels: np.ndarray) -> bytes:
    return gzip.compress(nib.Nifti1Image(voxels, np.eye(4)).to_bytes())


def test_what_is_written_is_sound_flat_and_the_same_twice(masks: dict[str, Path], tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        write_zip(tmp_path / name, list(masks.values()))
    assert check_zip(tmp_path / "a.zip", SHAPES) == Checked(2, 3, 3 * 5 * 7 * 3)
    assert check_zip(tmp_path / "a.zip", None, 2).scans == 2
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == sorted(SHAPES)
        for name, path in masks.items():
            assert archive.read(name) == path.read_bytes()
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


MEMBER = "train_1_a_1.nii.gz"
ONES = np.ones((2, *SHAPE), np.uint8)
WRONG: dict[str, tuple[dict[str, bytes | None], str]] = {
    "folder": ({"masks/train_1_a_1.nii.gz": nifti(ONES), MEMBER: None}, "lies in a folder"),
    "other file": ({"notes.txt": b"x"}, "notes.txt is no .nii.gz"),
    "missing": ({MEMBER: None}, "1 scans are missing, the first is train_1_a_1.nii.gz"),
    "unknown": ({"train_9_a_1.nii.gz": nifti(ONES)}, "train_9_a_1.nii.gz is no scan of the split"),
    "too few findings": ({MEMBER: nifti(ONES[:1])}, "has the shape 1 x 5 x 7 x 3, expected 2 x 5 x 7 x 3"),
    "turned": ({MEMBER: nifti(ONES.transpose(0, 3, 2, 1))}, "has the shape 2 x 3 x 7 x 5, expected 2 x 5"),
    "findings last": ({MEMBER: nifti(ONES.transpose(1, 2, 3, 0))}, "has the shape 5 x 7 x 3 x 2"),
    "no findings": ({MEMBER: nifti(ONES[0])}, "has the shape 5 x 7 x 3, expected (F, H, W, D)"),
    "float": ({MEMBER: nifti(ONES.astype(np.float32))}, "is of float32, expected uint8"),
    "two": ({MEMBER: nifti(ONES * 2)}, "holds the value 2, expected 0 and 1"),
    "torn": ({MEMBER: nifti(ONES)[:-30]}, "is no whole .nii.gz"),
    "short": ({MEMBER: gzip.compress(gzip.decompress(nifti(ONES))[:-7])}, "ends 7 voxels too early"),
    "long": ({MEMBER: gzip.compress(gzip.decompress(nifti(ONES)) + b"x")}, "more bytes than its 210 voxels"),
    "text": ({MEMBER: b"this is no gzip"}, "is no whole .nii.gz"),
    "no nifti": ({MEMBER: gzip.compress(b"y" * 999)}, "not a NIfTI file"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_one_is_refused_in_one_line_that_says_where(
    masks: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    changed, words = WRONG[kind]
    members = {name: path.read_bytes() for name, path in masks.items()} | changed
    path = zipped(
        tmp_path / "s.zip", {name: content for name, content in members.items() if content is not None}
    )
    with pytest.raises(SimcropError, match=re.escape(words)) as raised:
        check_zip(path, SHAPES)
    assert raised.value.reason == "bad-submission"
    assert "\n" not in raised.value.sentence


def test_the_number_of_files_is_300_unless_said(masks: dict[str, Path], tmp_path: Path) -> None:
    write_zip(tmp_path / "s.zip", list(masks.values()))
    with pytest.raises(SimcropError, match="2 files, expected 300"):
        check_zip(tmp_path / "s.zip")
    with pytest.raises(SimcropError, match="2 files, expected 3"):
        check_zip(tmp_path / "s.zip", SHAPES, 3)


def test_what_is_no_zip_and_what_is_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "s.zip").write_bytes(b"PK nothing")
    with pytest.raises(SimcropError, match="no sound zip archive"):
        check_zip(tmp_path / "s.zip")
    with pytest.raises(SimcropError, match="no such file"):
        check_zip(tmp_path / "t.zip")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_told(masks: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (MEMBER, MEMBER):
            archive.writestr(name, masks[MEMBER].read_bytes())
    with pytest.raises(SimcropError, match="is there twice"):
        check_zip(path, None, 2)

"""Which paths below a folder are scans: each once, none outside, and no reason code without a meaning."""

import ast
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

import simcrop
from simcrop.data.readers import find_scans, is_scan, read_volume
from simcrop.data.readers.reasons import MASK_REASONS, SCAN_REASONS
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

Slices = list[pydicom.FileDataset]


@pytest.fixture
def cohort(
    tmp_path: Path,
    toy: Volume,
    write_nifti: Callable[..., Path],
    write_itk: Callable[[Path, Volume], Path],
    dicom_slices: Callable[[Volume], Slices],
    save_slices: Callable[[Path, Slices], Path],
) -> Path:
    """One NIfTI, one MetaImage pair, one DICOM folder two levels down, a table, and a structure set alone."""
    root = tmp_path / "cohort"
    (root / "b" / "c").mkdir(parents=True)
    write_nifti(root / "b" / "x.nii.gz", toy)
    write_itk(root / "a.mhd", toy)
    save_slices(root / "b" / "c", dicom_slices(toy))
    (root / "table.csv").write_text("id\n1\n")
    structures = dicom_slices(toy)[0]
    structures.SOPClassUID = structures.file_meta.MediaStorageSOPClassUID = pydicom.uid.RTStructureSetStorage
    del structures.PixelData, structures.Rows
    save_slices(root / "structures", [structures])
    return root


def test_each_scan_is_found_once_in_order(cohort: Path) -> None:
    found = [p.relative_to(cohort).as_posix() for p in find_scans(cohort)]
    assert found == ["a.mhd", "b/c", "b/x.nii.gz"]
    for path in find_scans(cohort):
        read_volume(path)


def test_a_single_scan_is_its_own_root(cohort: Path) -> None:
    assert find_scans(cohort / "a.mhd") == [cohort / "a.mhd"]
    assert find_scans(cohort / "b" / "c") == [cohort / "b" / "c"]
    assert find_scans(cohort / "table.csv") == []


def test_voxel_files_slices_and_structure_sets_are_no_scans_of_their_own(cohort: Path) -> None:
    assert not is_scan(cohort / "a.raw")
    assert not is_scan(next((cohort / "b" / "c").iterdir()))
    assert not is_scan(cohort / "structures")
    assert not is_scan(cohort / "gone.nii.gz")


def test_links_out_of_the_folder_are_not_followed(
    cohort: Path, toy: Volume, write_nifti: Callable[..., Path]
) -> None:
    before = find_scans(cohort)
    outside = cohort.parent / "outside"
    outside.mkdir()
    write_nifti(outside / "secret.nii.gz", toy)
    (cohort / "folder").symlink_to(outside)
    (cohort / "file.nii.gz").symlink_to(outside / "secret.nii.gz")
    (cohort / "0_again.nii.gz").symlink_to(cohort / "b" / "x.nii.gz")
    (cohort / "loop").symlink_to(cohort)
    assert find_scans(cohort) == before


def test_what_is_asked_of_the_disk_does_not_grow_with_the_number_of_slices(
    cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counted(name: str, ask: Callable) -> Callable:
        def answer(*args, **more):
            asked.append(name)
            return ask(*args, **more)

        return answer

    for module, name in [(os, "stat"), (os, "lstat"), (os, "readlink"), (os, "scandir"), (io, "open")]:
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    before = find_scans(cohort)
    few = list(asked)
    assert few.count("scandir") == 4  # the root, b, b/c and structures
    assert len(few) < 12
    slices = sorted((cohort / "b" / "c").iterdir())
    for number in range(60):
        (cohort / "b" / "c" / f"z{number}.dcm").write_bytes(slices[0].read_bytes())
        (cohort / "b" / f"z{number}.txt").touch()
        (cohort / f"z{number}.raw").touch()
    asked.clear()
    assert find_scans(cohort) == before
    assert asked == few
    (cohort / "b" / "link.nii.gz").symlink_to(cohort / "a.mhd")
    asked.clear()
    assert find_scans(cohort) == before
    assert len(few) < len(asked) < len(few) + 60  # each part of its path


def test_links_in_a_circle_or_to_nothing_and_pipes_are_no_scans(cohort: Path) -> None:
    before = find_scans(cohort)
    (cohort / "round.nii").symlink_to(cohort / "again.nii")
    (cohort / "again.nii").symlink_to(cohort / "round.nii")
    (cohort / "nowhere.nii").symlink_to(cohort / "gone.nii")
    for name in ("pipe.nii.gz", "pipe.zip", "pipe"):
        os.mkfifo(cohort / name)
    assert find_scans(cohort) == before


def test_folder_that_may_not_be_opened_is_listed_and_then_refused_by_name(
    cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may open everything, so the system's answer is played."""
    closed = cohort / "closed"
    closed.mkdir()

    def deny(ask):
        def answer(path, *more):
            if Path(path) == closed:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return ask(path, *more)

        return answer

    before = find_scans(cohort)
    monkeypatch.setattr(os, "scandir", deny(os.scandir))
    monkeypatch.setattr(os, "listdir", deny(os.listdir))
    assert find_scans(cohort) == sorted([*before, closed])
    with pytest.raises(SimcropError, match="closed: cannot be read: Permission denied"):
        read_volume(closed)


def test_slices_that_are_links_out_of_their_folder_are_refused(cohort: Path) -> None:
    slices = sorted((cohort / "b" / "c").iterdir())
    slices[3].rename(cohort / "elsewhere.dcm")
    slices[3].symlink_to(cohort / "elsewhere.dcm")
    with pytest.raises(SimcropError, match="leads out of its folder") as caught:
        read_volume(cohort / "b" / "c")
    assert caught.value.reason == "unsafe-path"


def test_an_unknown_kind_of_file_is_refused(cohort: Path) -> None:
    with pytest.raises(SimcropError) as caught:
        read_volume(cohort / "table.csv")
    assert caught.value.reason == "unknown-format"


def test_every_reason_raised_is_in_the_table_and_every_entry_is_raised() -> None:
    data = Path(simcrop.__file__).parent / "data"
    files = [*(data / "readers").glob("*.py"), data / "hounsfield.py", data / "volume.py"]
    raised = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "SimcropError":
                reason = node.args[0]
                if isinstance(reason, ast.Constant):
                    raised.add(reason.value)
    assert raised - MASK_REASONS.keys() == set(SCAN_REASONS)

"""A zip of DICOM slices: read without unpacking, refused when it is hostile or broken."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from simcrop.data.readers import archive, read_volume
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

Slices = list[pydicom.FileDataset]


@pytest.fixture
def packed(
    tmp_path: Path,
    toy: Volume,
    dicom_slices: Callable[[Volume], Slices],
    save_slices: Callable[[Path, Slices], Path],
) -> Path:
    """A zip of nine slices in two folders, beside a text file and a Mac's leftovers."""
    folder = save_slices(tmp_path / "scan", dicom_slices(toy))
    with zipfile.ZipFile(tmp_path / "scan.zip", "w", zipfile.ZIP_DEFLATED) as target:
        for i, path in enumerate(sorted(folder.iterdir())):
            target.write(path, f"a/{'b/' * (i % 2)}{path.name}")
        target.writestr("a/readme.txt", "nine slices")
        target.writestr("__MACOSX/a/._1.dcm", "leftover")
    return tmp_path / "scan.zip"


def reason(path: Path) -> str:
    with pytest.raises(SimcropError) as caught:
        read_volume(path)
    assert path.name in caught.value.sentence
    return caught.value.reason


def test_a_zip_of_slices_is_the_same_scan_and_nothing_is_unpacked(
    packed: Path, same_scan: Callable[[Volume], None]
) -> None:
    before = sorted(packed.parent.rglob("*"))
    same_scan(read_volume(packed))
    assert sorted(packed.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["../evil.dcm", "/evil.dcm", "a/../../evil.dcm", "C:/evil.dcm", "..\\evil.dcm"]
)
def test_a_member_outside_the_archive_is_refused(packed: Path, name: str) -> None:
    with zipfile.ZipFile(packed, "a") as target:
        target.writestr(name, "x")
    assert reason(packed) == "unsafe-path"


def test_a_zip_that_inflates_too_far_is_refused(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "INFLATED_LIMIT", 5000)
    assert reason(packed) == "absurd-size"


def test_broken_and_empty_zips_are_refused(packed: Path) -> None:
    whole = packed.read_bytes()
    packed.write_bytes(whole[:-50])
    assert reason(packed) == "corrupt-file"
    packed.write_bytes(whole[:300] + bytes(60) + whole[360:])
    assert reason(packed) in ("corrupt-file", "truncated-file", "unreadable")
    with zipfile.ZipFile(packed, "w") as target:
        target.writestr("readme.txt", "no scan")
    assert reason(packed) == "no-scan"

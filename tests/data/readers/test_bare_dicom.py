"""Slices that begin with their data set: read whatever they are called, and nothing else is taken for one."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from simcrop.data.readers import find_scans, read_volume
from simcrop.data.readers.bare_dicom import bare_storage, begins_data_set
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

Slices = list[pydicom.FileDataset]


def bare(data: pydicom.Dataset, how: str) -> bytes:
    """A slice without preamble: implicit or explicit, with a group length, or with its meta group first."""
    if how == "meta":
        file = io.BytesIO()
        data.save_as(file, enforce_file_format=True)
        return file.getvalue()[132:]
    plain, file = pydicom.Dataset(data), io.BytesIO()
    if how == "big":
        plain.PixelData = np.frombuffer(data.PixelData, "<u2").byteswap().tobytes()
        pydicom.dcmwrite(file, plain, implicit_vr=False, little_endian=False)
        return file.getvalue()
    if how == "length":
        plain.add_new(0x00080000, "UL", 200)
    pydicom.dcmwrite(file, plain, implicit_vr=how != "explicit", little_endian=True)
    return file.getvalue()


@pytest.mark.parametrize("how", ["implicit", "explicit", "length", "meta", "big"])
@pytest.mark.parametrize("name", ["IM{:04}", "1.2.840.{}", "{}.img", "{}.mri"])
def test_bare_slices_are_found_and_read(
    tmp_path: Path,
    toy: Volume,
    dicom_slices: Callable[[Volume], Slices],
    same_scan: Callable[[Volume], None],
    how: str,
    name: str,
) -> None:
    for i, data in enumerate(dicom_slices(toy)):
        (tmp_path / name.format(i)).write_bytes(bare(data, how))
    (tmp_path / "VERSION").write_text("1")
    (tmp_path / "damaged").write_bytes(bytes(300))
    assert find_scans(tmp_path) == [tmp_path]
    volume = read_volume(tmp_path)
    same_scan(volume)
    assert "files beside the slices that are no DICOM: 1" in volume.notes


def test_a_bare_file_without_a_picture_makes_no_scan(
    tmp_path: Path, toy: Volume, dicom_slices: Callable[[Volume], Slices]
) -> None:
    data = dicom_slices(toy)[0]
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = pydicom.uid.RTStructureSetStorage
    for how in ("implicit", "explicit", "meta"):
        (tmp_path / how).write_bytes(bare(data, how))
        assert bare_storage((tmp_path / how).read_bytes()[:1024]) == pydicom.uid.RTStructureSetStorage
    assert find_scans(tmp_path) == []


def test_a_bare_file_that_is_deflated_is_not_inflated(
    tmp_path: Path, toy: Volume, dicom_slices: Callable[[Volume], Slices]
) -> None:
    for i, data in enumerate(dicom_slices(toy)):
        data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
        (tmp_path / f"{i}").write_bytes(bare(data, "meta"))
    with pytest.raises(SimcropError, match="deflated as a whole"):
        read_volume(tmp_path)


def test_other_bytes_are_no_data_set(real_data: Path) -> None:
    random = np.random.default_rng(0)
    assert not any(
        begins_data_set(head + random.bytes(130)) for head in (b"\x08\0", b"\x02\0") for _ in range(2000)
    )
    for kind in ("<u2", "<i4", "<f4", ">u2"):
        for start in range(9):
            assert not begins_data_set(np.arange(start, start + 80).astype(kind).tobytes()[:132])
            assert not begins_data_set(np.full(80, start).astype(kind).tobytes()[:132])
    for text in (b"", b"\x08\0", b"8 0 5", b"id,findings\n", bytes(132)):
        assert not begins_data_set(text)
    others = [p for p in (real_data / "ct").rglob("*") if p.is_file() and p.suffix != ".dcm"]
    for path in others[:50]:
        with path.open("rb") as file:
            assert not begins_data_set(file.read(132)), path

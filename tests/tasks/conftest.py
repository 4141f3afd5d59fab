"""Small chests on disk, sound and broken in every way that users meet.

Axes: x, y, z with 29, 23, 17 voxels at 2.0, 2.5, 4.0 mm.
"""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SHAPE = (29, 23, 17)
AFFINE = np.diag([-2.0, -2.5, 4.0, 1.0])


def chest(seed: int = 0) -> np.ndarray:
    """Air round a soft body with lungs, int16 HU, different for each seed."""
    hu = np.full(SHAPE, -1000.0)
    hu[4:-4, 4:-4] = 40
    hu[7:12, 7:-7] = -850
    return (hu + np.random.default_rng(seed).normal(0, 15, SHAPE)).astype(np.int16)


def save_nifti(path: Path, hu: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(hu, affine).to_filename(path)
    return path


def save_dicom(folder: Path, hu: np.ndarray, patient: str = "Toy^Chest", series: str | None = None) -> Path:
    """One file per slice along z, slices numbered from 1; the scan's own x runs left, its y to the back."""
    folder.mkdir(parents=True, exist_ok=True)
    series = series or generate_uid()
    for z in range(hu.shape[2]):
        meta = pydicom.dataset.FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        data = pydicom.FileDataset("slice", {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        data.PatientName, data.PatientID, data.Modality = patient, f"{patient}-ID", "CT"
        data.SeriesInstanceUID, data.InstanceNumber = series, z + 1
        data.ImageOrientationPatient, data.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 4 * z]
        data.PixelSpacing, data.Columns, data.Rows = [2.5, 2.0], hu.shape[0], hu.shape[1]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
        data.RescaleSlope, data.RescaleIntercept = 1, 0
        data.PixelData = np.ascontiguousarray(hu[:, :, z].T).tobytes()
        data.save_as(folder / f"{series[-4:]}_{z:03d}.dcm", enforce_file_format=True)
    return folder


def save_zip(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"export/{file.name}")
    return path


def truncated(path: Path) -> Path:
    whole = save_nifti(path, chest()).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def with_a_hole(path: Path) -> Path:
    hu = chest().astype(np.float32)
    hu[9, 8, 7] = np.nan
    return save_nifti(path, hu)


def singular(path: Path) -> Path:
    header = bytearray(gzip.decompress(save_nifti(path, chest()).read_bytes()))
    header[252:256] = (0).to_bytes(2, "little") + (2).to_bytes(2, "little")  # no qform, an aligned sform
    header[280:328] = np.zeros(12, "<f4").tobytes()
    path.write_bytes(gzip.compress(bytes(header)))
    return path


def missing_slice(path: Path) -> Path:
    sorted(save_dicom(path, chest()).iterdir())[5].unlink()
    return path


def duplicate_slice(path: Path) -> Path:
    first = sorted(save_dicom(path, chest()).iterdir())[5]
    again = pydicom.dcmread(first)
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    again.save_as(path / "again.dcm", enforce_file_format=True)
    return path


def two_series(path: Path) -> Path:
    save_dicom(path, chest(1), series=generate_uid())
    return save_dicom(path, chest(2), series=generate_uid())


def text_in(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("This is no scan.\n")
    return path


def no_bytes(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def folder_of_text(path: Path) -> Path:
    return text_in(path / "notes.txt").parent


# How it is written, under which name, the reason in the ledger (none: no scan is seen), what the line must say.
Broken = tuple[Callable[[Path], Path], str, str | None, str]
BROKEN: dict[str, Broken] = {
    "empty": (no_bytes, "ct.nii.gz", "empty-file", "no bytes"),
    "truncated": (truncated, "ct.nii.gz", "truncated-file", "ends"),
    "flat": (lambda p: save_nifti(p, chest()[:, :, 3]), "ct.nii.gz", "not-3d", "(29, 23)"),
    "film": (lambda p: save_nifti(p, np.stack([chest(1), chest(2)], -1)), "ct.nii", "not-3d", "17, 2)"),
    "nan": (with_a_hole, "ct.nii.gz", "not-finite", "NaN"),
    "zeros": (lambda p: save_nifti(p, np.zeros(SHAPE, np.int16)), "ct.nii.gz", "constant", "0"),
    "mask": (lambda p: save_nifti(p, (chest() > 0).astype(np.int16)), "ct.nii.gz", "not-ct", "no CT"),
    "bytes": (
        lambda p: save_nifti(p, ((chest().clip(-1000, 1000) + 1000) * 0.1275).astype(np.uint8)),
        "ct.nii.gz",
        "not-ct",
        "no CT",
    ),
    "singular": (singular, "ct.nii.gz", "singular-affine", "affine"),
    "missing-slice": (missing_slice, "series", "missing-slices", "slice 6 missing"),
    "duplicate-slice": (duplicate_slice, "series", "duplicate-slices", "6 and 6"),
    "two-series": (two_series, "series", "several-series", "2 CT series"),
    "text": (text_in, "ct.txt", None, "no reader"),
    "text-as-nifti": (text_in, "ct.nii", "unreadable", "NIfTI"),
    "no-scans": (folder_of_text, "folder", None, "no"),
}


@pytest.fixture(params=BROKEN)
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """A scan that nobody can use, and words that its refusal must hold."""
    write, name, _, words = BROKEN[request.param]
    return write(tmp_path / "in" / name), words


@pytest.fixture(scope="session")
def chests() -> dict[str, Callable[..., Path]]:
    """Writers by name; a test folder cannot import from its own conftest."""
    return {"hu": chest, "nifti": save_nifti, "dicom": save_dicom, "zip": save_zip}


@pytest.fixture
def broken_folder(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """One good scan among all the broken ones, and the reason that the ledger must give for each."""
    raw, reasons = tmp_path / "raw", {}
    save_nifti(raw / "good.nii.gz", chest())
    for kind, (write, name, reason, _) in BROKEN.items():
        write(raw / kind / name)
        if reason:
            reasons[kind] = reason
    return raw, reasons

"""Small chests on disk, sound and broken in every way that users meet.

Axes: x, y, z with 29, 23, 17 voxels at 2.0, 2.5, 4.0 mm.
"""

import gzip
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import polars as pl
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


def with_ids(folder: Path) -> Path:
    """What a hospital's slices have beside the toy's."""
    study, frame = generate_uid(), generate_uid()
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        data.StudyInstanceUID, data.FrameOfReferenceUID = study, frame
        data.save_as(path)
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
    "duplicate-slice": (duplicate_slice, "series", "duplicate-slices", "and again.dcm"),
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
    return {"hu": chest, "nifti": save_nifti, "dicom": save_dicom, "zip": save_zip, "with_ids": with_ids}


@pytest.fixture
def scans(tmp_path: Path, chests: dict[str, Callable[..., Path]]) -> Path:
    """A NIfTI, a named patient's DICOM, and one that ends in the middle."""
    raw = tmp_path / "raw"
    chests["nifti"](raw / "a b" / "ct.nii.gz", chests["hu"](1))
    chests["with_ids"](chests["dicom"](raw / "series", chests["hu"](2), patient="Zebrafinch^Quilla"))
    whole = chests["nifti"](raw / "torn.nii.gz", chests["hu"](3)).read_bytes()
    (raw / "torn.nii.gz").write_bytes(whole[: len(whole) // 2])
    return raw


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


SCANS, D = 90, 9
CLASSES, FINDINGS = ("Normal", "CP", "NCP"), ("Emphysema", "Atelectasis")
QUICK = "{batch: 16, lr: 1.0e-2, steps: 40, warmup: 4, patience: 5}"


@dataclass(frozen=True)
class Made:
    """A cohort whose labels lie along directions of its features, and these as a table."""

    cohort: Path
    features: Path
    settings: Path
    truth: np.ndarray
    values: np.ndarray

    @property
    def words(self) -> tuple[object, ...]:
        return "probe", self.features, self.cohort, "--settings", self.settings, "--head"


def made_cohort(
    toy_cohort: Path, folder: Path, names: tuple[str, ...], truth: np.ndarray, layout: str, seed: int = 0
) -> Made:
    """Two thirds of the patients to learn from, the rest to judge by."""
    index = pl.read_parquet(toy_cohort / "studies.parquet")
    index = index.drop([name for name in index.columns if name.startswith("label:")])
    patients = [f"p{i // 2:02}" for i in range(SCANS)]
    rows = pl.concat([index.head(1)] * SCANS).with_columns(
        pl.Series("id", [f"scan{i:02}" for i in range(SCANS)]),
        pl.Series("patient", patients),
        pl.Series("split", ["train" if int(name[1:]) % 3 else "valid" for name in patients]),
        *(pl.Series(f"label:{name}", truth[:, i], dtype=pl.Int8) for i, name in enumerate(names)),
    )
    cohort = folder / "cohort"
    cohort.mkdir(parents=True)
    shutil.copy(toy_cohort / "ledger.parquet", cohort)
    facts = json.loads((toy_cohort / "cohort.json").read_text())
    (cohort / "cohort.json").write_text(json.dumps(facts | {"layout": layout}))
    rows.write_parquet(cohort / "studies.parquet")
    values = np.random.default_rng(seed).normal(size=(SCANS, D)) + truth @ np.eye(D)[: len(names)] * 2
    vectors = pl.Series("embedding", values, dtype=pl.Array(pl.Float32, D))
    pl.DataFrame({"id": rows["id"]}).with_columns(vectors).write_parquet(folder / "made.parquet")
    (folder / "quick.yaml").write_text(QUICK)
    return Made(cohort, folder / "made.parquet", folder / "quick.yaml", truth, values)


def one_hot(seed: int = 0) -> np.ndarray:
    return np.eye(3, dtype=int)[np.random.default_rng(seed).integers(0, 3, SCANS)]


@pytest.fixture
def ccii(toy_cohort: Path, tmp_path: Path) -> Made:
    """Three classes of which every scan has one."""
    return made_cohort(toy_cohort, tmp_path / "ccii", CLASSES, one_hot(), "cc-ccii")


@pytest.fixture
def findings(toy_cohort: Path, tmp_path: Path) -> Made:
    """Two labels that have nothing to do with one another."""
    truth = (np.random.default_rng(0).random((SCANS, 2)) < 0.4).astype(int)
    return made_cohort(toy_cohort, tmp_path / "findings", FINDINGS, truth, "rad-chestct")


@pytest.fixture
def made() -> Callable[..., Made]:
    """Writes such a cohort."""
    return made_cohort

"""A raw folder of small scans with reports, two of them with masks; a toy chest in HU, and its DICOM series.

Axes: x, y, z with 5, 7, 9 voxels at 0.7, 0.9, 1.3 mm, RAS+.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from simcrop.data.volume import Volume

LPS = np.diag([-1.0, -1.0, 1.0])


@pytest.fixture
def source(
    tmp_path: Path, scan: Callable[..., np.ndarray], save: Callable[..., Path], lungs: np.ndarray
) -> Path:
    for i in range(5):
        save(tmp_path / f"raw/patient{i}/ct.nii.gz", scan(i))
    for i in (1, 3):
        save(tmp_path / f"raw/patient{i}/ct_mask.nii.gz", lungs)
    (tmp_path / "raw/reports.csv").write_text(
        "id,findings,impression,split,label:Emphysema\n"
        "patient0__ct,A nodule. No effusion.,Nodule.,train,1\n"
        "patient1__ct,Clear lungs.,,valid,\n"
    )
    return tmp_path / "raw"


@pytest.fixture(scope="session")
def toy() -> Volume:
    """Air outside, lung, soft tissue; hardly a number twice, so that no flip goes unseen."""
    random = np.random.default_rng(7)
    kind = random.choice(3, (5, 7, 9))
    hu = np.choose(kind, [-1000, -850, 40]) + random.integers(-60, 60, kind.shape)
    affine = np.diag([0.7, 0.9, 1.3, 1.0])
    affine[:3, 3] = (-31.5, 12.25, -200.75)
    return Volume(hu.astype(np.float32), affine)


Slices = list[pydicom.FileDataset]


@pytest.fixture(scope="session")
def dicom_slices() -> Callable[..., Slices]:
    """One data set per slice along z of a volume, stored as HU + 1100."""

    def make(volume: Volume) -> Slices:
        x, y, _ = volume.spacing_mm
        steps = LPS @ volume.affine[:3, :3] / volume.spacing_mm
        series = generate_uid()
        return [dicom_slice(volume, z, series, steps, (y, x)) for z in range(volume.shape[2])]

    return make


def dicom_slice(
    volume: Volume, z: int, series: str, steps: np.ndarray, pixel_spacing: tuple[float, float]
) -> pydicom.FileDataset:
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = pydicom.FileDataset("slice", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Modality, data.SeriesInstanceUID, data.InstanceNumber = "CT", series, z + 1
    data.ImageOrientationPatient = [round(v, 9) for v in (*steps[:, 0], *steps[:, 1])]
    data.ImagePositionPatient = (LPS @ (volume.affine @ (0, 0, z, 1))[:3]).round(6).tolist()
    data.PixelSpacing = list(pixel_spacing)
    data.Columns, data.Rows = volume.shape[:2]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.RescaleSlope, data.RescaleIntercept = 1, -1100
    # A slice holds rows: the second voxel axis runs down, the first one across.
    data.PixelData = (volume.hu[:, :, z].T + 1100).astype(np.uint16).tobytes()
    return data


@pytest.fixture(scope="session")
def save_slices() -> Callable[[Path, Slices], Path]:
    def save(folder: Path, slices: Slices) -> Path:
        folder.mkdir(exist_ok=True)
        for i, data in enumerate(slices):
            # Names that sort against the slice order: only the headers may be believed.
            data.save_as(folder / f"{1000 - 7 * i % 10}_{i}.dcm", enforce_file_format=True)
        return folder

    return save

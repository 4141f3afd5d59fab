"""A toy chest in HU that survives every file format, and writers that put it on disk.

Axes: x, y, z with 5, 7, 9 voxels at 0.7, 0.9, 1.3 mm, RAS+ unless turned.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from simcrop.data.volume import Volume

LPS = np.diag([-1.0, -1.0, 1.0])
ALL_CODES = [
    "".join(letters)
    for axes in itertools.permutations(("LR", "PA", "IS"))
    for letters in itertools.product(*axes)
]


@pytest.fixture(scope="session")
def toy() -> Volume:
    """Air outside, lung, soft tissue; hardly a number twice, so that no flip goes unseen."""
    random = np.random.default_rng(7)
    kind = random.choice(3, (5, 7, 9))
    hu = np.choose(kind, [-1000, -850, 40]) + random.integers(-60, 60, kind.shape)
    affine = np.diag([0.7, 0.9, 1.3, 1.0])
    affine[:3, 3] = (-31.5, 12.25, -200.75)
    return Volume(hu.astype(np.float32), affine)


def turned(volume: Volume, codes: str) -> Volume:
    """The same scan stored in another axis order, such as `PIL`."""
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    affine = volume.affine @ inv_ornt_aff(turn, volume.shape)
    return replace(volume, hu=apply_orientation(volume.hu, turn), affine=affine)


@pytest.fixture(params=ALL_CODES)
def turned_toy(request: pytest.FixtureRequest, toy: Volume) -> Volume:
    return turned(toy, request.param)


@pytest.fixture
def same_scan(toy: Volume) -> Callable[[Volume], None]:
    """Asserts that a scan read back is the toy, voxel by voxel and mm by mm, once in RAS+."""

    def check(volume: Volume) -> None:
        ras = volume.to_ras()
        np.testing.assert_array_equal(ras.hu, toy.hu)
        np.testing.assert_allclose(ras.affine, toy.affine, atol=1e-4)

    return check


@pytest.fixture(scope="session")
def write_nifti() -> Callable[..., Path]:
    def write(path: Path, volume: Volume, dtype: type = np.int16, **header: float) -> Path:
        image = nib.Nifti1Image(volume.hu.astype(dtype), volume.affine)
        for key, value in header.items():
            image.header[key] = value
        nib.save(image, path)
        return path

    return write


@pytest.fixture(scope="session")
def write_itk() -> Callable[[Path, Volume], Path]:
    def write(path: Path, volume: Volume) -> Path:
        image = sitk.GetImageFromArray(np.ascontiguousarray(volume.hu.astype(np.int16).T))
        image.SetSpacing(volume.spacing_mm)
        image.SetDirection((LPS @ volume.affine[:3, :3] / volume.spacing_mm).ravel().tolist())
        image.SetOrigin((LPS @ volume.affine[:3, 3]).tolist())
        sitk.WriteImage(image, str(path))
        return path

    return write


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

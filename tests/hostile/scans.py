"""One sound scan in every form that the readers know, as files in memory: what the corpus then damages.

Axes: x, y, z with 7, 9, 5 voxels at 30, 25 and 40 mm. HU of a crude chest, no two slices alike.
"""

import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813
from PIL import Image
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SHAPE = (7, 9, 5)
SPACING_MM = (30.0, 25.0, 40.0)
SECRET = "Zzyzx"  # the patient's name and a word of the report: no error may repeat it
PLACE = "CP/12/345"  # of the slices inside their archive


@dataclass(frozen=True)
class Scan:
    """Files by their place below a folder, and the place that a reader is to read."""

    files: dict[str, bytes]
    to_read: str

    def write(self, folder: Path) -> Path:
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder / self.to_read


def chest() -> np.ndarray:
    """int16 HU: air, lung and soft tissue with noise."""
    random = np.random.default_rng(11)
    hu = np.choose(random.choice(3, SHAPE, p=[0.3, 0.3, 0.4]), [-1000, -850, 40])
    return (hu + random.integers(-60, 60, SHAPE)).astype(np.int16)


def nifti(dtype: str, kind: type, packed: bool) -> Scan:
    image = kind(chest().astype(dtype), np.diag([-30.0, -25.0, 40.0, 1.0]))
    content = image.to_bytes()
    return Scan(
        {"ct.nii.gz": gzip.compress(content, mtime=0)} if packed else {"ct.nii": content}, list_name(packed)
    )


def list_name(packed: bool) -> str:
    return "ct.nii.gz" if packed else "ct.nii"


def itk(name: str, packed: bool) -> Scan:
    image = sitk.GetImageFromArray(np.ascontiguousarray(chest().T))
    image.SetSpacing(SPACING_MM)
    with TemporaryDirectory() as folder:
        sitk.WriteImage(image, str(Path(folder) / name), useCompression=packed)
        return Scan({p.name: p.read_bytes() for p in sorted(Path(folder).iterdir())}, name)


def npz(key: str, packed: bool) -> Scan:
    array = chest().transpose(2, 1, 0) if key == "ct" else (chest().transpose(2, 0, 1) / 1000).astype("f4")
    content = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(content, **{key: array})
    return Scan({"ct.npz": content.getvalue()}, "ct.npz")


def dicom_slice(z: int) -> bytes:
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.3.{z + 1}"
    data = pydicom.FileDataset("slice", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, f"1.2.3.{z + 1}"
    data.PatientName, data.PatientID, data.Modality = f"{SECRET}^A", SECRET, "CT"
    data.SeriesInstanceUID, data.InstanceNumber = "1.2.3", z + 1
    data.ImageOrientationPatient, data.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 40 * z]
    data.PixelSpacing, data.Columns, data.Rows = [25.0, 30.0], SHAPE[0], SHAPE[1]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.RescaleSlope, data.RescaleIntercept = 1, 0
    data.PixelData = np.ascontiguousarray(chest()[:, :, z].T).tobytes()
    content = io.BytesIO()
    data.save_as(content, enforce_file_format=True)
    return content.getvalue()


def dicom_folder() -> Scan:
    return Scan({f"series/{z}.dcm": dicom_slice(z) for z in range(SHAPE[2])}, "series")


def picture(z: int, form: str) -> bytes:
    grey = ((chest()[:, :, z].T.astype(float) + 1250) * (255 / 1500)).clip(0, 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(grey).save(content, form)
    return content.getvalue()


def slice_folder(form: str) -> Scan:
    return Scan({f"scan/{z}.{form.lower()}": picture(z, form) for z in range(SHAPE[2])}, "scan")


def in_zip(scan: Scan, inside: str, name: str, to_read: str) -> Scan:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, one in scan.files.items():
            entry = zipfile.ZipInfo(f"{inside}/{Path(place).name}")
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, one)
    return Scan({name: content.getvalue()}, to_read)


SCANS: dict[str, Callable[[], Scan]] = {
    "nii": lambda: nifti("int16", nib.Nifti1Image, False),
    "nii-float": lambda: nifti(">f4", nib.Nifti1Image, False),
    "nii-double": lambda: nifti("f8", nib.Nifti1Image, True),
    "nii2": lambda: nifti("int32", nib.Nifti2Image, False),
    "nii.gz": lambda: nifti("int16", nib.Nifti1Image, True),
    "mhd": lambda: itk("ct.mhd", False),
    "mhd-packed": lambda: itk("ct.mhd", True),
    "mha": lambda: itk("ct.mha", False),
    "mha-packed": lambda: itk("ct.mha", True),
    "nrrd": lambda: itk("ct.nrrd", False),
    "nrrd-packed": lambda: itk("ct.nrrd", True),
    "nhdr": lambda: itk("ct.nhdr", False),
    "nhdr-packed": lambda: itk("ct.nhdr", True),
    "npz": lambda: npz("ct", False),
    "npz-packed": lambda: npz("ct", True),
    "npz-ct-clip": lambda: npz("arr_0", True),
    "dicom": dicom_folder,
    "dicom-zip": lambda: in_zip(dicom_folder(), "export", "scan.zip", "scan.zip"),
    "png": lambda: slice_folder("PNG"),
    "jpeg": lambda: slice_folder("JPEG"),
    "bmp": lambda: slice_folder("BMP"),
    "png-zip": lambda: in_zip(slice_folder("PNG"), PLACE, "CP-1.zip", f"CP-1.zip/{PLACE}"),
}

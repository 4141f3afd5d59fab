"""Phantom scans as files: NIfTI, MetaImage, NRRD, a DICOM series, RAD-ChestCT's npz, CC-CCII's slices.

Arrays come in as `(z, y, x)` on a phantom's grid: x to the left, y to the back, z up, lengths in mm. The same voxels
always give the same bytes. Formats of the ITK family count in LPS mm, affines in RAS+ mm.
"""

import gzip
import io
import zipfile
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np

from simcrop.data.readers.slices import WINDOW_HU
from simcrop.phantom.grid import Grid
from simcrop.phantom.layouts.tree import write_file

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the date of everything in an archive
META_TYPES = {"int16": "MET_SHORT", "uint8": "MET_UCHAR"}


def write_nifti(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    """A NIfTI of `(x, y, z)`."""
    image = nib.Nifti1Image(voxels.transpose(2, 1, 0), affine)
    image.header.set_slope_inter(1.0, 0.0)
    image.header.set_xyzt_units("mm")
    write_file(path, gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))


def lps(grid: Grid) -> tuple[float, float, float]:
    """LPS mm of the first voxel's centre."""
    x, y, z = grid.first_mm
    return round(-x, 4), round(-y, 4), round(z, 4)


def write_metaimage(path: Path, voxels: np.ndarray, grid: Grid) -> None:
    """A header and its compressed voxels beside it, which come first: a header alone would promise too much."""
    packed = zlib.compress(np.ascontiguousarray(voxels).tobytes(), 1)
    data = path.with_suffix(".zraw")
    write_file(data, packed)
    fields = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": True,
        "BinaryDataByteOrderMSB": False,
        "CompressedData": True,
        "CompressedDataSize": len(packed),
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": " ".join(map(str, lps(grid))),
        "CenterOfRotation": "0 0 0",
        "AnatomicalOrientation": "RAI",
        "ElementSpacing": " ".join(map(str, grid.spacing_mm)),
        "DimSize": " ".join(map(str, grid.shape)),
        "ElementType": META_TYPES[voxels.dtype.name],
        "ElementDataFile": data.name,
    }
    write_file(path, "".join(f"{key} = {value}\n" for key, value in fields.items()).encode())


def write_nrrd(path: Path, voxels: np.ndarray, grid: Grid) -> None:
    """Header and compressed voxels in one file."""
    x, y, z = grid.spacing_mm
    header = (
        "NRRD0004\n"
        f"type: {voxels.dtype.name}\n"
        "dimension: 3\n"
        "space: left-posterior-superior\n"
        f"sizes: {' '.join(map(str, grid.shape))}\n"
        f"space directions: ({x},0,0) (0,{y},0) (0,0,{z})\n"
        "kinds: domain domain domain\n"
        "endian: little\n"
        "encoding: gzip\n"
        f"space origin: ({','.join(map(str, lps(grid)))})\n\n"
    )
    packed = gzip.compress(np.ascontiguousarray(voxels).tobytes(), compresslevel=1, mtime=0)
    write_file(path, header.encode() + packed)


def write_npz(path: Path, voxels: np.ndarray) -> None:
    """RAD-ChestCT's array `ct`: int16 HU cut at +-1000, z to the feet, y to the back, x to the left."""
    array = io.BytesIO()
    np.lib.format.write_array(array, np.ascontiguousarray(voxels[::-1].clip(-1000, 1000)), allow_pickle=False)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        member = zipfile.ZipInfo("ct.npy", LONG_AGO)
        file.writestr(member, array.getvalue(), zipfile.ZIP_DEFLATED, 1)
    write_file(path, archive.getvalue())


def png(hu: np.ndarray) -> bytes:
    """One slice `(y, x)` in HU as an 8-bit picture of the window that the reader assumes."""
    from PIL import Image

    low, high = WINDOW_HU
    grey = np.rint((hu.astype(np.float32) - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    picture = io.BytesIO()
    Image.fromarray(grey).save(picture, "PNG", compress_level=1)
    return picture.getvalue()


def write_dicom(folder: Path, voxels: np.ndarray, grid: Grid, uid: str, patient: str) -> None:
    """A series numbered from head to feet."""
    for number, path in enumerate(slice_files(folder, grid), 1):
        z = grid.shape[2] - number
        write_file(path, dicom_slice(voxels[z], grid, z, number, uid, patient))


def slice_files(folder: Path, grid: Grid) -> list[Path]:
    return [folder / f"{number:04d}.dcm" for number in range(1, grid.shape[2] + 1)]


def dicom_slice(hu: np.ndarray, grid: Grid, z: int, number: int, uid: str, patient: str) -> bytes:
    """One slice `(y, x)`, stored with an intercept of -1024."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

    left, back, low = lps(grid)
    x, y, step = grid.spacing_mm
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = UID(f"{uid}.{number}")
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.Modality, data.PatientID, data.PatientName = "CT", patient, ""
    data.StudyInstanceUID, data.SeriesInstanceUID, data.InstanceNumber = f"{uid}.0", uid, number
    data.ImagePositionPatient = [left, back, round(low + z * step, 4)]
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.PixelSpacing, data.SliceThickness = [y, x], step
    data.Rows, data.Columns = hu.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    data.PixelData = (hu + np.int16(1024)).astype("<i2").tobytes()
    content = io.BytesIO()
    data.save_as(content, enforce_file_format=True)
    return content.getvalue()

"""What others read in the same files: nibabel, SimpleITK, numpy, pydicom and Pillow, straight and without our checks.

Axes: values `(x, y, z)` as stored, float64; affine voxel index -> RAS+ mm, None where the format has none.
"""

import csv
import gzip
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813
from PIL import Image

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Seen:
    """Stored numbers, the rescale that the file states, and where it says that the scan lies."""

    values: np.ndarray
    slope: float = 1.0
    intercept: float = 0.0
    affine: np.ndarray | None = None


def seen_by_others(kind: str, path: Path) -> Seen:
    """Raises whatever the other library raises."""
    if kind.startswith("nii"):
        return by_nibabel(path)
    if kind.startswith(("m", "nrrd", "nhdr")):
        return by_simpleitk(path)
    if kind.startswith("npz"):
        return by_numpy(path)
    if kind.startswith("dicom"):
        return by_pydicom([one for _, one in members(path)])
    return by_pillow(members(path))


def members(path: Path) -> list[tuple[str, bytes]]:
    """The files of a folder, or of a folder inside a zip."""
    if path.is_dir():
        return [(p.name, p.read_bytes()) for p in sorted(path.iterdir())]
    home = next(p for p in (path, *path.parents) if p.is_file())
    with zipfile.ZipFile(home) as archive:
        names = [
            n for n in archive.namelist() if not n.startswith("__MACOSX") and archive.getinfo(n).file_size
        ]
        inside = path.relative_to(home).as_posix()
        if inside != ".":
            names = [n for n in names if n.rpartition("/")[0] == inside and n.endswith(".png")]
        return [(n.rpartition("/")[2], archive.read(n)) for n in names]


def by_nibabel(path: Path) -> Seen:
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    kind = nib.Nifti2Image if b"\x02\x1c" in (content[:2][::-1], content[2:4]) else nib.Nifti1Image
    image = kind.from_bytes(content)
    header = image.header
    values = np.asarray(image.dataobj.get_unscaled(), np.float64)  # pyright: ignore[reportAttributeAccessIssue]
    values = values.reshape(values.shape[:3])
    slope, intercept = image.dataobj.slope, image.dataobj.inter  # pyright: ignore[reportAttributeAccessIssue]
    code = int(header["xyzt_units"]) % 8
    affine = np.array(image.affine, np.float64)
    if not int(header["sform_code"]) and not int(header["qform_code"]):
        affine = np.diag([*(float(n) for n in header.get_zooms()[:3]), 1.0])
    return Seen(
        values,
        float(slope),
        float(intercept),
        np.diag([*[{1: 1000.0, 3: 0.001}.get(code, 1.0)] * 3, 1.0]) @ affine,
    )


def by_simpleitk(path: Path) -> Seen:
    image = sitk.ReadImage(str(path))
    n = image.GetDimension()
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(n, n)[:3, :3] * image.GetSpacing()[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    values = sitk.GetArrayFromImage(image).T.astype(np.float64)
    return Seen(values.reshape(values.shape[:3]), affine=LPS @ affine)


def by_numpy(path: Path) -> Seen:
    with np.load(path, allow_pickle=False) as archive:
        if "ct" in archive.files:
            values = archive["ct"].astype(np.float64)
            return Seen(
                values.reshape(values.shape[:3]).transpose(2, 1, 0), affine=np.diag([-0.8, -0.8, -0.8, 1])
            )
        values = archive["arr_0"].astype(np.float64)
        values = values.reshape(values.shape[:3]).transpose(1, 2, 0)
        return Seen(
            values, 1000.0 if np.abs(values).max() <= 10 else 1.0, affine=np.diag([-0.75, -0.75, 1.5, 1])
        )


def by_pydicom(slices: list[bytes]) -> Seen:
    """HU already. Only the positions of the first two slices are used: the rest must follow from them."""
    read = [pydicom.dcmread(io.BytesIO(one), force=True) for one in slices]
    read = [d for d in read if d.get("Modality", "CT") == "CT" and "Rows" in d]
    series = [str(d.get("SeriesInstanceUID", "")) for d in read]
    read = [d for d, one in zip(read, series, strict=True) if one == max(series, key=series.count)]
    normal = np.cross(read[0].ImageOrientationPatient[:3], read[0].ImageOrientationPatient[3:])
    read.sort(key=lambda d: float(np.dot(d.ImagePositionPatient, normal)))
    hu = []
    for d in read:
        slope, intercept = (
            float(d.get(k, w) or w) for k, w in (("RescaleSlope", 1), ("RescaleIntercept", 0))
        )
        hu.append(d.pixel_array.astype(np.float64).T * slope + intercept)
    first, second = (np.array(d.ImagePositionPatient, float) for d in read[:2])
    affine = np.eye(4)
    affine[:3, 0] = np.multiply(read[0].ImageOrientationPatient[:3], float(read[0].PixelSpacing[1]))
    affine[:3, 1] = np.multiply(read[0].ImageOrientationPatient[3:], float(read[0].PixelSpacing[0]))
    affine[:3, 2], affine[:3, 3] = second - first, first
    return Seen(np.stack(hu, axis=2), affine=LPS @ affine)


def by_pillow(pictures: list[tuple[str, bytes]]) -> Seen:
    ordered = sorted(pictures, key=lambda one: int(one[0].split(".")[0]))
    grey = np.stack([np.asarray(Image.open(io.BytesIO(one)).convert("L"), np.float64) for _, one in ordered])
    return Seen(grey.transpose(2, 1, 0), 1500 / 255, -1250.0)


def rows_of(path: Path) -> list[dict[str | None, str]]:
    """A table as Python's own reader sees it, once its first bytes and its head line have said how it was saved."""
    encoding = "utf-16" if path.read_bytes()[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    with path.open(encoding=encoding, newline="") as file:
        head = file.readline()
        file.seek(0)
        return list(csv.DictReader(file, delimiter=max(",;\t|", key=head.count)))

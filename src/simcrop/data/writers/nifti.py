"""A map or a mask as NIfTI on the grid of its scan, so that every viewer lays it over the scan.

Axes: `(x, y, z)` in the scan's own voxel order; affine in RAS+ mm. The same voxels always give the same bytes.
"""

from pathlib import Path

import nibabel as nib
import numpy as np
from isal import igzip

from simcrop.data.readers.geometry import distance_mm, leaning
from simcrop.data.volume import spacing_of
from simcrop.files.whole import write_whole

AS_GOOD_MM = 0.01  # how far a qform may put any voxel from where the sform has it
READ_BY_ITK = 1e-4  # cosine of two axes up to which ITK takes a sform


def write_nifti(
    path: Path, values: np.ndarray, affine: np.ndarray, shown: tuple[float, float] | None = None
) -> None:
    """`.nii` or `.nii.gz`, whole or not at all; `shown`: the values that a viewer's scale begins and ends with."""
    write_whole(path, nifti_bytes(values, affine, shown, packed=path.suffix == ".gz"))


def nifti_bytes(
    values: np.ndarray, affine: np.ndarray, shown: tuple[float, float] | None = None, packed: bool = True
) -> bytes:
    """What is in such a file.

    The sform says where it lies. A qform cannot lean, and near half a turn float32 is too coarse for it: it is coded
    where it says the same. Of a scan that leans as little as scans may, ITK reads the qform alone, and half a voxel is
    allowed.
    """
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    allowed = AS_GOOD_MM if leaning(affine) <= READ_BY_ITK else min(spacing_of(affine)) / 2
    if distance_mm(image.get_sform(), image.get_qform(), values.shape) > allowed:
        image.set_qform(None, code=0)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(1.0, 0.0)
    if shown is not None:
        image.header["cal_min"], image.header["cal_max"] = shown
    content = image.to_bytes()
    return igzip.compress(content, 1, mtime=0) if packed else content


def write_labels(path: Path, labels: np.ndarray, affine: np.ndarray) -> None:
    """A label volume, a byte per voxel where its numbers allow it."""
    small = labels.max(initial=0) <= np.iinfo(np.uint8).max
    write_nifti(path, labels.astype(np.uint8 if small else np.int16), affine)

"""The masks of all findings of one scan as one NIfTI `(F, H, W, D)`, written plane by plane.

Axes: H, W, D are x, y, z of the scan's own file, f finding; in the file f runs fastest. uint8, 0 or 1. The same masks
always give the same bytes.
"""

from collections.abc import Iterable
from io import BufferedIOBase
from pathlib import Path

import nibabel as nib
import numpy as np
from isal import igzip

from simcrop.data.preprocess import Triple
from simcrop.files.whole import flush, temporary_name, writing


def write_findings(
    path: Path, planes: Iterable[np.ndarray], count: int, shape: Triple, affine: np.ndarray
) -> None:
    """`planes` are uint8 `(y, x, f)` along z. Whole or not at all, and never more than a plane in memory.

    The affine is the scan's: of four axes of which the first is none of space it places nothing, so readers take the
    voxels as those of the scan.
    """
    temporary = temporary_name(path)
    with writing(path):
        try:
            with temporary.open("wb") as file, igzip.IGzipFile("", "wb", 1, file, mtime=0) as packed:
                fill(packed, planes, count, shape, affine)
            flush(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def fill(
    file: BufferedIOBase, planes: Iterable[np.ndarray], count: int, shape: Triple, affine: np.ndarray
) -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((count, *shape))
    header.set_sform(affine, code=1)
    header.set_xyzt_units("mm")
    header.set_slope_inter(1.0, 0.0)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    file.write(header.binaryblock + bytes(4))
    for plane in planes:
        file.write(np.ascontiguousarray(plane, np.uint8).tobytes())

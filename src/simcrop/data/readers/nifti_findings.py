"""NIfTI of findings first: `(F, H, W, D)`, the mask of each of F findings on the voxels of one scan.

Axes: H, W, D are x, y, z in the order of the scan's file; in the file F runs fastest, so a plane holds all findings.
What such a file says of its place is not asked for: its voxels are the scan's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header

from simcrop.data.readers.nifti import inflated, planes_in, read_header, rescale, skip
from simcrop.data.readers.stored import check_held, check_scalar
from simcrop.errors import SimcropError

Triple = tuple[int, int, int]


@contextmanager
def open_findings(path: Path, count: int, shape: Triple) -> Iterator[Iterator[np.ndarray]]:
    """Planes `(y, x, f)` along z, each in memory only until the next one, of `count` findings in a scan of `shape`.

    Raises SimcropError where the file has other voxels. Of one finding the first axis may be missing.
    """
    with inflated(path) as (file, compressed):
        header, _ = read_header(file)
        check_shape(tuple(int(n) for n in header.get_data_shape()), count, shape)
        check_numbers(header)
        # A mask is mostly 0 and shrinks as far as anything can, and no more than a plane of it is ever in memory.
        promised = count * int(np.prod(shape)) * header.get_data_dtype().itemsize
        check_held(promised, path.stat().st_size, compressed)
        skip(file, header.get_data_offset() - file.tell())
        yield blocks(file, count, shape, header.get_data_dtype())


def check_shape(lengths: tuple[int, ...], count: int, shape: Triple) -> None:
    if lengths == (count, *shape) or (count == 1 and lengths == shape):
        return
    found, scan = (" x ".join(map(str, n)) for n in (lengths, shape))
    if len(lengths) == 4 and lengths[1:] == shape:
        raise SimcropError("mask-channels", f"{lengths[0]} masks of {count} listed findings")
    raise SimcropError(
        "mask-grid",
        f"the masks of {count} findings have {found} voxels, expected {count} x those of the scan, {scan}",
    )


def check_numbers(header: Nifti1Header) -> None:
    check_scalar(header.get_data_dtype())
    if rescale(header) != (1.0, 0.0):
        raise SimcropError(
            "mask-numbers", "the header rescales the numbers of the mask, which count instances"
        )


def blocks(file: BufferedIOBase, count: int, shape: Triple, dtype: np.dtype) -> Iterator[np.ndarray]:
    x, y, z = shape
    for plane in planes_in(file, (count * x, y, z), dtype):
        yield plane.reshape(y, x, count)

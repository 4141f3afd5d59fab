"""NIfTI (.nii, .nii.gz): header and affine by nibabel, bytes inflated by isal and checked to the last one.

Axes: i, j, k as stored, which is `(x, y, z)` of `Stored`; the affine is RAS+ mm already, see `nifti_place`.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import BadGzipFile
from io import BufferedIOBase, BytesIO
from pathlib import Path

import numpy as np
from isal import igzip, isal_zlib
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError

from simcrop.data.readers.nifti_place import place_of
from simcrop.data.readers.stored import (
    AFTER_VOXELS_LIMIT,
    Header,
    Stored,
    Stream,
    check_held,
    check_promise,
    check_scalar,
    drain,
    fill,
    shape_3d,
)
from simcrop.errors import SimcropError

GZIP_MAGIC = b"\x1f\x8b"
# The first four bytes are the length of the header, in the byte order of the whole file.
HEADERS = {n.to_bytes(4, "little"): (n, kind) for n, kind in ((348, Nifti1Header), (540, Nifti2Header))}
MIN_STD = logging.Logger(
    "nifti", logging.CRITICAL + 1
)  # nibabel would tell the terminal what it mends in a header


def read_nifti(path: Path) -> Stored:
    """The scan in one NIfTI file, inflated if it is compressed, whatever its name says."""
    with open_nifti(path) as stream:
        values = None
        for k, plane in enumerate(stream.planes):
            if values is None:
                values = np.empty((stream.shape[2], *plane.shape), plane.dtype)
            values[k] = plane
    assert values is not None  # a shape without planes is refused
    return Stored(**vars(stream.header), values=values.transpose(2, 1, 0))


@contextmanager
def open_nifti(path: Path, channels: bool = False) -> Iterator[Stream]:
    """Header, then plane after plane. The last one is given only when all bytes are there and gzip's checksum holds.

    Several volumes in one file are refused, unless they are wanted as the `channels` of a mask.
    """
    with inflated(path) as (file, compressed):
        yield stream_of(file, path.stat().st_size, compressed, channels)


@contextmanager
def inflated(path: Path) -> Iterator[tuple[BufferedIOBase, bool]]:
    """The bytes of a file, and whether they are compressed in it; what is wrong with them in our words."""
    with path.open("rb") as file:
        compressed = file.read(2) == GZIP_MAGIC
    try:
        with igzip.IGzipFile(path, "rb") if compressed else path.open("rb") as file:
            yield file, compressed
    except EOFError:
        raise SimcropError("truncated-file", "the compressed file ends too early") from None
    except (BadGzipFile, isal_zlib.error):  # pyright: ignore[reportGeneralTypeIssues]
        raise SimcropError("corrupt-file", "the compressed bytes or their checksum are wrong") from None


def stream_of(file: BufferedIOBase, on_disk: int, compressed: bool, channels: bool = False) -> Stream:
    """What the header tells, and a promise of the planes."""
    header, blank = read_header(file)
    lengths, dtype = header.get_data_shape(), header.get_data_dtype()
    count = channels_of(lengths) if channels else 1
    shape = shape_3d(lengths[:3] if count > 1 else lengths)
    check_scalar(dtype)
    voxels = int(np.prod(shape, dtype=np.int64))
    promised = dtype.itemsize * count * voxels
    check_held(promised, on_disk, compressed)
    # A mask is mostly 0 and shrinks as far as anything can, whatever type its numbers have.
    check_promise(voxels if channels else promised, on_disk, compressed)
    slope, intercept = rescale(header)
    where = place_of(header, blank, shape)
    skip(file, header.get_data_offset() - file.tell())
    return Stream(
        Header(where.affine, slope, intercept, placed=where.placed, notes=where.notes),
        shape,
        planes_in(file, (*shape[:2], shape[2] * count), dtype),
        count,
    )


def channels_of(lengths: tuple[int, ...]) -> int:
    """How many volumes lie in one file: along the fourth axis, or along the fifth, where ITK puts them."""
    more = [int(n) for n in lengths[3:] if n != 1]
    return more[0] if len(more) == 1 and more[0] > 1 else 1


def planes_in(file: BufferedIOBase, shape: tuple[int, int, int], dtype: np.dtype) -> Iterator[np.ndarray]:
    """`(j, i)` for each k, all in one buffer; the rest of the file is read before the last one, and its checksum."""
    width, height, depth = shape
    plane = np.empty((height, width), dtype)
    whole = memoryview(plane).cast("B")  # pyright: ignore[reportArgumentType]
    for k in range(depth):
        fill(file, whole, k * len(whole), depth * len(whole))
        if k == depth - 1:
            drain(file)
        yield plane


def read_header(stream: BufferedIOBase) -> tuple[Nifti1Header, np.ndarray]:
    """A NIfTI-1 or NIfTI-2 header of either byte order, and of which voxel sizes pixdim is blank, bool `(3,)`."""
    first = stream.read(4)
    size = first if first in HEADERS else first[::-1]
    if first.startswith(GZIP_MAGIC):
        raise SimcropError(
            "unreadable", "compressed twice, undo it once: mv FILE FILE.gz, then gunzip FILE.gz"
        )
    if size not in HEADERS:
        raise SimcropError("unreadable", "not a NIfTI file: it does not start with a NIfTI header")
    length, kind = HEADERS[size]
    block = first + stream.read(length - 4)
    if len(block) < length:
        raise SimcropError("truncated-file", "the file ends inside its NIfTI header")
    try:
        header = kind.from_fileobj(BytesIO(block), check=False)
        sizes = np.array(header["pixdim"][1:4], np.float64)
        header.check_fix(MIN_STD)  # which makes 1 mm of a blank size
        _ = header.get_data_shape(), header.get_data_dtype(), header.get_data_offset()
    except (HeaderDataError, ValueError, KeyError, OverflowError) as error:
        raise SimcropError("unreadable", "the NIfTI header contradicts itself") from error
    if bytes(header["magic"].item()).rstrip(b"\0")[:3] not in (b"n+1", b"n+2"):
        raise SimcropError("unreadable", "not a single-file NIfTI: its magic bytes are not n+1 or n+2")
    return header, ~np.isfinite(sizes) | (sizes == 0)


def skip(stream: BufferedIOBase, count: int) -> None:
    """Header extensions lie between the header and the voxels."""
    if not 0 <= count <= AFTER_VOXELS_LIMIT:
        raise SimcropError("unreadable", "the NIfTI header puts the voxels at an impossible place")
    if len(stream.read(count)) < count:
        raise SimcropError("truncated-file", "the file ends before its voxels begin")


def rescale(header: Nifti1Header) -> tuple[float, float]:
    """Slope and intercept; by the standard a slope of 0 or NaN means none."""
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise SimcropError("unreadable", "the NIfTI header's rescale is not finite") from error
    return (1.0, 0.0) if slope is None else (float(slope), float(intercept or 0.0))

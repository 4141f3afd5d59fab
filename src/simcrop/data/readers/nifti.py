"""NIfTI (.nii, .nii.gz): header and affine by nibabel, bytes inflated by isal and checked to the last one.

Axes: i, j, k as stored, which is `(x, y, z)` of `Stored`; the affine is RAS+ mm already.
"""

from gzip import BadGzipFile
from io import BufferedIOBase, BytesIO
from pathlib import Path

import numpy as np
from isal import igzip, isal_zlib
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError

from simcrop.data.readers.stored import Stored, check_promise, check_scalar, shape_3d
from simcrop.errors import SimcropError

GZIP_MAGIC = b"\x1f\x8b"
# The first four bytes are the length of the header, in the byte order of the whole file.
HEADERS = {n.to_bytes(4, "little"): (n, kind) for n, kind in ((348, Nifti1Header), (540, Nifti2Header))}
AFTER_VOXELS_LIMIT = 64 << 20  # bytes tolerated behind the voxels before the file counts as nonsense
UNIT_MM = {"meter": 1000.0, "micron": 0.001}


def read_nifti(path: Path) -> Stored:
    """The scan in one NIfTI file, inflated if it is compressed, whatever its name says."""
    with path.open("rb") as file:
        compressed = file.read(2) == GZIP_MAGIC
    try:
        with igzip.IGzipFile(path, "rb") if compressed else path.open("rb") as stream:
            return read_stream(stream, path.stat().st_size, compressed)
    except EOFError:
        raise SimcropError("truncated-file", "the compressed file ends too early") from None
    except (BadGzipFile, isal_zlib.error):  # pyright: ignore[reportGeneralTypeIssues]
        raise SimcropError("corrupt-file", "the compressed bytes or their checksum are wrong") from None


def read_stream(stream: BufferedIOBase, on_disk: int, compressed: bool) -> Stored:
    """Header, voxels and the rest of the stream, so that gzip's checksum covers all of it."""
    header = read_header(stream)
    shape, dtype = shape_3d(header.get_data_shape()), header.get_data_dtype()
    check_scalar(dtype)
    promised = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    check_promise(promised, on_disk, compressed)

    skip(stream, header.get_data_offset() - stream.tell())
    voxels = np.empty(promised, np.uint8)
    fill(stream, memoryview(voxels))  # pyright: ignore[reportArgumentType]
    drain(stream)

    values = voxels.view(dtype).reshape(shape, order="F")
    slope, intercept = rescale(header)
    affine, placed, notes = affine_of(header)
    return Stored(values, affine, slope, intercept, placed=placed, notes=notes)


def read_header(stream: BufferedIOBase) -> Nifti1Header:
    """A NIfTI-1 or NIfTI-2 header of either byte order."""
    first = stream.read(4)
    size = first if first in HEADERS else first[::-1]
    if size not in HEADERS:
        raise SimcropError("unreadable", "not a NIfTI file: it does not start with a NIfTI header")
    length, kind = HEADERS[size]
    block = first + stream.read(length - 4)
    if len(block) < length:
        raise SimcropError("truncated-file", "the file ends inside its NIfTI header")
    try:
        header = kind.from_fileobj(BytesIO(block))
        _ = header.get_data_shape(), header.get_data_dtype(), header.get_data_offset()
    except (HeaderDataError, ValueError, KeyError) as error:
        raise SimcropError("unreadable", "the NIfTI header contradicts itself") from error
    if bytes(header["magic"].item()).rstrip(b"\0")[:3] not in (b"n+1", b"n+2"):
        raise SimcropError("unreadable", "not a single-file NIfTI: its magic bytes are not n+1 or n+2")
    return header


def skip(stream: BufferedIOBase, count: int) -> None:
    """Header extensions lie between the header and the voxels."""
    if not 0 <= count <= AFTER_VOXELS_LIMIT:
        raise SimcropError("unreadable", "the NIfTI header puts the voxels at an impossible place")
    if len(stream.read(count)) < count:
        raise SimcropError("truncated-file", "the file ends before its voxels begin")


def fill(stream: BufferedIOBase, target: memoryview) -> None:
    """Every byte of `target`, or a refusal."""
    done = 0
    while done < len(target):
        got = stream.readinto(target[done:])
        if not got:
            raise SimcropError(
                "truncated-file", f"the file holds {done} bytes of voxels, expected {len(target)}"
            )
        done += got


def drain(stream: BufferedIOBase) -> None:
    """Read to the end: only there does gzip compare its checksum."""
    extra = 0
    while piece := stream.read(1 << 20):
        extra += len(piece)
        if extra > AFTER_VOXELS_LIMIT:
            raise SimcropError("unreadable", "more bytes follow the voxels than any NIfTI file has")


def rescale(header: Nifti1Header) -> tuple[float, float]:
    """Slope and intercept; by the standard a slope of 0 or NaN means none."""
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise SimcropError("unreadable", "the NIfTI header's rescale is not finite") from error
    return (1.0, 0.0) if slope is None else (float(slope), float(intercept or 0.0))


def affine_of(header: Nifti1Header) -> tuple[np.ndarray, bool, tuple[str, ...]]:
    """The affine in mm, whether the file really states it, and what had to be guessed."""
    try:
        scale = UNIT_MM.get(str(header.get_xyzt_units()[0]), 1.0)
    except KeyError:  # a unit code that the standard does not know
        scale = 1.0
    to_mm = np.diag([scale, scale, scale, 1.0])
    notes = () if scale == 1 else (f"lengths in the header multiplied by {scale:g} to be mm",)
    if int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0:
        sizes = [float(n) for n in header.get_zooms()[:3]]
        guess = "no qform or sform: axes guessed as R, A, S with the spacing of pixdim"
        return to_mm @ np.diag([*sizes, 1.0]), False, (*notes, guess)
    try:
        affine = to_mm @ np.asarray(header.get_best_affine(), np.float64)
    except ValueError as error:  # a quaternion longer than 1
        raise SimcropError("singular-affine", "the NIfTI header's quaternion is no rotation") from error
    bare = bool(np.array_equal(np.abs(affine), np.eye(4)))
    return affine, not bare, notes + (("the header's affine is the identity",) if bare else ())

"""What a reader finds in a file before anybody decides what the numbers mean.

Axes: `values` is `(x, y, z)` in the file's own voxel order; `affine` maps voxel index -> RAS+ mm.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from io import BufferedIOBase

import numpy as np

from simcrop.errors import SimcropError

MAX_VOXELS = 4_000_000_000
DEFLATE_LIMIT = 1100  # deflate cannot shrink anything by more than a factor of 1032
ROOMY = 512 << 20  # bytes, enough for any mask; what shrinks more than a noisy scan does may be as large
SCAN_SHRINKS = 100
AFTER_VOXELS_LIMIT = 64 << 20  # bytes tolerated behind the voxels before the file counts as nonsense

LARGEST: ContextVar[int | None] = ContextVar(
    "LARGEST", default=None
)  # bytes of a scan, where somebody set a bound


@contextmanager
def at_most(bytes_: int) -> Iterator[None]:
    """Scans from strangers: what would take more bytes once it is unpacked is refused before anything is allocated."""
    before = LARGEST.set(bytes_)
    try:
        yield
    finally:
        LARGEST.reset(before)


def check_largest(promised: int) -> None:
    most = LARGEST.get()
    if most is not None and promised > most:
        raise SimcropError(
            "absurd-size", f"it would take {promised} bytes unpacked, at most {most} are taken"
        )


@dataclass(frozen=True, eq=False)
class Header:
    """What a file says of its numbers; `slope` and `intercept` would make them HU if it is right.

    `placed` is false where the file does not know how it lies in the patient and the affine is a guess; `sized`
    is false where only the voxels' size is one, the custom of the format, and a table may know better.
    """

    affine: np.ndarray
    slope: float = 1.0
    intercept: float = 0.0
    source: str = "header"
    placed: bool = True
    sized: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Stored(Header):
    """The same with the numbers as stored, any integer or float type."""

    values: np.ndarray = field(kw_only=True)


def with_notes(stored: Stored, *notes: str) -> Stored:
    return replace(stored, notes=stored.notes + notes)


@dataclass(frozen=True, eq=False)
class Stream:
    """A scan whose planes `(y, x)` come one after the other along z, each in memory only until the next one; of several
    `channels`, all planes of one come before those of the next.
    """

    header: Header
    shape: tuple[int, int, int]
    planes: Iterator[np.ndarray]
    channels: int = 1


def shape_3d(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The three lengths of a volume; further axes of length 1 are dropped, anything else is refused."""
    lengths = tuple(int(n) for n in shape)
    while len(lengths) > 3 and lengths[-1] == 1:
        lengths = lengths[:-1]
    if len(lengths) != 3 or min(lengths) < 2:
        raise SimcropError("not-3d", f"expected a volume with three axes, found the shape {lengths}")
    voxels = 1
    for n in lengths:
        voxels *= n
    if voxels > MAX_VOXELS:
        raise SimcropError(
            "absurd-size", f"the header promises {voxels} voxels, expected at most {MAX_VOXELS}"
        )
    check_largest(voxels)
    return lengths[0], lengths[1], lengths[2]


def check_scalar(dtype: np.dtype) -> None:
    """Refuse voxels that are not one plain number."""
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise SimcropError("not-scalar", f"expected one number per voxel, found the type {dtype}")


def check_promise(promised: int, on_disk: int, compressed: bool) -> None:
    """Refuse, before anything is allocated, a header that promises more bytes than the file can hold."""
    check_largest(promised)
    check_held(promised, on_disk, compressed)
    if promised > max(ROOMY, on_disk * SCAN_SHRINKS):
        raise SimcropError(
            "absurd-size", f"{on_disk} bytes would inflate to {promised}, as no scan with its noise does"
        )


def check_held(promised: int, on_disk: int, compressed: bool) -> None:
    """Refuse a promise that no compression could keep."""
    if promised > on_disk * (DEFLATE_LIMIT if compressed else 1):
        raise SimcropError(
            "truncated-file", f"the header promises {promised} bytes of voxels, the file has {on_disk}"
        )


def fill(file: BufferedIOBase, target: memoryview, before: int, expected: int) -> None:
    """Every byte of `target`, or a refusal that says how many were there of those expected."""
    done = 0
    while done < len(target):
        got = file.readinto(target[done:])
        if not got:
            raise SimcropError(
                "truncated-file", f"the file holds {before + done} bytes of voxels, expected {expected}"
            )
        done += got


def drain(stream: BufferedIOBase) -> None:
    """Read to the end: only there does gzip compare its checksum."""
    extra = 0
    while piece := stream.read(1 << 20):
        extra += len(piece)
        if extra > AFTER_VOXELS_LIMIT:
            raise SimcropError("unreadable", "more bytes follow the voxels than any scan has")

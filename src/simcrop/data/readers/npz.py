"""Two archives of arrays: RAD-ChestCT's scans (`ct`) and CT-CLIP's preprocessed CT-RATE (`arr_0`).

Axes of RAD-ChestCT: z to the feet, y to the back, x to the left; of CT-CLIP: z to the head, x left, y back.
Both become `(x, y, z)`; neither format states a size, a side or where in the scanner the patient lay, so that all three
are guessed, with notes: an archive that somebody made by hand may mean others.
"""

import warnings
import zipfile
from io import BufferedIOBase
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.lib import format as npy

from simcrop.data.guess import position_guess, sides_guess, size_guess
from simcrop.data.readers.archive import open_zip
from simcrop.data.readers.stored import Stored, check_promise, check_scalar, drain, fill, shape_3d
from simcrop.errors import SimcropError

RAD_CHEST_CT_MM = 0.8
CT_CLIP_MM = (0.75, 0.75, 1.5)
GEOMETRY = (
    "spacing",
    "affine",
    "origin",
    "direction",
    "orientation",
    "voxel_size",
    "resolution",
    "pixdim",
    "header",
)


def read_npz(path: Path) -> Stored:
    """The array `ct` or `arr_0`, checked before it is loaded, never unpickled."""
    with open_zip(path) as archive:
        keys = {name.removesuffix(".npy"): name for name in archive.namelist()}
        beside = sorted(key.lower() for key in keys if key.lower() in GEOMETRY)
        passed = (f"the archive also holds {' and '.join(beside)}, which is not read",) if beside else ()
        if "ct" in keys:
            return rad_chest_ct(load(archive, keys["ct"]), passed)
        if "arr_0" in keys:
            return ct_clip(load(archive, keys["arr_0"]), passed)
    raise SimcropError("unreadable", "expected the array `ct` (RAD-ChestCT) or `arr_0` (CT-CLIP) inside")


def load(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """One array whose header keeps its promise: the archive says how many bytes the member inflates to."""
    entry = archive.getinfo(name)
    with archive.open(name) as opened:
        member: BufferedIOBase = opened  # pyright: ignore[reportAssignmentType]
        shape, fortran_order, dtype = array_header(member)
        check_scalar(dtype)
        lengths = shape_3d(shape)
        promised = dtype.itemsize * int(np.prod(lengths, dtype=np.int64))
        if promised != entry.file_size - member.tell():
            raise SimcropError(
                "truncated-file", f"the array's header promises {promised} bytes, not what follows"
            )
        check_promise(promised, entry.compress_size, compressed=True)
        values = np.empty(lengths[::-1] if fortran_order else lengths, dtype)
        fill(member, memoryview(values).cast("B"), 0, promised)  # pyright: ignore[reportArgumentType]
        drain(member)
    return values.T if fortran_order else values


def array_header(member: BufferedIOBase) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type of the array that follows, as numpy reads them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # Python 2 wrote such headers, too
            version = npy.read_magic(member)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            return read_header(member)
    except (ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        raise SimcropError("unreadable", "the array inside cannot be read as plain numbers") from error


def guesses(size: tuple[float, float, float], letters: str, whose: str) -> tuple[str, ...]:
    """All that the format does not say."""
    why = f"the format states none and {whose} has these"
    return size_guess(size, why), sides_guess(letters, why), position_guess("the format states none")


def rad_chest_ct(array: np.ndarray, notes: tuple[str, ...] = ()) -> Stored:
    """HU at 0.8 mm. z, y, x grow to the feet, the back and the left: once transposed, RAS+ takes three flips."""
    mm = RAD_CHEST_CT_MM
    notes += guesses((mm, mm, mm), "LPI", "RAD-ChestCT")
    affine = np.diag([-mm, -mm, -mm, 1.0])
    return Stored(affine, source="npz", sized=False, notes=notes, values=array.transpose(2, 1, 0))


def ct_clip(array: np.ndarray, notes: tuple[str, ...] = ()) -> Stored:
    """HU / 1000 at 1.5 x 0.75 x 0.75 mm. Its script moved z of a CT-RATE scan (L, P, S) to the front: z, x, y."""
    x, y, z = CT_CLIP_MM
    scaled = array.dtype.kind == "f" and float(np.abs(array).max()) <= 10
    notes += guesses(CT_CLIP_MM, "LPS", "CT-CLIP")
    slope = 1000.0 if scaled else 1.0
    return Stored(
        np.diag([-x, -y, z, 1.0]), slope, source="npz", notes=notes, values=array.transpose(1, 2, 0)
    )

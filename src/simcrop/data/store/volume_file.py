"""One stored scan: int16 HU of the whole resampled grid, of which a crop reads only its part.

Axes: x, y, z of the resampled grid (RAS+). Values are HU, rounded; outside the scan is air, -1000 HU.

Two codecs, both exact: `lz4`, a `.b2nd` file, and `raw`, a `.npy` file, twice as large and read by mapping.

`lz4` means blocks of 32 x 32 x 16 voxels, level 1 over shuffled bits, one chunk. Measured on a phantom of 239 x 239 x
111 voxels with noise (12.7 MB raw), one thread: 6.45 MB and 7 ms for all of it, 3 ms for 128 x 128 x 64. zstd saves
7 % of the bytes and takes twice as long; blocks of whole slices take three times as long.
"""

import hashlib
import io
from pathlib import Path
from typing import Any, Literal

import blosc2
import numpy as np

from simcrop.data.preprocess import Triple
from simcrop.data.volume import AIR_HU
from simcrop.errors import SimcropError
from simcrop.files.whole import write_whole

Codec = Literal["lz4", "raw"]
ENDINGS: dict[Codec, str] = {"lz4": ".b2nd", "raw": ".npy"}
BLOCKS = (32, 32, 16)
STORED = np.dtype("<i2")
LOWEST_HU, HIGHEST_HU = -32768, 32767


def rounded(hu: np.ndarray) -> np.ndarray:
    """HU as int16 in C order, exact to half a unit."""
    whole = np.rint(hu)
    np.clip(whole, LOWEST_HU, HIGHEST_HU, out=whole)
    return np.ascontiguousarray(whole, STORED)


def checksum(voxels: np.ndarray) -> str:
    """SHA-256 of the shape and of the int16 voxels in C order."""
    digest = hashlib.sha256(np.array(voxels.shape, "<i8").tobytes())
    digest.update(np.ascontiguousarray(voxels, STORED).data)
    return digest.hexdigest()


def volume_path(folder: Path, id: str, codec: Codec) -> Path:
    """The file of one scan."""
    return folder / f"{id}{ENDINGS[codec]}"


def write_volume(path: Path, voxels: np.ndarray) -> int:
    """Store int16 voxels by the codec of the path's ending, whole or not at all; the number of bytes on disk."""
    content = raw(voxels) if path.suffix == ENDINGS["raw"] else compressed(voxels)
    write_whole(path, content)
    return len(content)


def raw(voxels: np.ndarray) -> bytes:
    """The bytes of a `.npy` file."""
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(voxels, STORED), allow_pickle=False)
    return content.getvalue()


def compressed(voxels: np.ndarray, planes: int | None = None) -> bytes:
    """The bytes of a `.b2nd` file in one chunk, or one of every so many `planes` (x, y).

    Made in memory, so that a full disk is noticed by Python and not by a C library.
    """
    params = blosc2.CParams(
        codec=blosc2.Codec.LZ4,
        clevel=1,
        typesize=STORED.itemsize,
        filters=[blosc2.Filter.BITSHUFFLE],
        filters_meta=[0],
        nthreads=1,
    )
    blocks = tuple(min(b, n) for b, n in zip(BLOCKS, voxels.shape, strict=True))
    untyped: Any = voxels  # blosc2's own type hints know no numpy
    # The frame records how many threads may decode it: one, or its bytes would depend on the machine.
    array: Any = blosc2.asarray(
        untyped,
        chunks=(*voxels.shape[:2], min(planes or voxels.shape[2], voxels.shape[2])),
        blocks=blocks,
        cparams=params,
        dparams=blosc2.DParams(nthreads=1),
        contiguous=True,
    )
    return array.to_cframe()


def read_crop(path: Path, start: Triple, shape: Triple, outside: int = AIR_HU) -> np.ndarray:
    """`shape` voxels from `start` on, int16; `start` may be negative, and what lies outside is air, or `outside`."""
    array = opened(path)
    if all(s >= 0 and s + n <= have for s, n, have in zip(start, shape, array.shape, strict=True)):
        return decoded(path, array, tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True)))
    out = np.full(shape, outside, np.int16)
    low = [min(max(s, 0), have) for s, have in zip(start, array.shape, strict=True)]
    high = [min(max(s + n, 0), have) for s, n, have in zip(start, shape, array.shape, strict=True)]
    if all(a < b for a, b in zip(low, high, strict=True)):
        into = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
        out[into] = decoded(path, array, tuple(slice(a, b) for a, b in zip(low, high, strict=True)))
    return out


def read_whole(path: Path) -> np.ndarray:
    """Every voxel, int16."""
    array = opened(path)
    return decoded(path, array, (slice(None),) * 3)


def opened(path: Path) -> blosc2.NDArray | np.ndarray:
    """The file's array, its voxels still on disk."""
    array: Any
    try:
        if path.suffix == ENDINGS["raw"]:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            array = blosc2.open(path, mode="r", dparams={"nthreads": 1})
    except FileNotFoundError:
        raise SimcropError("missing-volume", f"{path}: the stored volume is gone; ingest again") from None
    except (EOFError, OSError, RuntimeError, ValueError) as error:
        raise damaged(path) from error
    if not isinstance(array, blosc2.NDArray | np.ndarray) or array.ndim != 3 or array.dtype != STORED:
        raise damaged(path)
    return array


def decoded(path: Path, array: blosc2.NDArray | np.ndarray, piece: tuple[slice, ...]) -> np.ndarray:
    """The voxels of `piece`; of a raw file they are read once they are used."""
    try:
        return np.asarray(array[piece])
    except (OSError, RuntimeError, ValueError) as error:
        raise damaged(path) from error


def damaged(path: Path) -> SimcropError:
    return SimcropError("corrupt-volume", f"{path}: the stored volume is damaged; delete it and ingest again")

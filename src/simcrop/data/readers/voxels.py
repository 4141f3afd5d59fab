"""Voxels that a text header describes, in its own file or in one beside it: found safely, read to the last byte.

Axes: `(x, y, z)`, x fastest in the file. Sizes in bytes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import BadGzipFile
from io import BufferedIOBase
from pathlib import Path, PureWindowsPath
from typing import IO

import numpy as np
from isal import igzip, isal_zlib

from simcrop.data.readers.links import check_inside
from simcrop.data.readers.stored import check_promise, drain, fill
from simcrop.errors import SimcropError

HEADER_LIMIT = 1 << 20
LONGEST_NAME = 200
CHUNK = 1 << 20


@dataclass(frozen=True)
class Voxels:
    """Where they lie. `packed` is `zlib`, `gzip` or empty; a `start` of -1 means that they end with the file."""

    path: Path
    start: int
    dtype: np.dtype
    shape: tuple[int, int, int]
    packed: str = ""

    @property
    def promised(self) -> int:
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))

    @property
    def notes(self) -> tuple[str, ...]:
        """Bytes of which the header knows nothing, as where it lacks a HeaderSize or counts too few slices."""
        more = 0 if self.packed or self.start < 0 else self.path.stat().st_size - self.start - self.promised
        return (
            (f"assumed the voxels to come first in a file that holds {more} bytes more",) if more > 0 else ()
        )

    def read(self) -> np.ndarray:
        """All of them; refuses, before anything is allocated, a promise that the file cannot keep."""
        promised, on_disk = self.promised, self.path.stat().st_size
        start = on_disk - promised if self.start == -1 and not self.packed else self.start
        if start < 0:
            raise SimcropError("truncated-file", "the header puts the voxels outside the file")
        check_promise(promised, on_disk - start, bool(self.packed))
        values = np.empty(self.shape[::-1], self.dtype)
        whole = memoryview(values).cast("B")  # pyright: ignore[reportArgumentType]
        with self.path.open("rb") as file:
            file.seek(start)
            with unpacked(file, self.packed) as stream:
                fill(stream, whole, 0, promised)
                if self.packed:
                    drain(stream)
        return values.transpose(2, 1, 0)


@contextmanager
def unpacked(file: IO[bytes], packed: str) -> Iterator[BufferedIOBase]:
    """The bytes behind the compression; refusals instead of the errors of three libraries."""
    try:
        if packed == "gzip":
            with igzip.IGzipFile(fileobj=file, mode="rb") as stream:
                yield stream
        else:
            yield ZlibStream(file) if packed else file  # pyright: ignore[reportReturnType]
    except EOFError:
        raise SimcropError("truncated-file", "the compressed voxels end too early") from None
    except (BadGzipFile, isal_zlib.error):  # pyright: ignore[reportGeneralTypeIssues]
        raise SimcropError("corrupt-file", "the compressed bytes or their checksum are wrong") from None


class ZlibStream(BufferedIOBase):
    """Reads a zlib stream up to its checksum; whatever follows it is left alone."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.inflater = file, isal_zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        limit = CHUNK if size is None or size < 0 else size
        while limit and not self.inflater.eof:
            piece = self.inflater.unconsumed_tail or self.file.read(CHUNK)
            if got := self.inflater.decompress(piece, limit):
                return got
            if not piece:
                raise EOFError
        return b""


def beside(header: Path, name: str) -> Path:
    """The file with the voxels that `header` names: in its own folder or below, there, and not empty."""
    if name.upper().startswith("LIST") or "%" in name:
        raise SimcropError("unknown-format", "voxels spread over a list of files: give one data file")
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise SimcropError("unreadable", "the header names a data file that no system could have")
    # A header that Windows wrote; a name that really has a backslash is found as it is.
    plain = Path(name) if (header.parent / name).is_file() else Path(name.replace("\\", "/"))
    if plain.is_absolute() or PureWindowsPath(name).drive or ".." in plain.parts:
        raise SimcropError("unsafe-path", "the header names a data file outside its own folder")
    data = header.parent / plain
    if not data.is_file():
        raise SimcropError("missing-file", f"the data file {plain.name} that the header names is missing")
    check_inside(data, header.parent)
    if data.stat().st_size == 0:
        raise SimcropError("empty-file", f"the data file {plain.name} that the header names has no bytes")
    return data


def header_lines(file: IO[bytes]) -> Iterator[str]:
    """Lines without their ends, until the caller has seen enough or no header is that long."""
    while file.tell() < HEADER_LIMIT and (line := file.readline(HEADER_LIMIT)):
        yield line.decode("latin-1").removesuffix("\n").removesuffix("\r")
    if file.tell() >= HEADER_LIMIT:
        raise SimcropError("unreadable", "the text header does not end")


def numbers_in(text: str, count: int, what: str) -> np.ndarray:
    """Exactly `count` finite numbers, float64."""
    words = text.replace(",", " ").split()
    try:
        found = np.array([float(word) for word in words])
    except ValueError:
        found = np.zeros(0)
    if len(words) != count or len(found) != count or not np.isfinite(found).all():
        raise SimcropError("unreadable", f"the header's {what} is not {count} finite numbers")
    return found


def whole_number(text: str, what: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise SimcropError("unreadable", f"the header's {what} is no whole number") from None


def lengths_in(text: str, what: str) -> tuple[int, ...]:
    """The lengths of the axes, none of them absurd."""
    return tuple(whole_number(word, what) for word in text.split()[:17])

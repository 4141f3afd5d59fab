"""The tokens of many scans in one file that grows, mapped into memory instead of read: its writer may be killed at any
byte.

Axes: s scan, n token, d features. A header, then records of one size: a digest of the scan's name, its tokens as
float16, and a checksum of both. A record that is torn or spoiled counts for nothing. The file holds no name.
"""

import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float16

from simcrop.files.vectors import NAME_BYTES, checksum, digest_of, lock
from simcrop.files.whole import writing

HEADER = struct.Struct("<8sIII4x")  # the file's kind, its format, n, d
KIND, FORMAT = b"SIMCROPT", 1


def record_of(n: int, d: int) -> np.dtype:
    """One scan's digest, tokens and checksum, little-endian and without gaps."""
    return np.dtype([("name", np.uint8, NAME_BYTES), ("tokens", "<f2", (n, d)), ("checksum", "<u4")])


def mapped(path: Path, n: int, d: int) -> np.ndarray:
    """All whole records of the file, none of them in memory; none of a file that cannot be read or has other sizes."""
    header = HEADER.pack(KIND, FORMAT, n, d)
    record = record_of(n, d)
    try:
        with path.open("rb") as file:
            count = (os.fstat(file.fileno()).st_size - len(header)) // record.itemsize
            if file.read(len(header)) != header or count < 1:
                return np.zeros(0, record)
        return np.memmap(path, record, "r", len(header), (count,))
    except OSError:
        return np.zeros(0, record)


def sound(records: np.ndarray, tell: Callable[[int, int], None]) -> dict[bytes, int]:
    """By digest of its name the place of every record that is as it was written; of two the later. `tell`: how many are
    looked at, of how many.
    """
    places: dict[bytes, int] = {}
    for place in range(len(records)):
        raw = records[place].tobytes()
        if checksum(raw[:-4]) == raw[-4:]:
            places[raw[:NAME_BYTES]] = place
        tell(place + 1, len(records))
    return places


def append_tokens(path: Path, names: Sequence[str], tokens: Float16[np.ndarray, "s n d"]) -> None:
    """Add these scans; a torn end is cut off first, a file of other sizes emptied. Raises StoreError where the system
    refuses.
    """
    header = HEADER.pack(KIND, FORMAT, *tokens.shape[1:])
    record = record_of(*tokens.shape[1:]).itemsize
    rows = [digest_of(name) + row.astype("<f2").tobytes() for name, row in zip(names, tokens, strict=True)]
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        with path.open("a+b") as file:
            lock(file)
            file.seek(0)
            start = len(header) if file.read(len(header)) == header else 0
            size = os.fstat(file.fileno()).st_size
            file.truncate(size - (size - start) % record if start else 0)
            file.write(b"" if start else header)
            for row in rows:
                file.write(row + checksum(row))

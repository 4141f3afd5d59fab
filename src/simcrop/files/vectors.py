"""Vectors by name, in a file that grows: its writer may be killed at any byte, and two may write at the same time.

Axes: n name, d features. A header, then records of one size: a digest of the name, the vector as float32, and a
checksum of both. A record that is torn or spoiled counts for nothing; of two with one name the later counts. The file
holds no name.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import Bool, Float32

from simcrop.files.whole import writing

HEADER = struct.Struct("<8sII")  # the file's kind, its format, d
KIND, FORMAT, NAME_BYTES = b"SIMCROPV", 1, 16


@dataclass(frozen=True, eq=False)
class FoundVectors:
    """`vectors` of the names that were `known`; zeros for the others, and `d` is 0 where there is no file."""

    vectors: Float32[np.ndarray, "n d"]
    known: Bool[np.ndarray, " n"]


def read_vectors(path: Path, names: Sequence[str]) -> FoundVectors:
    """What the file holds of these names. One that cannot be read, or is of another kind, holds nothing."""
    digests, vectors = sound_records(path)
    place = {digest: row for row, digest in enumerate(digests)}
    rows = np.array([place.get(digest_of(name), -1) for name in names], dtype=int)
    found = np.zeros((len(names), vectors.shape[1]), dtype=np.float32)
    found[rows >= 0] = vectors[rows[rows >= 0]]
    return FoundVectors(found, rows >= 0)


def append_vectors(path: Path, names: Sequence[str], vectors: Float32[np.ndarray, "n d"]) -> None:
    """Add these; a torn end is cut off first. Raises StoreError where the system refuses."""
    header = HEADER.pack(KIND, FORMAT, vectors.shape[1])
    rows = [digest_of(name) + row.tobytes() for name, row in zip(names, vectors, strict=True)]
    with writing(path), path.open("a+b") as file:
        lock(file)
        file.seek(0)
        start = len(header) if file.read(len(header)) == header else 0
        size = os.fstat(file.fileno()).st_size
        file.truncate(size - (size - start) % record_of(vectors.shape[1]).itemsize if start else 0)
        file.write((b"" if start else header) + b"".join(row + checksum(row) for row in rows))


def sound_records(path: Path) -> tuple[list[bytes], np.ndarray]:
    """Digests of names and vectors `(n, d)`, in the order of the file."""
    try:
        with path.open("rb") as file:
            kind, version, d = HEADER.unpack(file.read(HEADER.size))
            if (kind, version) != (KIND, FORMAT):
                return [], np.zeros((0, 0), np.float32)
            record = record_of(d)
            size = os.fstat(file.fileno()).st_size - HEADER.size
            records = np.fromfile(file, record, size // record.itemsize)
    except (OSError, ValueError, struct.error):  # of the second a width that is none
        return [], np.zeros((0, 0), np.float32)
    raw: Any = memoryview(records.view(np.uint8))  # type: ignore[arg-type]
    step = record.itemsize
    parts = [raw[start : start + step] for start in range(0, len(raw), step)]
    sound = [row for row, part in enumerate(parts) if checksum(part[:-4]) == part[-4:]]
    whole = records["vector"] if len(sound) == len(records) else records["vector"][sound]  # not one copy more
    return [bytes(parts[row][:NAME_BYTES]) for row in sound], whole


def record_of(d: int) -> np.dtype:
    """One name's digest, vector and checksum, little-endian and without gaps."""
    return np.dtype([("name", np.uint8, NAME_BYTES), ("vector", "<f4", d), ("checksum", "<u4")])


def checksum(raw: bytes | memoryview) -> bytes:
    return struct.pack("<I", zlib.crc32(raw))


def digest_of(name: str) -> bytes:
    return blake2b(name.encode(errors="surrogateescape"), digest_size=NAME_BYTES).digest()


def lock(file: IO[bytes]) -> None:
    """Until the file is closed nobody else appends. Storage that knows no locks goes without: what two writers spoil
    there is seen by its checksums.
    """
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)

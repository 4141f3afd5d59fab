"""Tensors in one file that is mapped into memory: processes that open it share what they read, and copy nothing.

No axes or units. A safetensors file, whole or absent; a checksum over all of it says whether it is as it was written.
"""

import json
import mmap
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simcrop.errors import SimcropError
from simcrop.files.lock import is_dead
from simcrop.files.tensors import save_tensors
from simcrop.files.whole import TEMPORARY, writer_of

CHECKSUM, FACTS = "checksum", "__metadata__"
LENGTH = 8  # bytes of the number of bytes of the header
PIECE = 1 << 22  # numbers that are looked at together
KINDS = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I32": torch.int32,
    "I64": torch.int64,
    "F32": torch.float32,
}


@dataclass(frozen=True, eq=False)
class Mapped:
    """`tensors` that lie in the file at `path`, never to be written to; `facts` about them; `checksum`: as it was when
    they were written.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, str]
    checksum: str
    memory: mmap.mmap

    def release(self) -> None:
        """Give back what has been read so far; it is read again when it is used, as long as may be from the system's
        cache of files. Without this a process that has looked at all of the file would be as large as that.
        """
        if hasattr(mmap, "MADV_DONTNEED"):
            self.memory.madvise(mmap.MADV_DONTNEED)


def save_mapped(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Raises StoreError where the system refuses."""
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_tensors(tensors, path, {**facts, CHECKSUM: checksum(tensors)})


def open_mapped(path: Path) -> Mapped:
    """What lies there, not looked through. Raises SimcropError where that is no whole file."""
    try:
        with path.open("rb") as file:
            memory = mmap.mmap(
                file.fileno(), 0, access=mmap.ACCESS_COPY
            )  # torch wants memory that it may write to
        start = LENGTH + int.from_bytes(memory[:LENGTH], "little")
        header: dict[str, Any] = json.loads(memory[LENGTH:start])
        facts = header.pop(FACTS)
        written = str(facts.pop(CHECKSUM))
        tensors = {name: tensor_of(memory, start, **how) for name, how in header.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise damaged(path) from error
    return Mapped(path, tensors, facts, written, memory)


def tensor_of(memory: mmap.mmap, start: int, dtype: Any, shape: Any, data_offsets: Any) -> Tensor:
    """By what the header says of it. Raises one of many errors where that is damaged."""
    kind, (first, end) = KINDS[dtype], data_offsets
    if first == end:
        return torch.empty(shape, dtype=kind)
    count = (end - first) // kind.itemsize
    return torch.frombuffer(memory, dtype=kind, count=count, offset=start + first).view(shape)


def open_checked(path: Path) -> Mapped | None:
    """The same, looked through once; None where it is missing or not as it was written."""
    try:
        mapped = open_mapped(path)
    except SimcropError:
        return None
    sound = mapped.checksum == checksum(mapped.tensors)
    mapped.release()
    return mapped if sound else None


def remove_others(path: Path) -> None:
    """Of files named KIND-SOURCE-... as `path` is, those of another source, and what processes that were killed have
    left half-written. Whoever has such a file open keeps it.
    """
    kind, source, _ = path.name.split("-", 2)
    for other in path.parent.glob(f"{kind}-*{path.suffix}"):
        if other.name.split("-")[1] != source:
            other.unlink(missing_ok=True)
    for left in path.parent.glob(f".{kind}-*{TEMPORARY}"):
        if is_dead(writer_of(left), left):
            left.unlink(missing_ok=True)


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """Of names, types, sizes and every byte."""
    found = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        found = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), found)
        flat = tensor.reshape(-1).numpy()
        for start in range(0, len(flat), PIECE):
            found = zlib.crc32(flat[start : start + PIECE].tobytes(), found)
    return f"{found:08x}"


def damaged(path: Path) -> SimcropError:
    return SimcropError(
        "corrupt-file", f"{path}: gone or damaged; run the same command again, it is made anew"
    )

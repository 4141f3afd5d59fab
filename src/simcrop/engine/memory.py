"""Memory of a run on a processor: what a step frees is kept for the next, and given back once it becomes too much.

Bytes. Every step asks the system for the same pages again unless they are kept, and waits until they are zeroed. But
batches differ in size: tensors of one step do not fit into the gaps that those of another left, and a heap that is
never trimmed grows for hours. Only glibc (Linux) can be asked; anywhere else nothing happens. Where memory runs out,
one line says which settings ask for less.
"""

import ctypes
import errno
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from simcrop.errors import SimcropError

SPARE = 1.1  # times what a step needs, before it is given back
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
# What torch says of a processor's, and of CUDA's own.
SHORT = ("not enough memory", "allocate memory", "out of memory")


@cache
def libc(name: str) -> Callable[..., int] | None:
    """A function of glibc, where there is one."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None


class Heap:
    """`most`: what the process held in the step after each giving back, at most, which is what a step needs. `kept`:
    whether what steps free stays with the process at all.
    """

    def __init__(self, kept: bool = True) -> None:
        self.kept, self.most, self.trimmed = kept, 0, True

    def after_step(self) -> None:
        """Give back all that is free, wherever in the heap it lies, once so much has gathered."""
        if not self.kept:
            return
        held = resident_bytes()
        if self.trimmed:
            self.most, self.trimmed = max(self.most, held), False
        elif held > SPARE * self.most and (trim := libc("malloc_trim")) is not None:
            trim(0)
            self.trimmed = True


@contextmanager
def kept_heap(device: torch.device) -> Iterator[Heap]:
    """A block of steps: on a processor what tensors leave behind stays with the process, whose threads all feel it."""
    tune = libc("mallopt") if device.type == "cpu" else None
    if tune is None:
        yield Heap(kept=False)
        return
    tune(M_MMAP_MAX, 0)
    tune(M_TRIM_THRESHOLD, -1)
    try:
        yield Heap()
    finally:  # as malloc does by itself, after it has served a few large tensors
        tune(M_MMAP_MAX, 65536)
        tune(M_MMAP_THRESHOLD, 32 << 20)
        tune(M_TRIM_THRESHOLD, 64 << 20)
        (libc("malloc_trim") or abs)(0)


def resident_bytes() -> int:
    """What the process holds in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@contextmanager
def memory_errors(micro_batch: int, recompute: bool, graphs: bool = False) -> Iterator[None]:
    """One line instead of a stack when memory does not suffice, for samples of `micro_batch` at a time. `graphs`: with
    CUDA graphs, which keep what they hold, and beside which nothing is computed again.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        less = f"lower engine.micro_batch ({micro_batch} now)"
        if graphs:
            less += " or set engine.cuda_graphs=false"
        elif not recompute:
            less += " or set engine.recompute=true"
        if "DataLoader worker" in str(error):
            less = "lower data.workers"
        raise SimcropError(
            "out-of-memory",
            f"out of memory: {less}; --resume then goes on from the newest checkpoint",
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(words in str(error) for words in SHORT)

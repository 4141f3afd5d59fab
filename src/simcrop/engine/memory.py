"""Freed memory goes back to the system after every step, so that a run on a processor holds what one step needs.

Batches differ in size: tensors of one step do not fit into the gaps that those of another left, and a heap that is
never trimmed grows for hours. Only glibc (Linux) can be asked; anywhere else nothing happens. Where memory runs out,
one line says which settings ask for less.
"""

import ctypes
import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch

from simcrop.errors import SimcropError

SHORT = (
    "not enough memory",
    "allocate memory",
    "out of memory",
)  # what torch says of a processor's, and of CUDA's own


@cache
def trim() -> Callable[[int], int] | None:
    """glibc's `malloc_trim`, where there is one."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None


def give_back_memory() -> None:
    """Whole free pages, wherever in the heap they lie. Takes a hundredth of a step of the toy size."""
    call = trim()
    if call is not None:
        call(0)


@contextmanager
def memory_errors(micro_batch: int, recompute: bool) -> Iterator[None]:
    """One line instead of a stack when memory does not suffice, for samples of `micro_batch` at a time."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        less = f"lower engine.micro_batch ({micro_batch} now)"
        if not recompute:
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

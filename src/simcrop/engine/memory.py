"""Freed memory goes back to the system after every step, so that a run on a processor holds what one step needs.

Batches differ in size: tensors of one step do not fit into the gaps that those of another left, and a heap that is
never trimmed grows for hours. Only glibc (Linux) can be asked; anywhere else nothing happens.
"""

import ctypes
import sys
from collections.abc import Callable
from functools import cache


@cache
def trim() -> Callable[[int], int] | None:
    """glibc's `malloc_trim`, where there is one."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None


def give_back_memory() -> None:
    """Whole free pages, wherever in the heap they lie. Takes a hundredth of a step of the toy size."""
    call = trim()
    if call is not None:
        call(0)

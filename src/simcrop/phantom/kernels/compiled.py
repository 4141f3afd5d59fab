"""Machine code for the phantom's inner loops, kept between runs.

A function that was compiled once does not notice changes in another file, so the name under which it is kept holds
a checksum of all files with such functions. The first run on a machine waits for the compiler, so these loops spare it
work: rows are copied number by number (a slice assigned to a slice brings its error message, and with that all of
numba's text), and a constant argument is given as `np.int64(1)` (a bare `1` is compiled a second time, for itself).
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

from simcrop import jit

KERNELS = Path(__file__).parent
FILES = (
    *(KERNELS / f"{name}.py" for name in ("compiled", "carving", "leaves", "mixing", "brush")),
    *(KERNELS.parent / name for name in ("noise.py", "anatomy/trees.py")),
)
WITHOUT_COUNTS: dict[str, Any] = {"_nrt": False}
WITHOUT_WRAPPERS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def checksum() -> int:
    total = 0
    for path in FILES:
        total = crc32(path.read_bytes(), total)
    return total


CHECKSUM = checksum()


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself as machine code, whatever checks a test run has wrapped around it."""
    return jit.compiled(named(function))


def inner(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a function that makes no arrays and that only compiled ones call.

    It counts no references to rows of arrays: on a few voxels, counting takes longer than what is done with them.
    """
    return jit.compiled(named(function), **WITHOUT_COUNTS, **WITHOUT_WRAPPERS)


def named(function: Callable[..., Any]) -> Callable[..., Any]:
    """The bare function, under a name that holds the checksum."""
    bare = inspect.unwrap(function)
    bare.__qualname__ = f"{bare.__qualname__}_{CHECKSUM:08x}"
    return bare

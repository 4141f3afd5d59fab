"""Machine code for the phantom's inner loops, kept between runs.

A function that was compiled once does not notice changes in another file, so the name under which it is kept holds
a checksum of all files with such functions.
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
    """The same for a function that makes no arrays.

    It counts no references to rows of arrays: on a few voxels, counting takes longer than what is done with them.
    """
    return jit.compiled(named(function), **WITHOUT_COUNTS)


def named(function: Callable[..., Any]) -> Callable[..., Any]:
    """The bare function, under a name that holds the checksum."""
    bare = inspect.unwrap(function)
    bare.__qualname__ = f"{bare.__qualname__}_{CHECKSUM:08x}"
    return bare

"""Functions as machine code, kept between runs where the installed files or the user's home can be written."""

import inspect
from collections.abc import Callable
from typing import Any

from numba import njit

OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True}


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """The bare function, whatever checks a test run has wrapped around it, with numba's further `options`."""
    bare, wanted = inspect.unwrap(function), OPTIONS | options
    try:
        return njit(cache=True, **wanted)(bare)
    except RuntimeError:  # nowhere to keep it: it is made anew in every process
        return njit(**wanted)(bare)

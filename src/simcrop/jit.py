"""Functions as machine code, kept between runs where the installed files or the user's home can be written."""

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit

OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True}


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """The bare function, whatever checks a test run has wrapped around it, with numba's further `options`."""
    bare, wanted = inspect.unwrap(function), OPTIONS | options
    try:
        made: Any = njit(cache=True, **wanted)(bare)
        made._cache.save_overload = where_there_is_room(made._cache.save_overload)
        return made
    except RuntimeError:  # nowhere to keep it: it is made anew in every process
        return njit(**wanted)(bare)


def where_there_is_room(keep: Callable[..., None]) -> Callable[..., None]:
    """What is compiled serves this process even where the disk is full."""

    def kept(*parts: Any) -> None:
        with suppress(OSError):
            keep(*parts)

    return kept

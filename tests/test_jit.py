"""Machine code where nothing can be kept: made anew, and the same."""

import functools
import resource
from pathlib import Path
from typing import Any

import pytest

from simcrop import jit


def twice(value: int) -> int:
    return 2 * value


def test_without_a_place_to_keep_it_a_function_is_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no home: numba then knows no place and raises."""
    real, cached = jit.njit, []

    def njit(**options: Any) -> Any:
        cached.append(options.get("cache", False))
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(jit, "njit", njit)
    assert jit.compiled(twice)(21) == 42
    assert cached == [True, False]


def test_on_a_full_disk_a_function_is_compiled_and_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    made = jit.compiled(twice)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        assert made(21) == 42
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [*tmp_path.rglob("*.nbc")]
    assert jit.compiled(twice)(5) == 10
    assert [*tmp_path.rglob("*.nbc")]  # it would have been kept there


def test_checks_of_a_test_run_are_not_compiled() -> None:
    @functools.wraps(twice)
    def checked(value: object) -> int:
        raise TypeError(value)

    assert jit.compiled(checked)(4) == 8

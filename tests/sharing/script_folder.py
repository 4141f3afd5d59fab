"""Scripts that lie beside the package, as modules for one test. No axes or units."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest


@contextmanager
def scripts_in(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports one by name, as it imports its own neighbours; forgotten afterwards."""
    before = set(sys.modules)
    patch.syspath_prepend(folder)
    yield import_module
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(folder):
            del sys.modules[name]

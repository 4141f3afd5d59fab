"""What the tests of the site share: its scripts as modules, and the site, built once."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = REPOSITORY / "website"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a script by name, as it imports its own neighbours."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(SCRIPTS)
    yield import_module
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(SCRIPTS):
            del sys.modules[name]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make site` builds, in a process of its own as there."""
    out = tmp_path_factory.mktemp("site")
    words = [sys.executable, str(SCRIPTS / "build.py"), str(out)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "html"

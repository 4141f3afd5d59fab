"""What the tests of the site share: its scripts as modules, and the site, built once."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from script_folder import scripts_in

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = REPOSITORY / "website"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a script by name."""
    with scripts_in(SCRIPTS, monkeypatch) as found:
        yield found


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make site` builds, in a process of its own as there."""
    out = tmp_path_factory.mktemp("site")
    words = [sys.executable, str(SCRIPTS / "build.py"), str(out)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "html"

"""What `.ci/run` does before the tests: Debian's programs installed where they are missing, and no failure for their
sake.
"""

import os
import subprocess
from pathlib import Path

CI = Path(__file__).parent.parent / ".ci"


def asked_for(tmp_path: Path, installed: str, installs: bool) -> tuple[subprocess.CompletedProcess[str], str]:
    """`.ci/debian one two` on a machine that has `installed`; and what it asked of apt-get."""
    for name, body in (
        ("dpkg-query", f'[[ "${{@: -1}}" == {installed} ]] && printf installed'),
        ("apt-get", f'echo "$*" >> {tmp_path}/asked; exit {0 if installs else 100}'),
    ):
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
    words = [CI / "debian", "one", "two"]
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path})
    log = tmp_path / "asked"
    return ran, log.read_text() if log.exists() else ""


def test_only_what_is_missing_is_installed(tmp_path: Path) -> None:
    ran, asked = asked_for(tmp_path, "one", installs=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "installed Debian's two\n", "")
    update, install = asked.splitlines()
    assert update.endswith(" update")
    assert install == "install --yes --no-install-recommends two"


def test_what_cannot_be_installed_is_said_aloud_and_stops_nothing(tmp_path: Path) -> None:
    ran, _ = asked_for(tmp_path, "none", installs=False)
    assert ran.returncode == 0
    for package in ("one", "two"):
        assert f"MISSING: Debian's {package} could not be installed" in ran.stderr
    assert "WILL BE SKIPPED" in ran.stderr


def test_the_checks_ask_for_the_program_that_reads_dicom_against_its_standard() -> None:
    assert any(
        line.startswith(".ci/debian") and "dicom3tools" in line
        for line in (CI / "run").read_text().splitlines()
    )

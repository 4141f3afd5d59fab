"""Shared fixtures: where the real scans and reports are, and a loud word when they are missing."""

import os
from pathlib import Path

import pytest

REAL_DATA = Path(os.environ.get("SIMCROP_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real scans, reports and tables. In CI it must be there."""
    if not (REAL_DATA / "ct").is_dir():
        if os.environ.get("CI"):
            pytest.fail("CI must run the tests on real input: set SIMCROP_REAL_DATA to the real data folder")
        pytest.skip("REAL INPUT MISSING: set SIMCROP_REAL_DATA to the folder that holds ct/ and ctrate/")
    return REAL_DATA


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not (REAL_DATA / "ct").is_dir():
        terminalreporter.write_sep("!", "REAL INPUT MISSING: every test on real scans was skipped", red=True)

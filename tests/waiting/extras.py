"""A plugin of pytest: tests that need an extra of the package are skipped where it is not installed, and loudly."""

from collections.abc import Callable

import pytest

MISSING = "EXTRA MISSING"


@pytest.fixture(scope="session")
def needs() -> Callable[[str], None]:
    """Told the name of an extra that brings a module of the same name."""
    from simcrop.logs.choice import is_installed

    def skip(extra: str) -> None:
        if not is_installed(extra):
            pytest.skip(f"{MISSING}: pip install 'simcrop[{extra}]'")

    return skip


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    if count := sum(MISSING in words for words in skipped):
        terminalreporter.write_sep("!", f"{MISSING}: {count} tests were skipped", yellow=True)

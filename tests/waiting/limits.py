"""A plugin of pytest: what waits for a signal hears it, waits only so long, and then ends what it has begun.

No axes; seconds.
"""

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def pytest_configure() -> None:
    # A shell that starts the tests in the background has them ignore Ctrl-C, which some of them send to themselves, and
    # what they start inherits that. Other launchers ignore or block more.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in STOPS[1:]:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


LIMIT_S = 1800.0  # for a test that says nothing of its own by the mark `limit`


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """A block that waits for something. After so long it fails, and all that this process has started is killed."""

    def ring(*_: object) -> None:
        kill_all(descendants(os.getpid()))
        pytest.fail(f"waited longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    outer, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, outer)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    mark = item.get_closest_marker("limit")
    with limited(mark.args[0] if mark else LIMIT_S):
        return (yield)


@pytest.fixture(name="limited", scope="session")
def give_limited() -> Callable[[float], AbstractContextManager[None]]:
    return limited


def descendants(process: int) -> list[int]:
    """Of this process, its children and theirs, without itself."""
    found: list[int] = []
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(word) for word in children.read_text().split()]
    return found + [inner for child in found for inner in descendants(child)]


def kill_all(processes: list[int]) -> None:
    """Each with the group that it leads or belongs to, but for our own."""
    for process in processes:
        with suppress(OSError):
            group = os.getpgid(process)
            if group != os.getpgrp():
                os.killpg(group, signal.SIGKILL)
            os.kill(process, signal.SIGKILL)

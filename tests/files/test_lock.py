"""One process at a time, and a dead one is no obstacle, with the system's locks and without them."""

import errno
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simcrop.errors import SimcropError
from simcrop.files.lock import locked, name_of

pytestmark = pytest.mark.limit(120)
HOLDS: list[object] = []


def without_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


@pytest.fixture(params=["flock", "no flock"])
def lock(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "no flock":
        monkeypatch.setattr(fcntl, "flock", without_locks)
    return tmp_path / "lock"


@pytest.fixture
def elsewhere() -> Iterator[Callable[[Callable[[], None]], int]]:
    """Starts `work` in another process, which is killed in the end; its number once `work` is done."""
    started: list[int] = []

    def start(work: Callable[[], None]) -> int:
        here, there = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                work()
                os.write(there, b"!")
                time.sleep(60)
            finally:
                os._exit(1)
        os.close(there)
        started.append(child)
        assert os.read(here, 1) == b"!"
        os.close(here)
        return child

    yield start
    for child in started:
        kill(child)


def kill(child: int) -> None:
    try:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except ProcessLookupError:
        pass


def hold(path: Path) -> None:
    """Until this process ends."""
    held = locked(path, "run")
    held.__enter__()
    HOLDS.append(held)


def test_the_second_is_refused_and_told_who_is_first(lock: Path, elsewhere: Callable[..., int]) -> None:
    child = elsewhere(lambda: hold(lock))
    with pytest.raises(SimcropError, match=rf"^run is in use by process {child} on ") as refused:
        hold(lock)
    assert refused.value.reason == "busy"
    assert str(lock) in refused.value.sentence
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with locked(lock, "run"):  # what a dead process left counts for nothing
        assert lock.read_text() == name_of(os.getpid())


def test_this_process_cannot_hold_it_twice_and_leaves_nothing(lock: Path) -> None:
    with locked(lock, "run"):
        with pytest.raises(SimcropError, match="in use"):
            hold(lock)
        assert lock.exists()
    with pytest.raises(ValueError, match="broken off"), locked(lock, "run"):
        raise ValueError("broken off")
    assert not list(lock.parent.iterdir())


def test_a_forked_process_does_not_keep_it(lock: Path, elsewhere: Callable[..., int]) -> None:
    def hold_and_fork() -> None:
        hold(lock)
        elsewhere(lambda: None)  # lives on

    first = elsewhere(hold_and_fork)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    with locked(lock, "run"):
        pass


@pytest.mark.parametrize("content", ["", "torn", "another-host 1"])
def test_without_locks_a_file_of_nobody_known_is_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setattr(fcntl, "flock", without_locks)
    (tmp_path / "lock").write_text(content)
    with pytest.raises(SimcropError, match="if nothing runs there, remove"):
        hold(tmp_path / "lock")
    (tmp_path / "lock").write_text(name_of(os.getpid()))  # of an earlier life of this container
    with locked(tmp_path / "lock", "run"):
        pass


def test_a_lock_removed_between_opening_and_locking_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flock, removed = tmp_path / "lock", fcntl.flock, []

    def remove_first(file: int, how: int) -> None:
        if not removed:
            removed.append(path.unlink())
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with locked(path, "run"):
        assert path.read_text() == name_of(os.getpid())

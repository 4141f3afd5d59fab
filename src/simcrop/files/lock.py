"""A lock file: one process at a time, told apart from one that died.

No axes or units. The system drops the lock of a process that dies, however it dies. Some network file systems have no
such locks; there the file itself is the lock, and one that a dead process of this host left behind is taken over.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from simcrop.errors import SimcropError
from simcrop.files.whole import writing

LOCKLESS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
HELD: dict[int, Path] = {}  # what this process holds: open file to its path


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Holds the lock file `path`, which is made here and removed at the end.

    Raises SimcropError("busy") while somebody else holds it: `what` is in use, and by whom.
    """
    with writing(path):
        while (file := try_lock(path, what)) is None:
            pass
    HELD[file] = path
    try:
        yield
    finally:
        del HELD[file]
        path.unlink(missing_ok=True)  # while it is still ours
        os.close(file)


def try_lock(path: Path, what: str) -> int | None:
    """The open file, which is ours; None where another try is due."""
    with ExitStack() as unless_won:
        file, made = opened(path)
        unless_won.callback(os.close, file)
        holder = os.pread(file, 200, 0).decode(errors="replace")
        try:
            won = is_won(file, path, made, holder)
        except BlockingIOError:
            raise busy(path, what, holder) from None
        if not won:
            return None
        os.ftruncate(file, 0)
        os.pwrite(file, name_of(os.getpid()).encode(), 0)
        unless_won.pop_all()
    return file


def opened(path: Path) -> tuple[int, bool]:
    """The file, and whether this very call made it."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666), False


def is_won(file: int, path: Path, made: bool, holder: str) -> bool:
    """Whether the lock is ours now. Raises BlockingIOError while it is somebody else's."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in LOCKLESS:
            raise
        if not made:
            take_away(path, holder)
        return made
    # Its last holder may have removed it after we opened it: what we have locked then is nobody's.
    return path.exists() and os.path.samestat(os.fstat(file), path.stat())


def take_away(path: Path, holder: str) -> None:
    """The file of a dead process of this host. Raises BlockingIOError where its process may be alive."""
    if not is_dead(holder, path):
        raise BlockingIOError
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):  # it went just now
        path.rename(aside)
        if aside.read_text(errors="replace") != holder:  # of two that saw it dead the other was faster
            aside.rename(path)
            raise BlockingIOError
        aside.unlink()


def is_dead(holder: str, path: Path) -> bool:
    """A process of another host, or one that has not yet written its name, counts as alive."""
    host, _, number = holder.rpartition(" ")
    if host != os.uname().nodename or not number.isdecimal():
        return False
    if int(number) == os.getpid():  # an earlier life of this container had the same number
        return path not in HELD.values()
    try:
        os.kill(int(number), 0)
    except OSError as error:
        return error.errno == errno.ESRCH
    return False


def name_of(process: int) -> str:
    """As it stands in a lock file."""
    return f"{os.uname().nodename} {process}"


def busy(path: Path, what: str, holder: str) -> SimcropError:
    host, _, number = holder.rpartition(" ")
    who = f"process {number} on {host}" if host else "another process"
    return SimcropError(
        "busy", f"{what} is in use by {who}: wait for it to end; if nothing runs there, remove {path}"
    )


def release_in_child() -> None:
    """A forked process must not keep the lock beyond the life of the one that took it."""
    for file in HELD:
        os.close(file)
    HELD.clear()


os.register_at_fork(after_in_child=release_in_child)

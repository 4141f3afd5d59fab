"""What is said on stderr, whose reader may go away while the work goes on: a pipe that is closed, a terminal.

No axes or units.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import POLLERR, poll
from typing import Any

GONE = {errno.EPIPE, errno.EIO}  # a pipe that nobody reads, a terminal that was closed


class Heedless:
    """A stream, but for the words that it does not take: they are left out."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        with self.heedless():
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self.heedless():
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @contextmanager
    def heedless(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in GONE:
                self.fall_silent()

    def fall_silent(self) -> None:
        """All further words go nowhere; or Python would try the last ones again at its end, and fail of them."""
        with suppress(OSError):  # no file lies behind it
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)


def stderr() -> Any:
    """As it is at the time."""
    return Heedless(sys.stderr)


def write_line(line: str) -> None:
    """For whoever may read it: no work ends because nobody does."""
    stderr().write(f"{line}\n")


def unread(file: int) -> bool:
    """Whether it is a pipe whose reader has gone."""
    looking = poll()
    looking.register(file, 0)
    return any(event & POLLERR for _, event in looking.poll(0))

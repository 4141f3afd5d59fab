"""A word on a terminal while the libraries of a verb load, which takes seconds; gone once they are there."""

from collections.abc import Iterator
from contextlib import contextmanager

from simcrop.stderr import stderr

WORD, GONE = "loading ...", "\r\x1b[K"


@contextmanager
def loading() -> Iterator[None]:
    """Around the imports of a verb; into a file or a pipe nothing is said."""
    stream = stderr()
    shown = stream.isatty()
    if shown:
        stream.write(WORD)
        stream.flush()
    try:
        yield
    finally:
        if shown:
            stream.write(GONE)
            stream.flush()

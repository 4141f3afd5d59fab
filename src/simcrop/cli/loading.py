"""A word on a terminal while the libraries of a verb load, which takes seconds; gone once they are there."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

WORD, GONE = "loading ...", "\r\x1b[K"


@contextmanager
def loading() -> Iterator[None]:
    """Around the imports of a verb; into a file or a pipe nothing is said."""
    shown = sys.stderr.isatty()
    if shown:
        sys.stderr.write(WORD)
        sys.stderr.flush()
    try:
        yield
    finally:
        if shown:
            sys.stderr.write(GONE)
            sys.stderr.flush()

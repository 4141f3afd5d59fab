"""What to do about a study that cannot be read in the middle of a training: try again, then take another.

No axes or units beside seconds.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from simcrop.errors import SimcropError

Read = TypeVar("Read")
PAUSES_S = (0.5, 2.0)  # before a scan that could not be read is tried again
OTHERS = 3  # studies are tried in place of one; when none of them can be read, storage is gone and not a file


@runtime_checkable
class Draw(Protocol):
    """Which study, and the seed of everything random about it."""

    @property
    def index(self) -> int: ...

    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class OtherDraw:
    """Drawn in place of one whose study cannot be read."""

    index: int
    seed: int


def read_patiently(read: Callable[[], Read]) -> Read:
    """Tried again after a while: a file server that comes back often has the file."""
    for pause in PAUSES_S:
        try:
            return in_our_words(read)
        except SimcropError as error:
            if error.reason == "bad-setting":
                raise
            time.sleep(pause)
    return in_our_words(read)


def in_our_words(read: Callable[[], Read]) -> Read:
    """What the system says of a file that is there, such as of a stale handle, is a scan's failure like any other."""
    try:
        return read()
    except OSError as error:
        raise SimcropError(
            "unreadable", f"{error.filename or 'its scan'}: {error.strerror or error}"
        ) from error


def other_draw(draw: Draw, count: int) -> OtherDraw:
    """Any other study in its place, the same whenever the run is repeated; nothing else of the run changes."""
    random = np.random.default_rng((draw.seed, 2))
    further = 1 + int(random.integers(max(1, count - 1)))
    return OtherDraw((draw.index + further) % count, int(random.integers(2**63)))

"""A run that stands still says where: the Python stacks of every process in files of the run folder, and one line.

Minutes since the last step. Nothing is ended: what is slow may still come, and what never does has an end of its own.
"""

import faulthandler
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from simcrop.stderr import write_line

LOOKS_S = 1.0  # between two looks, or less where the patience is less


class Watchdog:
    """`minutes`: how long a step may take. `speaks`: one process does, and all write their stacks."""

    def __init__(
        self,
        folder: Path,
        rank: int,
        minutes: float,
        speaks: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = folder / f"stacks-{rank}.txt"
        self.minutes, self.speaks, self.clock = minutes, speaks, clock
        self.done, self.since, self.told = 0, clock(), False

    def step(self, done: int) -> None:
        """A sign of life: so many steps are done."""
        self.done, self.since, self.told = done, self.clock(), False

    def look(self) -> None:
        """Tell, once for each time that it stands still."""
        if not self.told and self.clock() - self.since >= 60 * self.minutes:
            self.told = True
            self.tell()

    def tell(self) -> None:
        words = f"no step for {self.minutes:g} minutes after step {self.done}"
        try:
            with self.path.open("a") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {words}\n")
                file.flush()
                faulthandler.dump_traceback(file, all_threads=True)
            where = f"where each process is, say the stacks-*.txt in {self.path.parent}"
        except OSError as error:  # a disk that is full or gone may be why it stands still
            where = f"{self.path} cannot be written: {error.strerror}"
        if self.speaks:
            write_line(f"{words}; {where}")


@contextmanager
def watched(folder: Path, rank: int, minutes: float, speaks: bool) -> Iterator[Watchdog]:
    """A block of steps with a thread beside it that looks after them; none where `minutes` is 0."""
    dog, over = Watchdog(folder, rank, minutes, speaks), threading.Event()

    def look() -> None:
        while not over.wait(min(LOOKS_S, 60 * minutes / 4)):
            dog.look()

    thread = threading.Thread(target=look, name="watchdog", daemon=True)
    if minutes:
        thread.start()
    try:
        yield dog
    finally:
        over.set()
        if minutes:
            thread.join()

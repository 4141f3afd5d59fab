"""What a person sees of a running job: a bar on a terminal, a plain line now and then elsewhere."""

import atexit
import sys
import time
from collections.abc import Callable

from simcrop.stderr import stderr, write_line

# Told after every unit of work: how many are done, of how many, and what to show beside the count.
Progress = Callable[[int, int, str], None]


class PlainProgress:
    """A line on stderr at most every `seconds`, and one at the end; none in the first `quiet` seconds, so that what is
    over at once is not worth a word.
    """

    def __init__(self, title: str, seconds: float = 10.0, quiet: float = 0.0) -> None:
        self.title, self.seconds, self.last = title, seconds, 0.0
        self.loud = time.monotonic() + quiet

    def __call__(self, done: int, total: int, words: str) -> None:
        now = time.monotonic()
        if now >= self.loud and (done == total or now - self.last >= self.seconds):
            self.last = now
            write_line(f"{self.title} {done}/{total}  {words}")


class TerminalProgress:
    """A live bar, drawn by rich."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self.bar = Bar(
            TextColumn(title),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}"),
            console=Console(file=stderr()),
        )
        self.task = self.bar.add_task(title, total=None, words="")
        self.bar.start()
        atexit.register(self.bar.stop)  # an error on the way must give the cursor back

    def __call__(self, done: int, total: int, words: str) -> None:
        self.bar.update(self.task, completed=done, total=total, words=words)
        if done >= total:
            self.bar.stop()


class Pace:
    """`2.4 scans/s, 1:05:00 left`, by what this process did; what an earlier one did counts for nothing."""

    def __init__(self, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.unit, self.clock, self.started = unit, clock, clock()
        self.before: int | None = None

    def __call__(self, done: int, total: int) -> str:
        rate, left = self.measured(done, total)
        return f"{rate:.3g} {self.unit}/s, {clock_time(left)} left"

    def measured(self, done: int, total: int) -> tuple[float, float]:
        """Units per second, and the seconds that are left."""
        if self.before is None:
            self.before = done - 1
        rate = (done - self.before) / max(self.clock() - self.started, 1e-9)
        return rate, (total - done) / rate


def clock_time(seconds: float) -> str:
    """Hours, minutes and seconds, as `1:05:09`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def silent(done: int, total: int, words: str) -> None:
    """No progress at all."""
    del done, total, words


def show_progress(title: str, is_main: bool = True, quiet: float = 0.0) -> Progress:
    """The right kind for where this process runs; a plain one says nothing in its first `quiet` seconds."""
    if not is_main:
        return silent
    return TerminalProgress(title) if sys.stderr.isatty() else PlainProgress(title, quiet=quiet)

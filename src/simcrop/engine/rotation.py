"""Which steps get a checkpoint, and which checkpoints go again. Steps, and minutes of the clock of whoever asks."""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from simcrop.engine.checkpoint import CheckpointSettings, checkpoints

DROPPED = ".dropped"  # a name that no checkpoint has, while it goes


def superfluous(steps: Sequence[int], keep: int, keep_every: int | None = None) -> list[int]:
    """Of checkpoints after these `steps`, those that may go: neither among the newest nor meant to stay."""
    older = sorted(steps)[:-keep]
    return [step for step in older if keep_every is None or step % keep_every]


class Due:
    """When a checkpoint is due: by the step, which all processes know, or by the clock, which is one process's own."""

    def __init__(self, settings: CheckpointSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings, self.clock, self.since = settings, clock, clock()

    def by_step(self, step: int) -> bool:
        ever = (self.settings.every, self.settings.keep_every)
        return any(count is not None and step % count == 0 for count in ever)

    def by_clock(self) -> bool:
        minutes = self.settings.minutes
        return minutes is not None and self.clock() - self.since >= 60 * minutes

    def begun(self) -> None:
        """One is on its way to the disk: the minutes of the next begin."""
        self.since = self.clock()


def rotate(folder: Path, settings: CheckpointSettings) -> None:
    """Drop what is superfluous in `folder`, and what a killed process left half-written or half-dropped. Only by the
    process that writes there, and while it does not. What cannot go now, as on a file server where somebody reads it,
    goes with a later one: it is no reason to end a run.
    """
    found = {int(path.name.removeprefix("step-")): path for path in checkpoints(folder)}
    for step in superfluous(list(found), settings.keep, settings.keep_every):
        with suppress(OSError):
            found[step].rename(f"{found[step]}{DROPPED}")  # else half of it may look whole
    for kind in (DROPPED, ".partial"):
        for left in folder.glob(f"step-*{kind}"):
            shutil.rmtree(left, ignore_errors=True)

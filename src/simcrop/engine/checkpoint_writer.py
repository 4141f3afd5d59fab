"""Checkpoints written behind the training: the next steps are taken while the disk still works.

No axes or units. A copy of the state lies in the computer's memory until it is on disk; one at most is on its way. A
disk that is full costs a checkpoint and not the run: the one before stays, and the next is tried again.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from simcrop.engine.checkpoint import CheckpointSettings, Describe, TrainingState, save_checkpoint
from simcrop.engine.journal import Row
from simcrop.engine.rotation import rotate
from simcrop.errors import SimcropError
from simcrop.stderr import write_line


class CheckpointWriter:
    """Writes into `folder`; `before` is done first, and what it refuses counts as refused by the disk."""

    def __init__(
        self,
        thread: ThreadPoolExecutor,
        folder: Path,
        describe: Describe,
        settings: CheckpointSettings,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self.thread, self.folder, self.describe, self.settings = thread, folder, describe, settings
        self.before = before
        self.running: Future[None] | None = None
        self.step, self.failed, self.told, self.speaks = 0, {}, False, True

    def write(self, state: TrainingState) -> None:
        """Copies `state`, which the next step changes, and begins to write it."""
        self.settle()
        self.speaks = state.is_main
        copied = state.copied_to_cpu()
        self.step, self.running = copied.step, self.thread.submit(self.save, copied)

    def save(self, state: TrainingState) -> None:
        save_checkpoint(self.folder, state, self.describe, self.before)
        if state.is_main:
            rotate(self.folder, self.settings)

    def wait(self) -> None:
        """Until nothing is on its way to the disk; raises what it failed with, since no other will be tried."""
        running, self.running = self.running, None
        if running is None:
            return
        try:
            running.result()
        except SimcropError as error:
            advice = "earlier checkpoints are whole, free some space and continue with --resume"
            raise SimcropError(error.reason, f"{error.sentence}; {advice}") from error

    def settle(self) -> None:
        """The same, but the run goes on without it; said once until one is written again."""
        running, self.running = self.running, None
        if running is None:
            return
        try:
            running.result()
            self.told = False
        except SimcropError as error:
            self.failed[f"step-{self.step:08d}"] = error.reason
            if self.speaks and not self.told:
                advice = "the run goes on and will try again, earlier checkpoints are whole: free some space"
                write_line(f"{error.sentence}; {advice}")
            self.told = True

    def failures(self) -> Row:
        """What the journal says of checkpoints that could not be written since it was last asked; mostly nothing."""
        if self.running is not None and self.running.done():
            self.settle()
        failed, self.failed = self.failed, {}
        return {"checkpoint_failed": failed} if failed else {}


@contextmanager
def checkpoint_writer(
    folder: Path,
    describe: Describe,
    settings: CheckpointSettings,
    before: Callable[[], None] = lambda: None,
) -> Iterator[CheckpointWriter]:
    """A writer that is done at the end, however it comes. Of two errors, the training's is the one that is told."""
    with ThreadPoolExecutor(1) as thread:
        writer = CheckpointWriter(thread, folder, describe, settings, before)
        yield writer
        writer.wait()

"""Checkpoints written behind the training: the next steps are taken while the disk still works.

No axes or units. A copy of the state lies in the computer's memory until it is on disk; one at most is on its way.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from simcrop.engine.checkpoint import Describe, TrainingState, save_checkpoint


class CheckpointWriter:
    """Writes into `folder`. What fails there is raised in the training, by whichever call comes next."""

    def __init__(self, thread: ThreadPoolExecutor, folder: Path, describe: Describe, keep: int) -> None:
        self.thread, self.folder, self.describe, self.keep = thread, folder, describe, keep
        self.running: Future[Path] | None = None
        self.together = False

    def write(self, state: TrainingState) -> None:
        """Copies `state`, which the next step changes, and begins to write it."""
        self.wait()
        self.together = state.together is not None
        copied = state.copied_to_cpu()
        self.running = self.thread.submit(save_checkpoint, self.folder, copied, self.describe, self.keep)

    def wait(self) -> None:
        """Until nothing is on its way to the disk."""
        running, self.running = self.running, None
        if running is not None:
            running.result()

    def check(self) -> None:
        """Raises what the writing failed with, if it did. Processes that write together are told by `wait` alone, which
        all of them call after the same step.
        """
        if self.running is not None and self.running.done() and not self.together:
            self.wait()


@contextmanager
def checkpoint_writer(folder: Path, describe: Describe, keep: int) -> Iterator[CheckpointWriter]:
    """A writer that is done at the end, however it comes. Of two errors, the training's is the one that is told."""
    with ThreadPoolExecutor(1) as thread:
        writer = CheckpointWriter(thread, folder, describe, keep)
        yield writer
        writer.wait()

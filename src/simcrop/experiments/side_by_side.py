"""Arms trained side by side, each in a process of one thread: small networks gain little from a second one.

No axes or units. One thread also means the same weights on any number of cores.
"""

import multiprocessing
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from simcrop.engine.progress import PlainProgress
from simcrop.errors import SimcropError
from simcrop.experiments.arms import Arm, train
from simcrop.parallel.processes import ONE_THREAD, leave_with_parent

INTERRUPTED = 130
PATIENCE_S = 10.0  # for a process that heard the same Ctrl-C to finish its step

Say = Callable[[str], None]


@dataclass(frozen=True)
class Training:
    """One arm with one seed, and where it goes."""

    arm: Arm
    cohort: Path
    folder: Path
    seed: int
    common: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.arm.name}, seed {self.seed}"

    @property
    def done(self) -> bool:
        return (self.folder / ("metrics.json" if self.arm.trained else "model")).exists()


def processors() -> int:
    """How many trainings run well at once: one per core that is ours, or one where a GPU does the work."""
    import torch

    return 1 if torch.cuda.is_available() else len(os.sched_getaffinity(0))


def train_all(trainings: Sequence[Training], at_once: int, say: Say) -> None:
    """Returns when all are trained; what is there already is kept. With `at_once` 1 they are trained in this process.

    Interrupted, every training saves what it has; the same call goes on from there.
    """
    waiting = deque(training for training in trainings if not training.done)
    if at_once == 1:
        for training in waiting:
            say(training.name)
            train(training.arm, training.cohort, training.folder, training.seed, training.common)
        return
    running: dict[Connection, BaseProcess] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                say(waiting[0].name)
                link, process = start(waiting.popleft())
                running[link] = process
            for link in wait(list(running)):
                assert isinstance(link, Connection)
                finish(link, running.pop(link))
    except BaseException as reason:
        # Those that heard a Ctrl-C themselves are about to end: a second request would cost them their step.
        stop(list(running.values()), PATIENCE_S if isinstance(reason, KeyboardInterrupt) else 0.0)
        raise


def start(training: Training) -> tuple[Connection, BaseProcess]:
    """A fresh process, and the end of a pipe on which it tells how it ended."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    assert isinstance(here, Connection)  # what a pipe is where processes are forked or spawned by POSIX
    process = context.Process(target=train_alone, args=(training, there), name=training.name)
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # read when a library is loaded, so before it starts
    try:
        process.start()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    there.close()
    return here, process


def train_alone(training: Training, link: Connection) -> None:
    """In the new process. Ctrl-C and SIGTERM end it after the step in hand, saved."""
    import torch

    torch.set_num_threads(1)
    threading.Thread(target=leave_with_parent, daemon=True).start()
    try:
        progress = PlainProgress(training.name)
        train(training.arm, training.cohort, training.folder, training.seed, training.common, progress)
        link.send(None)
    except SimcropError as error:
        link.send(error)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def finish(link: Connection, process: BaseProcess) -> None:
    """Raise what ended it, if not the end of its training."""
    try:
        error = link.recv()
    except EOFError:
        process.join()
        if process.exitcode == INTERRUPTED:
            raise KeyboardInterrupt from None
        raise SimcropError(
            "worker-died",
            f"{process.name}: its process was killed, perhaps for its memory; --resume continues it",
        ) from None
    process.join()
    if error is not None:
        raise error


def stop(running: Sequence[BaseProcess], patience_s: float) -> None:
    """Those that have not ended by themselves in that time are asked to finish their step."""
    deadline = time.monotonic() + patience_s
    for process in running:
        process.join(max(0.0, deadline - time.monotonic()))
    for process in running:
        process.terminate()
    for process in running:
        process.join()

"""Work done side by side, each piece in a process of one thread: small networks gain little from a second one.

No axes or units. One thread also means the same weights on any number of cores.
"""

import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol, runtime_checkable

from simcrop.engine.progress import PlainProgress
from simcrop.engine.stop import StopRequest, steps_to_save, stop_requests
from simcrop.errors import SimcropError
from simcrop.experiments.arms import Arm, train
from simcrop.parallel.processes import ONE_THREAD, leave_with_parent

INTERRUPTED = 130
LOOK_S = 0.5  # a request to stop waits no longer

Say = Callable[[str], None]


@runtime_checkable
class Work(Protocol):
    """What is done in a process of its own."""

    @property
    def name(self) -> str: ...

    @property
    def done(self) -> bool: ...

    def run(self) -> None:
        """From where it was left. Raises SimcropError, or KeyboardInterrupt once what there is is saved."""
        ...


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

    def run(self) -> None:
        first = multiprocessing.parent_process() is None  # which alone may draw a bar
        progress = None if first else PlainProgress(self.name)
        train(self.arm, self.cohort, self.folder, self.seed, self.common, progress)


def processors() -> int:
    """How many trainings run well at once: one per core that is ours, or one where a GPU does the work."""
    import torch

    return 1 if torch.cuda.is_available() else len(os.sched_getaffinity(0))


def run_all(pieces: Sequence[Work], at_once: int, say: Say) -> None:
    """Returns when all are done; what is there already is kept. With `at_once` 1 they are done in this process.

    Interrupted, or asked by a scheduler to stop, each saves what it has; the same call goes on from there.
    """
    waiting = deque(work for work in pieces if not work.done)
    with stop_requests() as asked:
        if at_once == 1:
            for work in waiting:
                say(work.name)
                work.run()
        else:
            with steps_to_save(asked):
                run_in_processes(waiting, at_once, say, asked)


def run_in_processes(waiting: deque[Work], at_once: int, say: Say, asked: StopRequest) -> None:
    """Each in its own, `at_once` at a time; none outlives this call."""
    running: dict[Connection, BaseProcess] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                say(waiting[0].name)
                link, process = start(waiting.popleft())
                running[link] = process
            ended = wait(list(running), LOOK_S)
            if asked.stop:
                raise KeyboardInterrupt
            for link in ended:
                assert isinstance(link, Connection)
                finish(link, running[link])
                del running[link]
    except BaseException:
        stop(list(running.values()))
        raise


def start(work: Work, environment: Mapping[str, str] | None = None) -> tuple[Connection, BaseProcess]:
    """A fresh process, and the end of a pipe on which it tells how it ended. `environment`: of that process alone."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    assert isinstance(here, Connection)  # what a pipe is where processes are forked or spawned by POSIX
    process = context.Process(target=work_alone, args=(work, there), name=work.name)
    changed = {**dict.fromkeys(ONE_THREAD, "1"), **(environment or {})}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)  # read when a library is loaded, so before it starts
    try:
        process.start()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    there.close()
    return here, process


def work_alone(work: Work, link: Connection) -> None:
    """In the new process. Ctrl-C and SIGTERM end it after the step in hand, saved."""
    import torch

    torch.set_num_threads(1)
    threading.Thread(target=leave_with_parent, daemon=True).start()
    try:
        with stop_requests():
            work.run()
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
        fault = (process.exitcode or 0) > 0
        how = "ended by a fault, traced above" if fault else "was killed, perhaps for its memory"
        raise SimcropError(
            "worker-died", f"{process.name}: its process {how}; --resume continues it"
        ) from None
    process.join()
    if error is not None:
        raise error


def stop(running: Sequence[BaseProcess]) -> None:
    """Each finishes its step, saves and ends; it takes no harm from being asked a second time. A second Ctrl-C ends
    them as they are.
    """
    try:
        for process in running:
            process.terminate()
        for process in running:
            process.join()
    except KeyboardInterrupt:
        for process in running:
            process.kill()
        raise

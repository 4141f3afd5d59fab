"""Jobs run side by side, each as soon as those before it are done; one that fails stops those that wait for it alone.

No axes or units.
"""

import os
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from simcrop.engine.stop import StopRequest, steps_to_save, stop_requests
from simcrop.errors import SimcropError
from simcrop.experiments.side_by_side import LOOK_S, Say, finish, start, stop
from simcrop.experiments.tables.jobs import Job

Environment = Mapping[str, str]
Failures = Mapping[Path, SimcropError]  # why a job left nothing, by the folder that it would have left
HERE: tuple[Environment, ...] = ()  # no process of their own: one after the other in this one


def devices() -> tuple[Environment, ...]:
    """What each job of several at once is given: a GPU, or a core."""
    import torch

    if cards := torch.cuda.device_count():
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        names = seen if len(seen) == cards and all(seen) else [str(card) for card in range(cards)]
        return tuple({"CUDA_VISIBLE_DEVICES": name} for name in names)
    return ({},) * len(os.sched_getaffinity(0))


def run_jobs(
    jobs: Sequence[Job], on: Sequence[Environment], say: Say, failed: Failures | None = None
) -> dict[Path, SimcropError]:
    """Returns when all are done that can be; why a job failed, or was not begun, by its folder. `failed`: those of
    before, which are not tried again.

    Interrupted, or asked by a scheduler to stop, every job saves what it has; the same call goes on from there.
    """
    before = dict(failed or {})
    running = Running([job for job in jobs if not job.done and job.folder not in before], list(on), say)
    running.failed |= before
    with stop_requests() as asked:
        if not on:
            while job := running.next():
                running.here(job)
        else:
            with steps_to_save(asked):
                running.side_by_side(asked)
    return running.failed


class Running:
    """Which jobs wait, which run where, and which failed."""

    def __init__(self, waiting: list[Job], free: list[Environment], say: Say) -> None:
        self.waiting, self.free, self.say = waiting, free, say
        self.working: dict[Connection, tuple[BaseProcess, Job, Environment]] = {}
        self.failed: dict[Path, SimcropError] = {}

    def next(self) -> Job | None:
        """The first whose turn it is; those that wait for one that failed are given up."""
        for job in list(self.waiting):
            if broken := [before for before in job.after if before in self.failed]:
                self.waiting.remove(job)
                self.failed[job.folder] = self.failed[broken[0]]
        left = {job.folder for job in self.waiting} | {job.folder for _, job, _ in self.working.values()}
        ready = next((job for job in self.waiting if not left & set(job.after)), None)
        if ready is not None:
            self.waiting.remove(ready)
            self.say(f"{'goes on: ' if ready.begun else ''}{ready.name}")
        return ready

    def here(self, job: Job) -> None:
        """In this process."""
        try:
            job.run()
        except SimcropError as error:
            self.fail(job, error)

    def side_by_side(self, asked: StopRequest) -> None:
        """Each in its own process; none outlives this call."""
        try:
            while True:
                while self.free and (job := self.next()):
                    where = self.free.pop()
                    link, process = start(job, where)
                    self.working[link] = process, job, where
                if not self.working:
                    return
                ended = wait(list(self.working), LOOK_S)
                if asked.stop:
                    raise KeyboardInterrupt
                for link in ended:
                    assert isinstance(link, Connection)
                    self.end(link)
        except BaseException:
            stop([process for process, _, _ in self.working.values()])
            raise

    def end(self, link: Connection) -> None:
        process, job, where = self.working[link]
        try:
            finish(link, process)
        except SimcropError as error:
            self.fail(job, error)
        del self.working[link]
        self.free.append(where)

    def fail(self, job: Job, error: SimcropError) -> None:
        self.failed[job.folder] = error
        self.say(f"failed: {job.name}: {error.sentence}")

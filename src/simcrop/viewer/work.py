"""Work that takes long: one thread, a queue of bounded length, jobs that say how far they are and can be cancelled.

Progress in [0, 1].
"""

import logging
import queue
import secrets
import traceback
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Literal

from simcrop.errors import SimcropError
from simcrop.viewer.refusals import Cancelled, not_found

State = Literal["waiting", "running", "done", "failed", "cancelled"]
LOG = logging.getLogger("simcrop.viewer")


class Job:
    """One piece of work. `do` is called with the job, which it tells how far it is; `leave` instead of it, where
    nobody wants the job any more before it began.
    """

    def __init__(self, do: Callable[["Job"], Any], leave: Callable[[], None] = lambda: None) -> None:
        self.id, self.do, self.leave = secrets.token_hex(12), do, leave
        self.state: State = "waiting"
        self.progress, self.says = 0.0, "waiting"
        self.result: Any = None
        self.error: SimcropError | None = None
        self.future: Future[Any] = Future()
        self.lock = Lock()

    @property
    def open(self) -> bool:
        return self.state in ("waiting", "running")

    def tell(self, progress: float, says: str) -> None:
        """Raises Cancelled where nobody wants it any more."""
        self.check()
        self.progress, self.says = min(max(progress, 0.0), 1.0), says

    def check(self) -> None:
        if self.state == "cancelled":
            raise Cancelled

    def cancel(self) -> None:
        """It ends at once for whoever asked; the thread leaves it when it next looks."""
        self.end("cancelled", "cancelled", error=SimcropError("cancelled", "this was cancelled"))

    def end(self, state: State, says: str, result: Any = None, error: SimcropError | None = None) -> bool:
        """False where it had ended before."""
        with self.lock:
            if not self.open:
                return False
            began = self.state == "running"
            self.state, self.says, self.result, self.error = state, says, result, error
        if not began:
            self.leave()
        self.progress = 1.0 if state == "done" else self.progress
        with suppress(InvalidStateError):  # whoever waited may have gone
            if error is None:
                self.future.set_result(result)
            else:
                self.future.set_exception(error)
        return True

    def run(self) -> None:
        with self.lock:
            if self.state != "waiting":
                return
            self.state = "running"
        try:
            self.end("done", "done", result=self.do(self))
        except Cancelled:
            self.cancel()
        except SimcropError as error:
            self.end("failed", "failed", error=error)
        except Exception as error:  # noqa: BLE001  # one bad scan must not end the thread, nor its words reach a log
            LOG.error("%s", fault(error))
            self.end("failed", "failed", error=SimcropError("fault", f"{fault(error)}"))


class Queue:
    """Jobs one after the other; finished ones are remembered for a while."""

    def __init__(self, name: str, waiting: int, kept: int) -> None:
        self.waiting: queue.Queue[Job] = queue.Queue(waiting)
        self.kept, self.jobs, self.lock = kept, OrderedDict[str, Job](), Lock()
        self.stopped = Event()
        self.thread = Thread(target=self.work, name=name, daemon=True)
        self.thread.start()

    def put(self, do: Callable[[Job], Any], leave: Callable[[], None] = lambda: None) -> Job:
        job = Job(do, leave)
        try:
            self.waiting.put_nowait(job)
        except queue.Full:
            raise SimcropError(
                "busy", "too much is waiting to be done already: try again in a while"
            ) from None
        with self.lock:
            self.jobs[job.id] = job
            ended = [id for id, old in self.jobs.items() if not old.open]
            for id in ended[: max(len(self.jobs) - self.kept, 0)]:
                del self.jobs[id]
        return job

    def find(self, id: str) -> Job | None:
        with self.lock:
            return self.jobs.get(id)

    def forget(self, job: Job) -> None:
        """Of a job that has ended and that nobody will ask for, what it gave is not kept."""
        if not job.open:
            with self.lock:
                self.jobs.pop(job.id, None)

    def work(self) -> None:
        while not self.stopped.is_set():
            try:
                job = self.waiting.get(timeout=0.2)
            except queue.Empty:
                continue
            job.run()
            job.do = done
            del job

    def stop(self, seconds: float = 10) -> bool:
        """What waits or runs is cancelled; whether the thread has ended by then."""
        self.stopped.set()
        with self.lock:
            jobs = list(self.jobs.values())
        for job in jobs:
            job.cancel()
        self.thread.join(seconds)
        return not self.thread.is_alive()


def done(_: Job) -> None:
    """What a finished job does."""


def job_in(id: str, *queues: Queue) -> Job:
    for one in queues:
        if (job := one.find(id)) is not None:
            return job
    raise not_found("job")


def fault(error: Exception) -> str:
    """What went wrong in us, without the words of the error, which may quote a scan or a report."""
    home = Path(__file__).parents[1]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(home)]
    where = f" in {Path(frames[-1].filename).relative_to(home)} line {frames[-1].lineno}" if frames else ""
    return f"a fault in simcrop, {type(error).__name__}{where}"

"""A process pool in which a dying worker costs at most the scan that killed it, and nothing ever hangs.

No axes or units.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any

from simcrop.errors import SimcropError

ONE_THREAD = (
    "OMP_NUM_THREADS",
    "BLOSC_NTHREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "POLARS_MAX_THREADS",
)


def each(
    work: Callable[[Any], Any], jobs: Iterable[Any], workers: int, died: Callable[[Any], Any]
) -> Iterator[Any]:
    """`work(job)` for every job, in the order of completion; `died(job)` for one that kills its worker twice."""
    waiting = deque(jobs)
    while waiting:
        running: dict[Future[Any], Any] = {}
        with processes(workers) as pool:
            try:
                while waiting or running:
                    while waiting and len(running) < 2 * workers:
                        # The job leaves the queue only once it is submitted: a broken pool takes none.
                        future = pool.submit(work, waiting[0])
                        running[future] = waiting.popleft()
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        result = future.result()
                        del running[future]
                        yield result
            except BrokenProcessPool:
                pass  # one of those running did it: they are tried again below, each alone
        for job in running.values():
            yield alone(work, job, died)


def alone(work: Callable[[Any], Any], job: Any, died: Callable[[Any], Any]) -> Any:
    """One job in a process of its own."""
    with processes(1) as pool:
        try:
            return pool.submit(work, job).result()
        except BrokenProcessPool:
            check_workers_start()
            return died(job)


def check_workers_start() -> None:
    """Tell a scan that kills its worker from a machine on which none can start."""
    with processes(1) as pool:
        try:
            pool.submit(os.getpid).result()
        except BrokenProcessPool:
            raise SimcropError(
                "no-workers",
                "worker processes die as soon as they start: use workers=1, or in a script of your own put the "
                'call below `if __name__ == "__main__":`',
            ) from None


@contextmanager
def processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes, which share no thread, lock or memory with this one."""
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=settle_in)
    try:
        yield pool
    finally:
        started = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        await_end(started)


def await_end(workers: Sequence[BaseProcess]) -> None:
    """Until all have ended. One that is killed, now or just before, may hold the lock of the queue in which the others
    would find that they are done, and a pool that is being shut down no longer looks: they are then told to end.
    """
    while alive := [worker for worker in workers if worker.is_alive()]:
        if any(worker.exitcode for worker in workers):
            for worker in alive:
                worker.terminate()
        connection.wait([worker.sentinel for worker in alive])


def settle_in() -> None:
    """In a new worker: one thread, Ctrl-C is the parent's business, and no life after the parent's."""
    for name in ONE_THREAD:
        os.environ[name] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=leave_with_parent, daemon=True).start()


def leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

"""Batches on their way from the disk to the step: loading processes, and what becomes of them when something ends."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data._utils.signal_handling import _remove_worker_pids
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from simcrop.engine.order import MicroBatchSampler, RankShare, SampleOrder
from simcrop.engine.stop import STOP_SIGNALS, ignore_stop_signals
from simcrop.errors import SimcropError
from simcrop.parallel.processes import leave_with_parent

PATIENCE_S = 5.0  # for a sample that is being read when the run ends


@contextmanager
def micro_batches(
    dataset: Dataset, collate: Any, order: SampleOrder, share: RankShare, steps: range, workers: int
) -> Iterator[Iterator[Any]]:
    """The micro-batches of this process, step after step; its loading processes end with the block."""
    sampler = MicroBatchSampler(order, share, steps.start, steps.stop)
    with loaded(dataset, workers, batch_sampler=sampler, collate_fn=collate) as batches:
        if torch.cuda.is_available():
            with closing(staged(batches, pinned)) as staged_batches:
                yield staged_batches
        else:
            yield batches


def staged(batches: Iterator[Any], stage: Callable[[Any], Any]) -> Generator[Any, None, None]:
    """What `stage` makes of each batch, in a thread of its own, one batch ahead of the one that is given out.

    Torch's loader pins whatever its processes have ready, two batches for each: with 14 of them 28 batches, each
    half a gigabyte at paper size, every one in pages of its own.
    """
    card = torch.cuda.current_device() if torch.cuda.is_available() else None
    coming: deque[Future] = deque()
    with ThreadPoolExecutor(1, "staging", choose_card, (card,)) as thread:
        for batch in batches:
            coming.append(thread.submit(stage, batch))
            if len(coming) > 1:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def choose_card(number: int | None) -> None:
    """For a thread, which begins at the first one."""
    if number is not None:
        torch.cuda.set_device(number)


def pinned(batch: Any) -> Any:
    """A copy in memory that a card reads by itself; an error in the place of a batch stays what it is."""
    return batch if isinstance(batch, SimcropError) else batch.pin_memory()


@contextmanager
def loaded(dataset: Dataset, workers: int, **how: Any) -> Iterator[Iterator[Any]]:
    """What a data loader makes of it; with `batch_size=None` one item after the other. `workers`: at most as many as
    there are cores for this process, since more of them read no faster and each holds batches.
    """
    workers = min(workers, cores_of_a_process())
    # A signal to the whole process group must not meet a loading process before it has learned to ignore it.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        batches = iter(
            DataLoader(dataset, num_workers=workers, worker_init_fn=leave_signals_to_parent, **how)
        )
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    try:
        yield heard(batches)
    finally:
        # Left to the garbage collector, they would live as long as the stack of an error does.
        if isinstance(batches, _MultiProcessingDataLoaderIter):
            end_workers(batches)


def cores_of_a_process() -> int:
    """Of this machine's, with as many for each of the processes that torchrun has started on it."""
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, len(os.sched_getaffinity(0)) // max(1, beside))


def leave_signals_to_parent(worker: int) -> None:
    """In a loading process: whoever stops a run signals this one too, and the one that trains must still finish its
    step. It is that one that ends this, and its death does.
    """
    del worker
    ignore_stop_signals()
    threading.Thread(target=leave_with_parent, daemon=True).start()


def end_workers(batches: _MultiProcessingDataLoaderIter) -> None:
    """Each may read its sample to the end, unless that takes long, as it does from a file server that is gone."""
    if batches._worker_pids_set:  # or the end of one that is killed here would be taken for an accident
        _remove_worker_pids(id(batches))
        batches._worker_pids_set = False
    late = threading.Timer(PATIENCE_S, lambda: [worker.kill() for worker in batches._workers])
    late.start()
    try:
        batches._shutdown_workers()
    finally:
        late.cancel()


def heard(batches: Iterator[Any]) -> Generator[Any, None, None]:
    """The same; a loading process that hangs up in the middle of a batch is one that was killed."""
    while True:
        try:
            yield next(batches)
        except StopIteration:
            return
        except (ConnectionError, EOFError) as error:
            raise lost_worker() from error


@contextmanager
def lost_workers() -> Iterator[None]:
    """One line instead of a stack when a loading process was killed, as happens when memory runs out. Torch says it
    wherever the process that trains is at the time.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise lost_worker() from error


def lost_worker() -> SimcropError:
    return SimcropError(
        "loading-process-lost",
        "a loading process ended unexpectedly, perhaps for lack of memory: lower data.workers or "
        "engine.micro_batch; --resume then continues from the newest checkpoint, if there is one",
    )

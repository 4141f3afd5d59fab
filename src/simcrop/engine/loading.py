"""Batches on their way from the disk to the step: loading processes, and what becomes of them when something ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from simcrop.engine.order import MicroBatchSampler, RankShare, SampleOrder
from simcrop.errors import SimcropError


@contextmanager
def micro_batches(
    dataset: Dataset, collate: Any, order: SampleOrder, share: RankShare, steps: range, workers: int
) -> Iterator[Iterator[Any]]:
    """The micro-batches of this process, step after step; its loading processes end with the block."""
    batches = iter(
        DataLoader(
            dataset,
            batch_sampler=MicroBatchSampler(order, share, steps.start, steps.stop),
            collate_fn=collate,
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=leave_interrupts_to_parent,
        )
    )
    try:
        yield batches
    finally:
        # Left to the garbage collector, they would live as long as the stack of an error does.
        if isinstance(batches, _MultiProcessingDataLoaderIter):
            batches._shutdown_workers()


def leave_interrupts_to_parent(worker: int) -> None:
    """A terminal sends Ctrl-C to loading processes too; the one that trains must still finish its step."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def next_batch(batches: Iterator[Any]) -> Any:
    """A batch; or the error that a loading process met, which travels as a value to keep its sentence."""
    batch = next(batches)
    if isinstance(batch, SimcropError):
        raise batch
    return batch


@contextmanager
def lost_workers() -> Iterator[None]:
    """One line instead of a stack when a loading process was killed, as happens when memory runs out."""
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        if isinstance(error, RuntimeError) and not str(error).startswith("DataLoader worker"):
            raise
        raise SimcropError(
            "loading-process-lost",
            "a loading process ended unexpectedly, perhaps for lack of memory: lower data.workers, "
            "then --resume continues from the newest checkpoint",
        ) from error

"""The only training loop: batches in, named losses out, one optimiser step, one journal line.

It knows nothing of CT: an objective draws what is random about a batch and turns it into named terms. A global batch
may be cut into micro-batches and over processes: loss and gradient stay those of the whole.
"""

import time
from contextlib import closing, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from simcrop.engine.checkpoint import (
    checkpoints,
    load_checkpoint,
    training_state,
)
from simcrop.engine.checkpoint_writer import CheckpointWriter, checkpoint_writer
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.incidents import agree_on_unread, earlier_incidents
from simcrop.engine.job import Job
from simcrop.engine.journal import Journal, Row
from simcrop.engine.loading import lost_workers, micro_batches
from simcrop.engine.memory import kept_heap, memory_errors
from simcrop.engine.monitor import monitored, monitored_steps
from simcrop.engine.optim import build_optimizer
from simcrop.engine.progress import Progress, silent
from simcrop.engine.rotation import Due
from simcrop.engine.sinks import opened
from simcrop.engine.speed import Speed, in_words
from simcrop.engine.stepper import Stepper
from simcrop.engine.stop import steps_to_save, stop_requests
from simcrop.engine.watchdog import watched
from simcrop.engine.wrapping import wrap
from simcrop.errors import SimcropError


@dataclass(frozen=True)
class Fitted:
    """`finished` is false when a person or the machine asked the run to stop; it can be resumed."""

    steps: int
    finished: bool
    last: Row


def fit(
    objective: nn.Module,
    job: Job,
    context: DistributedContext,
    resume: bool = False,
    progress: Progress = silent,
) -> Fitted:
    """Train `objective` to the end of `job`, or from its newest checkpoint with `resume`."""
    objective.to(context.device).train()
    share = job.share(context)
    accumulate = len(share.of(job.order.draws(0)))
    # Wrapped first: a wrapper may put other parameters in place of these, which optimiser and checkpoint must know.
    wrapped = wrap(objective, context, getattr(objective, "skips_parameters", False), job.engine.sharding)
    optimizer = build_optimizer(objective, job.optim)
    done = restore(objective, optimizer, job, resume, context)
    journal = Journal(job.folder / "journal.jsonl", done) if context.is_main else None
    incidents = earlier_incidents(journal.rows() if journal else [], context)
    stepper = Stepper(objective, wrapped, optimizer, job, context, incidents)
    last: Row = {}
    speed = Speed(job, context)
    step, stopping = done, False
    due = Due(job.checkpoint)
    monitored_at = monitored_steps(job.steps, job.engine.monitor)

    with (
        closing(journal) if journal else nullcontext(),
        stop_requests() as asked,
        steps_to_save(asked),
        lost_workers(),
        memory_errors(share.micro, job.engine.recompute, job.engine.cuda_graphs),
        kept_heap(context.device) as heap,
        checkpoint_writer(
            job.folder / "checkpoints", job.describe, job.checkpoint, *([journal.secure] if journal else [])
        ) as writer,
        micro_batches(
            job.dataset, job.collate, job.order, share, range(done, job.steps), job.workers
        ) as batches,
        opened(job.sinks, journal) as sinks,  # after the loading processes, which must not inherit them
        watched(job.folder, context.rank, job.engine.stalled_minutes, context.is_main) as watchdog,
    ):
        while step < job.steps and not stopping:
            started = time.perf_counter()
            micro = [next(batches) for _ in range(accumulate)]
            waited = time.perf_counter() - started
            unread = agree_on_unread(
                micro, incidents, job.studies or job.order.count, job.unreadable, context
            )
            last = {**stepper.step(step, micro), **unread}
            heap.after_step()
            seconds = time.perf_counter() - started
            step += 1
            row = {
                "step": step,
                "epoch": round(job.order.epoch(step), 4),
                **last,
                **speed.figures(step, seconds, waited),
                **writer.failures(),
            }
            if job.monitor is not None and step in monitored_at:
                row["monitored"] = monitored(objective, job.monitor, context.device)
            if journal is not None:
                journal.write(row)
            for sink in sinks:
                sink.write(row)
            progress(step, job.steps, in_words(row))
            watchdog.step(step)
            # The clock of the main process decides for all.
            stops, late = context.sum([asked.stop, context.is_main and due.by_clock()])
            stopping = stops > 0
            if stopping or late or due.by_step(step) or step == job.steps:
                due.begun()
                save(objective, optimizer, writer, step, context, wait=stopping or step == job.steps)
    return Fitted(step, step == job.steps, last)


def restore(
    objective: nn.Module,
    optimizer: torch.optim.Optimizer,
    job: Job,
    resume: bool,
    context: DistributedContext,
) -> int:
    """Steps done so far: 0, or those of the newest checkpoint, which must be the same for every process."""
    found = checkpoints(job.folder / "checkpoints") if resume else []
    newest = found[-1].name if found else "none"
    if len(seen := set(context.all_gather([newest]))) > 1:
        raise SimcropError(
            "other-checkpoints",
            f"{job.folder}: processes see different checkpoints here ({', '.join(sorted(seen))}); all machines of a "
            "run need one --out on storage that they share",
        )
    return load_checkpoint(found[-1], objective, optimizer) if found else 0


def save(
    objective: nn.Module,
    optimizer: torch.optim.Optimizer,
    writer: CheckpointWriter,
    step: int,
    context: DistributedContext,
    wait: bool,
) -> None:
    """Every process gives its part; one writes, or each its own, behind the training unless all are to `wait`."""
    state = training_state(objective, optimizer, step)
    if context.is_main or state.together:
        writer.write(state)
    if wait:
        writer.wait()
        context.barrier()

"""The only training loop: batches in, named losses out, one optimiser step, one journal line.

It knows nothing of CT: an objective draws what is random about a batch and turns it into named terms. A global batch
may be cut into micro-batches and over processes: loss and gradient stay those of the whole.
"""

import time
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from math import ceil, isfinite
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn
from torch.utils.data import Dataset

from simcrop.engine.checkpoint import (
    CheckpointSettings,
    Describe,
    checkpoints,
    load_checkpoint,
    training_state,
)
from simcrop.engine.checkpoint_writer import CheckpointWriter, checkpoint_writer
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.gradient import Gradient
from simcrop.engine.incidents import Incidents, agree_on_unread, earlier_incidents
from simcrop.engine.journal import Journal, Row
from simcrop.engine.loading import lost_workers, micro_batches
from simcrop.engine.memory import give_back_memory
from simcrop.engine.moments import Moments
from simcrop.engine.monitor import Monitor, monitored, monitored_steps
from simcrop.engine.optim import OptimSettings, build_optimizer, head_only, learning_rate
from simcrop.engine.order import RankShare, SampleOrder
from simcrop.engine.precision import Precision, settled
from simcrop.engine.progress import Pace, Progress, silent
from simcrop.engine.stop import steps_to_save, stop_requests
from simcrop.errors import SimcropError
from simcrop.settings import Settings


class EngineSettings(Settings):
    """`precision`: of the products; auto is bf16 where the device has instructions for it, and fp32 elsewhere. A run
    keeps what it began with.

    `micro_batch`: samples per forward pass and process, all of the process's share when not set; what is learned stays
    the same, but where samples are compared each micro-batch is looked at twice. `recompute`: less memory for about an
    eighth more time. `compile`: transformer blocks as compiled kernels, faster on a card after a slow first step; a
    processor needs a C++ compiler for it. `monitor`: how often a run is measured in the course of its training, the
    last time at its end, where its method has something to measure.
    `skip_non_finite`: so many steps of a run whose loss or gradient is not finite change nothing; the next ends it.
    """

    free: ClassVar = frozenset({"micro_batch", "recompute", "monitor", "skip_non_finite"})

    precision: Literal["auto"] | Precision = "auto"
    micro_batch: int | None = Field(default=None, ge=1)
    recompute: bool = False
    compile: bool = False
    monitor: int = Field(default=5, ge=0)
    skip_non_finite: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class Job:
    """One training run. `dataset[draw]` gives a sample, `collate` a batch with `.ids` and `.to(device)`, `monitor`
    figures that no batch gives. `unreadable`: what share of the data set may turn out to be so; a batch names what was
    replaced in `.unread`. For the records, `start`: its first weights, and `facts`: what else is to be known of it.
    """

    dataset: Dataset
    collate: Any
    folder: Path
    describe: Describe
    seed: int
    optim: OptimSettings
    engine: EngineSettings
    checkpoint: CheckpointSettings
    workers: int = 0
    unreadable: float = 0.0
    monitor: Monitor | None = None
    start: dict[str, Any] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def order(self) -> SampleOrder:
        return SampleOrder(len(self.dataset), self.optim.batch, self.seed)  # type: ignore[arg-type]

    @property
    def whole(self) -> int:
        """Steps of all epochs."""
        return ceil(self.optim.epochs * self.order.count / self.optim.batch)

    @property
    def steps(self) -> int:
        return min(self.whole, self.optim.steps or self.whole)

    @property
    def cut_short(self) -> str:
        """Which of two ends comes first, where the steps that were asked for lie beyond the epochs; else nothing."""
        if self.optim.steps is None or self.optim.steps <= self.whole:
            return ""
        return (
            f"optim.epochs = {self.optim.epochs} ends the run after step {self.whole}, "
            f"before optim.steps = {self.optim.steps}; for more steps set optim.epochs higher"
        )

    def share(self, context: DistributedContext) -> RankShare:
        per_process, rest = divmod(self.optim.batch, context.world)
        micro = self.engine.micro_batch or per_process
        if rest or per_process % micro:
            shared = f"cannot be shared by {context.world} processes in micro-batches of {micro}"
            raise SimcropError("bad-setting", f"optim.batch = {self.optim.batch} {shared}")
        return RankShare(context.rank, context.world, micro)


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
    wrapped = context.wrap(objective, getattr(objective, "skips_parameters", False))
    optimizer = build_optimizer(objective, job.optim)
    done = restore(objective, optimizer, job, resume, context)
    journal = Journal(job.folder / "journal.jsonl", done) if context.is_main else None
    incidents = earlier_incidents(journal.earlier if journal else [], context)
    stepper = Stepper(objective, wrapped, optimizer, job, context, incidents)
    last: Row = {}
    pace = Pace("steps")
    step, stopping = done, False
    monitored_at = monitored_steps(job.steps, job.engine.monitor)

    with (
        closing(journal) if journal else nullcontext(),
        stop_requests() as asked,
        steps_to_save(asked),
        lost_workers(),
        micro_batches(
            job.dataset, job.collate, job.order, share, range(done, job.steps), job.workers
        ) as batches,
        checkpoint_writer(job.folder / "checkpoints", job.describe, job.checkpoint.keep) as writer,
    ):
        while step < job.steps and not stopping:
            started = time.perf_counter()
            micro = [next(batches) for _ in range(accumulate)]
            waited = time.perf_counter() - started
            unread = agree_on_unread(micro, incidents, job.order.count, job.unreadable, context)
            last = {**stepper.step(step, micro), **unread}
            if context.device.type == "cpu":
                give_back_memory()
            seconds = time.perf_counter() - started
            step += 1
            row = {
                "step": step,
                "epoch": round(job.order.epoch(step), 4),
                **last,
                "volumes_per_s": round(job.optim.batch / seconds, 4),
                "data_wait": round(waited / seconds, 4),
            }
            if job.monitor is not None and step in monitored_at:
                row["monitored"] = monitored(objective, job.monitor, context.device)
            if journal is not None:
                journal.write(row)
            speed, wait = row["volumes_per_s"], row["data_wait"]
            words = f"loss {last['loss']:.3f}" if "loss" in last else "skipped: loss not finite"
            words += f"  {speed:.2f} volumes/s  waiting for data {wait:.0%}  {pace(step, job.steps)}"
            progress(step, job.steps, words)
            stopping = context.any_rank(asked.stop)
            writer.check()
            if stopping or step % job.checkpoint.every == 0 or step == job.steps:
                save(objective, optimizer, writer, step, context, wait=stopping or step == job.steps)
    return Fitted(step, step == job.steps, last)


class Stepper:
    """One optimiser step on the micro-batches of one global batch."""

    def __init__(
        self,
        objective: nn.Module,
        wrapped: nn.Module,
        optimizer: torch.optim.Optimizer,
        job: Job,
        context: DistributedContext,
        incidents: Incidents,
    ) -> None:
        self.objective, self.wrapped, self.optimizer = objective, wrapped, optimizer
        self.job, self.context, self.incidents = job, context, incidents
        half = settled(job.engine.precision, context.device) == "bf16"
        self.gradient = Gradient(objective, wrapped, job.share(context), job.seed, half, context)
        self.weights = self.gradient.weights
        self.moments = Moments(objective, job.steps, job.optim.epochs, context)
        self.parameters = [p for p in objective.parameters() if p.requires_grad]
        self.steps_per_epoch = job.order.count / job.optim.batch

    def step(self, step: int, micro: list[Any]) -> Row:
        """What the journal says of this step."""
        lr = learning_rate(self.job.optim, step, self.job.steps, self.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["scale"]
        self.optimizer.zero_grad(set_to_none=True)
        self.moments.begin(step)
        sums = self.gradient.backward(step, micro)
        if head_only(self.job.optim, step, self.job.steps, self.steps_per_epoch):
            self.rest()
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        # Here alone the engine waits for the device in a step: to know whether the loss is finite.
        *means, size = torch.cat([self.context.mean(sums), norm.float()[None]]).tolist()
        if skipped := self.refuse_non_finite(step, means, size, micro):
            return {"lr": lr, "skipped": skipped}
        if self.job.optim.clip_grad is not None:
            torch.nn.utils.clip_grads_with_norm_(self.parameters, self.job.optim.clip_grad, norm)
        self.optimizer.step()
        self.moments.end(step)
        return {
            **dict(zip(["loss", *self.weights], means, strict=True)),
            "lr": lr,
            "grad_norm": size,
        }

    def rest(self) -> None:
        """Without a gradient a parameter stays as it is, and so does what the optimiser knows of it."""
        for group in self.optimizer.param_groups:
            for parameter in group["params"] if group["late"] else ():
                parameter.grad = None

    def refuse_non_finite(self, step: int, means: list[float], norm: float, micro: list[Any]) -> list[str]:
        """The studies of a step that all processes skip, since the loss or a gradient of any is not finite; none where
        all is well. Every process stops when no more may be skipped, and the message names the studies.
        """
        bad = not (all(map(isfinite, means)) and isfinite(norm))
        if not self.context.any_rank(bad):
            return []
        studies = self.context.all_gather([name for batch in micro for name in batch.ids])
        if self.incidents.skipped < self.job.engine.skip_non_finite:
            self.incidents.skipped += 1
            return studies
        terms = ", ".join(f"{name} {value:.4g}" for name, value in zip(self.weights, means[1:], strict=True))
        raise SimcropError(
            "non-finite-loss",
            f"step {step + 1}: the loss is not finite ({terms}, gradient norm {norm:.4g}) on studies "
            f"{', '.join(studies)}; the newest checkpoint is intact",
        )


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
    """Every process gives its part; one writes, behind the training unless all are to `wait` for it."""
    state = training_state(objective, optimizer, step)
    if context.is_main:
        writer.write(state)
    if wait:
        writer.wait()
        context.barrier()

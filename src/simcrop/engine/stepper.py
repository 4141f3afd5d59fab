"""One optimiser step: rate, gradient, norm, and what is done where the loss is not finite. No axes or units."""

from collections.abc import Callable
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from simcrop.engine.distributed import DistributedContext
from simcrop.engine.gradient import Gradient
from simcrop.engine.incidents import Incidents
from simcrop.engine.job import Job
from simcrop.engine.journal import Row
from simcrop.engine.moments import Moments
from simcrop.engine.optim import head_only, learning_rate
from simcrop.engine.precision import settled
from simcrop.engine.sharding import clip, total_norm
from simcrop.errors import AgreedError


class Stepper:
    """One optimiser step on the micro-batches of one global batch."""

    def __init__(
        self,
        objective: nn.Module,
        wrapped: Any,
        optimizer: torch.optim.Optimizer,
        job: Job,
        context: DistributedContext,
        incidents: Incidents,
    ) -> None:
        self.optimizer: Any = optimizer
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
        norm = total_norm([p.grad for p in self.parameters if p.grad is not None])
        figures = torch.cat([self.context.mean(sums), norm.float()[None]])
        read = on_its_way(figures)
        if self.job.optim.clip_grad is not None:
            clip(self.parameters, self.job.optim.clip_grad, norm)
        # The device itself leaves all as it was where one of them is not finite: torch's way to tell a fused optimiser.
        self.optimizer.found_inf = figures.isfinite().all().logical_not().float()
        self.optimizer.step()
        # Here alone the engine waits for the device in a step, which meanwhile is at what the optimiser does.
        *means, size = read()
        if skipped := self.refuse_non_finite(step, sums, means, size, micro):
            return {"lr": lr, "skipped": skipped}
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

    def refuse_non_finite(
        self, step: int, sums: Tensor, means: list[float], norm: float, micro: list[Any]
    ) -> list[str]:
        """The studies of a step that all processes skip, since the loss or a gradient of any is not finite; none where
        all is well. Every process stops when no more may be skipped, and the message names the studies of those ranks
        whose own part of the loss, `sums`, is to blame, or of all where that cannot be told.
        """
        bad = not (all(map(isfinite, means)) and isfinite(norm))
        if not self.context.any_rank(bad):
            return []
        studies = self.context.all_gather([name for batch in micro for name in batch.ids])
        if self.incidents.skipped < self.job.engine.skip_non_finite:
            self.incidents.skipped += 1
            return studies
        blamed = [rank for rank, n in enumerate(self.context.counts(int(not sums.isfinite().all()))) if n]
        if blamed:
            mine = [name for batch in micro for name in batch.ids if self.context.rank in blamed]
            studies = self.context.all_gather(mine)
        several = blamed and self.context.world > 1
        whose = f"rank {', '.join(map(str, blamed))} of {self.context.world}, " if several else ""
        terms = ", ".join(f"{name} {value:.4g}" for name, value in zip(self.weights, means[1:], strict=True))
        raise AgreedError(
            "non-finite-loss",
            f"step {step + 1}: the loss is not finite ({terms}, gradient norm {norm:.4g}) on {whose}studies "
            f"{', '.join(studies)}; the newest checkpoint is intact",
        )


def on_its_way(figures: Tensor) -> Callable[[], list[float]]:
    """Figures on their way from the device; called, it waits for them, and for nothing that the device has to do after
    them.
    """
    there, arrived = figures.to("cpu", non_blocking=True), None
    if figures.is_cuda:
        arrived = torch.cuda.Event()
        arrived.record(torch.cuda.current_stream(figures.device))

    def read() -> list[float]:
        if arrived is not None:
            arrived.synchronize()
        return there.tolist()

    return read

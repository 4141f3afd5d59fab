"""The optimiser and its learning rate, both without hidden state: AdamW, linear warm-up, then a way down."""

from collections.abc import Callable
from math import ceil, cos, pi
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from simcrop.engine.sharding import is_part
from simcrop.settings import Settings

POWER = 0.9  # of the schedule poly
Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimSettings(Settings):
    """`batch` is global. `steps` ends a run earlier than `epochs` would; the schedule still spans the steps that run.

    `schedule`: half a cosine, or `poly`, a straight line to the power of 0.9. `schedule_epochs` stretches it beyond the
    end of training, as one public recipe does. `head_first_epochs`: before all that, what a method starts late rests,
    while the rate of the rest goes up and down once in a straight line.
    `layer_decay` slows each encoder layer by that factor against the one above it.
    """

    lr: float = Field(default=1.5e-4, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    betas: tuple[Beta, Beta] = (0.9, 0.95)
    batch: int = Field(default=48, ge=1)
    epochs: int = Field(default=140, ge=1)
    steps: int | None = Field(default=None, ge=1)
    warmup_epochs: float = Field(default=40, ge=0)
    schedule_epochs: float | None = Field(default=None, gt=0)
    clip_grad: float | None = Field(default=None, gt=0)
    layer_decay: float | None = Field(default=None, gt=0, le=1)
    schedule: Literal["cosine", "poly"] = "cosine"
    head_first_epochs: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def comes_down_again(self) -> "OptimSettings":
        """A rate that rises to the last step leaves the weights where it shook them last; one whose way down ends
        before it begins is nothing from there on.
        """
        start = self.head_first_epochs + self.warmup_epochs
        of_epochs = self.warmup_epochs > 0 and start >= self.epochs
        if of_epochs or (self.schedule_epochs is not None and start >= self.schedule_epochs):
            before = f"head_first_epochs = {self.head_first_epochs:g} and " if self.head_first_epochs else ""
            name = "epochs" if of_epochs else "schedule_epochs"
            raise ValueError(
                f"{before}warmup_epochs = {self.warmup_epochs:g} leave nothing of {name} = "
                f"{getattr(self, name):g}: set them lower, or {name} higher"
            )
        if self.schedule_epochs is not None and self.schedule_epochs < self.epochs:
            raise ValueError(
                f"schedule_epochs = {self.schedule_epochs:g} end before epochs = {self.epochs:g}: the rate would be "
                "nothing from there on; leave them out, or set them higher"
            )
        return self


def build_optimizer(module: nn.Module, settings: OptimSettings) -> torch.optim.AdamW:
    """AdamW over what is trained, in groups that share weight decay and the `scale` of their rate.

    A module may say of its parameters by name: `decays` (else all but vectors do), `rate_of` (a factor), `depth_of`,
    which with `layer_decay` gives another one: `layer_decay ** (layers above it)`, 1 for all that has no depth; and
    `starts_late`, which `head_first_epochs` is about.
    """
    decays: Callable[[str, Tensor], bool] = getattr(module, "decays", lambda _, p: p.ndim >= 2)
    rate_of: Callable[[str], float] = getattr(module, "rate_of", lambda _: 1.0)
    depth_of: Callable[[str], int | None] = getattr(module, "depth_of", lambda _: None)
    starts_late: Callable[[str], bool] = getattr(module, "starts_late", lambda _: False)
    trained = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    depths = {name: depth_of(name) for name, _ in trained}
    top = max((depth for depth in depths.values() if depth is not None), default=0)
    groups: dict[tuple[float, float, bool, bool], list[nn.Parameter]] = {}
    for name, parameter in trained:
        depth = depths[name]
        slower = 1.0 if depth is None else (settings.layer_decay or 1.0) ** (top + 1 - depth)
        decay, scale = settings.weight_decay if decays(name, parameter) else 0.0, rate_of(name) * slower
        key = (decay, scale, starts_late(name), is_part(parameter))  # parts are stepped with parts alone
        groups.setdefault(key, []).append(parameter)
    listed = [
        {"params": p, "weight_decay": decay, "scale": scale, "late": late}
        for (decay, scale, late, _), p in sorted(groups.items(), key=lambda group: group[0], reverse=True)
    ]
    return torch.optim.AdamW(listed, lr=settings.lr, betas=settings.betas, fused=True)


def learning_rate(settings: OptimSettings, step: int, steps: int, steps_per_epoch: float) -> float:
    """Rate of the step numbered `step` (from 0) of `steps`.

    A run that `optim.steps` cuts short warms up over the same share of itself as the whole run would.
    """
    per_epoch = steps_per_epoch * shrunk(settings, steps, steps_per_epoch)
    head = settings.head_first_epochs * per_epoch
    if step < head:
        return min(settings.lr, settings.lr * min(step + 1, head - step) / max(1.0, head / 2))
    step, warmup = step - ceil(head), settings.warmup_epochs * per_epoch
    end = (settings.schedule_epochs or settings.epochs) * per_epoch - head
    if step < warmup:
        return min(settings.lr, settings.lr * (step + 1) / warmup)
    left = 1 - min(1.0, (step - warmup) / max(1.0, end - warmup))
    if settings.schedule == "poly":
        return settings.lr * left**POWER
    return settings.lr * 0.5 * (1 + cos(pi * (1 - left)))


def head_only(settings: OptimSettings, step: int, steps: int, steps_per_epoch: float) -> bool:
    """Whether what starts late still rests."""
    return step < settings.head_first_epochs * steps_per_epoch * shrunk(settings, steps, steps_per_epoch)


def shrunk(settings: OptimSettings, steps: int, steps_per_epoch: float) -> float:
    """What is left of every stretch in a run that `optim.steps` cuts short."""
    return min(1.0, steps / (settings.epochs * steps_per_epoch))

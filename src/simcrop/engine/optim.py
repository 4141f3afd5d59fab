"""The optimiser and its learning rate, both without hidden state: AdamW, linear warm-up, half a cosine."""

from collections.abc import Callable
from math import cos, pi

import torch
from pydantic import Field
from torch import Tensor, nn

from simcrop.settings import Settings


class OptimSettings(Settings):
    """`batch` is global. `steps` ends a run earlier than `epochs` would; the schedule still spans the steps that run.

    `schedule_epochs` stretches the cosine beyond the end of training, as one public recipe does.
    `layer_decay` slows each encoder layer by that factor against the one above it.
    """

    lr: float = Field(default=1.5e-4, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.95)
    batch: int = Field(default=48, ge=1)
    epochs: int = Field(default=140, ge=1)
    steps: int | None = Field(default=None, ge=1)
    warmup_epochs: float = Field(default=40, ge=0)
    schedule_epochs: float | None = Field(default=None, gt=0)
    clip_grad: float | None = Field(default=None, gt=0)
    layer_decay: float | None = Field(default=None, gt=0, le=1)


def build_optimizer(module: nn.Module, settings: OptimSettings) -> torch.optim.AdamW:
    """AdamW over what is trained, in groups that share weight decay and the `scale` of their rate.

    A module may say of its parameters by name: `decays` (else all but vectors do), `rate_of` (a factor), `depth_of`,
    which with `layer_decay` gives another one: `layer_decay ** (layers above it)`, 1 for all that has no depth.
    """
    decays: Callable[[str, Tensor], bool] = getattr(module, "decays", lambda _, p: p.ndim >= 2)
    rate_of: Callable[[str], float] = getattr(module, "rate_of", lambda _: 1.0)
    depth_of: Callable[[str], int | None] = getattr(module, "depth_of", lambda _: None)
    trained = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    depths = {name: depth_of(name) for name, _ in trained}
    top = max((depth for depth in depths.values() if depth is not None), default=0)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in trained:
        depth = depths[name]
        slower = 1.0 if depth is None else (settings.layer_decay or 1.0) ** (top + 1 - depth)
        decay, scale = settings.weight_decay if decays(name, parameter) else 0.0, rate_of(name) * slower
        groups.setdefault((decay, scale), []).append(parameter)
    listed = [
        {"params": p, "weight_decay": decay, "scale": scale}
        for (decay, scale), p in sorted(groups.items(), key=lambda group: group[0], reverse=True)
    ]
    return torch.optim.AdamW(listed, lr=settings.lr, betas=settings.betas, fused=True)


def learning_rate(settings: OptimSettings, step: int, steps: int, steps_per_epoch: float) -> float:
    """Rate of the step numbered `step` (from 0) of `steps`.

    A run that `optim.steps` cuts short warms up over the same share of itself as the whole run would.
    """
    whole = settings.epochs * steps_per_epoch
    shrink = min(1.0, steps / whole)
    warmup = settings.warmup_epochs * steps_per_epoch * shrink
    end = (settings.schedule_epochs or settings.epochs) * steps_per_epoch * shrink
    if step < warmup:
        return settings.lr * (step + 1) / warmup if warmup >= 1 else settings.lr
    progress = min(1.0, (step - warmup) / max(1.0, end - warmup))
    return settings.lr * 0.5 * (1 + cos(pi * progress))

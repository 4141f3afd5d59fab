"""Heads that are trained by steps: the paper's linear one, and one that looks where it wants.

Axes: b scan of a batch, s scan, n token, d features, l label.
"""

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from simcrop.evaluation.heads.classes import probabilities_of
from simcrop.evaluation.heads.tokens import Features, at_once, batch_of

TrainedKind = Literal["linear", "attention"]
Ended = Literal["steps", "patience"]


class LinearHead(nn.Module):
    """A fresh LayerNorm, then one logit per label. `scale`: one number that brings features to about 1, so that the
    small constant in the norm counts for nothing, on whatever scale an encoder lives.
    """

    scale: Tensor

    def __init__(
        self, width: int, labels: int, std: float = 0.0, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(width), nn.Linear(width, labels)
        nn.init.normal_(self.linear.weight, std=std, generator=generator)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("scale", torch.ones(()))

    def forward(
        self, features: Float[Tensor, "b d"], there: Bool[Tensor, "b n"] | None = None
    ) -> Float[Tensor, "b l"]:
        del there
        return self.linear(self.norm(features / self.scale))


class AttentionHead(LinearHead):
    """The same of a weighted mean of tokens; a weight is the softmax of how far a token goes along one learned query.
    The query begins at zero, so the first step sees the mean, as the linear head does.
    """

    def __init__(
        self, width: int, labels: int, std: float = 0.0, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(width, labels, std, generator)
        self.query = nn.Parameter(torch.zeros(width))

    def forward(
        self, features: Float[Tensor, "b n d"], there: Bool[Tensor, "b n"] | None = None
    ) -> Float[Tensor, "b l"]:
        return self.linear(self.norm(attended(features, self.query, self.scale, there)))


def attended(
    tokens: Float[Tensor, "b n d"],
    query: Float[Tensor, " d"],
    scale: Float[Tensor, ""],
    there: Bool[Tensor, "b n"] | None,
) -> Float[Tensor, "b d"]:
    """Mean of the scaled tokens, weighted by softmax of `tokens . query / sqrt(d)`; only over those that are there."""
    score = tokens @ (query / (scale * sqrt(len(query))))
    if there is not None:
        score = score.masked_fill(~there, -torch.inf)
    return (score.softmax(1)[:, None] @ tokens)[:, 0] / scale


MODULES: dict[TrainedKind, type[LinearHead]] = {"linear": LinearHead, "attention": AttentionHead}


@dataclass(frozen=True)
class Training:
    """How it went. `loss`: mean over the labels that were asked in the best epoch; `held_out_*`: None when too few
    patients were there to hold some out, or (AUROC) these were of one kind.
    """

    steps: int
    epochs: int
    best_epoch: int
    ended_by: Ended
    loss: float
    held_out_loss: float | None
    held_out_auroc: float | None


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """`learned` `(l,)`: labels of which the training scans held both kinds, the only ones that `module` answers for.
    `thresholds` `(l,)`: by Youden's index on the held-out patients, NaN where they did not say, or where labels
    exclude one another.
    """

    kind: TrainedKind
    module: LinearHead
    learned: np.ndarray
    exclusive: bool
    thresholds: np.ndarray
    training: Training

    @property
    def width(self) -> int:
        return self.module.norm.normalized_shape[0]

    @property
    def said(self) -> dict[str, Any]:
        """For `metrics.json`."""
        return asdict(self.training)

    def scores(self, features: Features) -> np.ndarray:
        """Probability of every label, `(s, l)`; NaN for a label that could not be learned."""
        found = np.full((len(features), len(self.learned)), np.nan)
        logits = logits_of(self.module, features, np.arange(len(features)))
        found[:, self.learned] = logits.double().numpy()
        return probabilities_of(found, self.exclusive)


@torch.no_grad()
def logits_of(module: nn.Module, features: Features, rows: np.ndarray) -> Float[Tensor, "s l"]:
    """Of these scans, some at a time, on the CPU."""
    device, step = next(module.parameters()).device, at_once(features)
    parts = []
    for start in range(0, len(rows), step):
        values, there = batch_of(features, rows[start : start + step])
        parts.append(module(values.to(device), None if there is None else there.to(device)).cpu())
    return torch.cat(parts)

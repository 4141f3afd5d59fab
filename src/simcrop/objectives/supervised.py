"""Supervised labels: a learnability check. Where labels cannot be learned directly, nothing can be compared.

Axes: b study, v patch, l label, d features. The same encoder on all patches, pooled, normalised, one linear layer;
binary cross-entropy over the labels that are known.
"""

from typing import ClassVar, Literal

from einops import reduce
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from simcrop.data.samples.batch import Batch
from simcrop.errors import SimcropError
from simcrop.nn.patch import PatchGrid
from simcrop.objectives.method import Account, MethodSettings, Objective, Term
from simcrop.objectives.needs import Components
from simcrop.settings import Settings

PatchPool = Literal["mean", "max", "attention"]


class HeadSettings(Settings):
    """`pool`: how patches become one vector; `attention` learns for each label which patches count (attention-based
    multiple-instance learning, Ilse 2018). `labels`: names to learn; empty: all that the cohort knows.
    """

    pool: PatchPool = "mean"
    labels: tuple[str, ...] = ()


class SupervisedSettings(MethodSettings):
    """Encoder and head."""

    name: ClassVar[str] = "supervised"
    kept: ClassVar[tuple[str, ...]] = ("vision.", "head.")
    account: ClassVar[Account] = Account(needs="labels", source="ours, a ceiling")

    head: HeadSettings = HeadSettings()

    def build(self, components: Components) -> "Supervised":
        return Supervised(self, components.grid)

    @property
    def label_names(self) -> tuple[str, ...]:
        return self.head.labels

    def label_settings(self, names: tuple[str, ...]) -> dict[str, Settings]:
        return {"head": HeadSettings(pool=self.head.pool, labels=names)}

    def label_head(self) -> "LabelHead":
        return LabelHead(self.head, self.vision.dim)


class LabelHead(nn.Module):
    """Patch features to one logit per label."""

    def __init__(self, settings: HeadSettings, width: int) -> None:
        super().__init__()
        if not settings.labels:
            raise SimcropError("bad-setting", "head.labels is empty: name at least one label")
        self.pool: PatchPool = settings.pool
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.labels = nn.Linear(width, len(settings.labels))
        nn.init.normal_(self.labels.weight, std=0.01)
        nn.init.zeros_(self.labels.bias)
        self.attention: nn.Linear | None = None
        if settings.pool == "attention":
            self.attention = nn.Linear(width, len(settings.labels))  # equal weights at first: the mean
            nn.init.zeros_(self.attention.weight)
            nn.init.zeros_(self.attention.bias)

    def forward(self, features: Float[Tensor, "b v d"]) -> Float[Tensor, "b l"]:
        if self.attention is not None:
            normed = self.norm(features)
            weights = self.attention(normed).softmax(dim=1)
            return (weights * self.labels(normed)).sum(1).float()
        return self.labels(self.norm(reduce(features, "b v d -> b d", self.pool))).float()


class Supervised(Objective):
    """One term: `labels`."""

    def __init__(self, settings: SupervisedSettings, grid: PatchGrid) -> None:
        super().__init__()
        self.settings, self.grid = settings, grid
        self.vision = settings.vision.build(grid)
        self.head = settings.label_head()

    @property
    def terms(self) -> dict[str, Term]:
        return {"labels": Term(1.0, "known labels, by cross-entropy")}

    def counts(self, batch: Batch) -> dict[str, int]:
        return {"labels": int((~labels_of(batch).isnan()).sum())}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        labels = labels_of(batch)
        logits = self.head(self.vision(batch.volume).patches)
        return {"labels": known_label_loss(logits, labels)}


def labels_of(batch: Batch) -> Float[Tensor, "b l"]:
    if batch.labels is None:
        raise SimcropError("bad-batch", "the batch carries no labels")
    return batch.labels


def known_label_loss(
    logits: Float[Tensor, "b l"],
    labels: Float[Tensor, "b l"],
    positive_weight: Float[Tensor, " l"] | None = None,
) -> Float[Tensor, ""]:
    """Binary cross-entropy averaged over the labels that are known; NaN is unknown. None gives a 0 with a gradient.
    `positive_weight`: how often more each label counts where it is there.
    """
    known = ~labels.isnan()
    cost = binary_cross_entropy_with_logits(
        logits, labels.nan_to_num(), reduction="none", pos_weight=positive_weight
    )
    return (cost * known).sum() / known.sum().clamp(min=1)

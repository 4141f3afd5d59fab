"""Labels in words: the sentence that says a label is there against the one that says it is not, by cross-entropy.

Axes: b study, l label, t template, d features, e features that sentences and patches share. After RadFinder, which
trains so what zero-shot classification asks; an option that is not in the paper.
"""

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from simcrop import losses
from simcrop.data.samples.batch import Batch
from simcrop.objectives.needs import Prompts
from simcrop.objectives.own_image import Look, OptionSettings, OwnImageTerm
from simcrop.objectives.supervised import known_label_loss, labels_of


class PromptSettings(OptionSettings):
    """Labels are learned, which the paper's method does without. `protocol`: whose sentences ask, a shipped protocol of
    zero-shot classification or a file; of several templates the vectors are averaged. `labels`: names to ask for;
    empty: all that the cohort knows. A label that is there counts as often more as it is rarer, at most
    `positive_weight` times.
    """

    weight: float = Field(default=0.5, ge=0)
    protocol: str = "radfinder"
    labels: tuple[str, ...] = ()
    positive_weight: float = Field(default=20.0, ge=1)


class PromptTerm(OwnImageTerm):
    """The term `prompts`."""

    words = "labels, by sentences that say they are there or not (our option)"
    features: Tensor
    positive_weight: Tensor
    differs: Tensor

    def __init__(self, settings: PromptSettings, prompts: Prompts) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("features", prompts.features, persistent=False)
        weight = prompts.rarer.clamp(1, settings.positive_weight)
        self.register_buffer("positive_weight", weight, persistent=False)
        self.to_count = prompts.rarer > 0  # stays on the processor, so that a card need not be waited for
        self.register_buffer("differs", self.to_count, persistent=False)

    def count(self, batch: Batch) -> int:
        return int((~labels_of(batch).isnan() & self.to_count).sum())

    def forward(self, look: Look) -> Float[Tensor, ""]:
        templates = self.features.shape[1]
        flat = look.projection.sentences(rearrange(self.features, "side t l d -> (side t l) d"))
        mean = reduce(flat, "(side t l) e -> (side l) e", "mean", side=2, t=templates)
        scores = losses.region_scores(normalize(mean, dim=-1), look.patches, look.k)
        yes, no = rearrange(scores, "(side l) b -> side b l", side=2).float()
        logits = (yes - no) / self.settings.temperature
        # Only labels by which studies differ: where all are alike, words alone would answer.
        labels = labels_of(look.batch).where(self.differs, torch.nan)
        return known_label_loss(logits, labels, self.positive_weight)

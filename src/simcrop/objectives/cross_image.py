"""A sentence must find its own image among those of a batch: our extension, not in the paper.

Eq. 4 compares the sentences of one report, and can be met by a fixed map from place to sentence; this cannot.

Axes: b image, s sentence (of all reports, flat), n patch, e features that sentences and patches share.
"""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from simcrop import losses
from simcrop.data.samples.batch import Sentences
from simcrop.losses import Compared
from simcrop.nn.masking import Mask, random_mask, visible_count
from simcrop.objectives.draws import SKIP, VIEW, Draws
from simcrop.settings import Settings

SEEN, ALONE = "view", "view_without_attention"
LOG_SCALE, BIAS = math.log(10), -10.0  # where SigLIP starts


class CrossImageSettings(Settings):
    """`visible`: share of the patches that its own pass through the encoder sees; `top_share`: patches averaged, as a
    share of those; `max_document_frequency`: a sentence in this share of the training reports or more tells images
    apart no longer.

    `skip_attention`: share of the steps in which attention is left out of that pass, so that its patches do not see
    each other. What one patch shows can otherwise be told by any other, and a sentence is then found in the right scan
    at the wrong place. With any such steps, sentences are grounded among patches that do not see each other.

    `directions = both`: an image must find its sentences, too. `loss = sigmoid`: each pair on its own, with a scale and
    a bias that are learned (SigLIP). `stated_size`: where a sentence states a length, no more patches are averaged than
    a cube of that length fills.
    """

    enabled: bool = False
    weight: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=0.07, gt=0)
    visible: float = Field(default=1.0, gt=0, le=1)
    top_share: float = Field(default=0.05, gt=0, le=1)
    max_document_frequency: float = Field(default=0.15, gt=0, le=1)
    skip_attention: float = Field(default=0.0, ge=0, le=1)
    directions: Literal["sentence", "both"] = "sentence"
    loss: Literal["softmax", "sigmoid"] = "softmax"
    stated_size: bool = False

    def nearest(self, patches: int) -> int:
        """How many of the patches that it sees are averaged."""
        return visible_count(patches, 1 - self.top_share)

    @model_validator(mode="after")
    def sigmoid_has_no_direction(self) -> "CrossImageSettings":
        if self.loss == "sigmoid" and self.directions == "both":
            raise ValueError("loss = sigmoid asks pairs and knows no directions")
        return self


class CrossImage(nn.Module):
    """The term `cross_image`. `patch_mm`: edges of a patch, for sentences that state a size."""

    edges_mm: Float[Tensor, "3"] | None

    def __init__(
        self, settings: CrossImageSettings, patch_mm: tuple[float, float, float] | None = None
    ) -> None:
        super().__init__()
        self.settings = settings
        edges = None if patch_mm is None else torch.tensor(patch_mm)
        self.register_buffer("edges_mm", edges, persistent=False)  # a step need not wait for numbers
        self.scale = self.bias = None
        if settings.enabled and settings.loss == "sigmoid":
            self.scale, self.bias = nn.Parameter(torch.tensor(LOG_SCALE)), nn.Parameter(torch.tensor(BIAS))

    def draw(self, draws: Draws, patches: int) -> dict[str, Tensor]:
        """What its own pass through the encoder sees of each image, and whether attention is left out of it, which
        the name alone says: a GPU would have to be waited for.
        """
        drawn, skip = {}, self.settings.skip_attention
        if self.settings.visible < 1:
            drawn[SEEN] = draws.uniform(VIEW, patches)
        if skip > 0 and draws.once(SKIP) < skip:
            drawn[ALONE] = torch.zeros(0)
        return drawn

    def view(self, drawn: Mapping[str, Tensor], body: Bool[Tensor, "b n"] | None) -> tuple[Mask | None, bool]:
        """The drawn view as a mask, and whether attention is left out."""
        noise = drawn.get(SEEN)
        mask = None if noise is None else random_mask(noise, 1 - self.settings.visible, body)
        return mask, ALONE in drawn

    def compared(
        self, embeddings: Float[Tensor, "s e"], patches: Float[Tensor, "b n e"], sentences: Sentences
    ) -> Compared:
        """What there is to compare."""
        facts = {"id": sentences.sentence_id, "frequency": sentences.document_frequency}
        k = self.patches_of(sentences, self.most_of(patches))
        if isinstance(k, Tensor):
            facts["k"] = k
        learned: dict[str, Tensor] = {}
        # Not the leaves, which DDP would take for unused.
        if self.scale is not None and self.bias is not None:
            learned = {"scale": self.scale.view_as(self.scale), "bias": self.bias.view_as(self.bias)}
        return Compared(embeddings, patches, sentences.image_index, facts, learned)

    def scores(self, compared: Compared) -> Float[Tensor, "s b"]:
        """Mean of its largest dot products, of every sentence in every image."""
        most = self.most_of(compared.images)
        return losses.region_scores(compared.texts, compared.images, compared.facts.get("k", most), most)

    def forward(self, scores: Float[Tensor, "s b"], compared: Compared) -> Float[Tensor, ""]:
        """Its cost; only sentences rare enough to tell images apart count."""
        settings, facts, learned = self.settings, compared.facts, compared.learned
        discriminative = facts["frequency"] < settings.max_document_frequency
        asked = scores, compared.image_index, facts["id"], discriminative
        if learned:
            return losses.cross_image_sigmoid(*asked, learned["scale"], learned["bias"])
        return losses.cross_image_nce(*asked, settings.temperature, settings.directions == "both")

    def most_of(self, patches: Float[Tensor, "b n e"]) -> int:
        """How many patches of an image are averaged at most."""
        return self.settings.nearest(patches.shape[1])

    def patches_of(self, sentences: Sentences, most: int) -> int | Int[Tensor, " s"]:
        """How many patches each sentence is sought in: `most`, and no more than what it states the size of can fill."""
        if not self.settings.stated_size or sentences.size_mm is None or self.edges_mm is None:
            return most
        along = (sentences.size_mm[:, None] / self.edges_mm).ceil()
        return along.prod(1).nan_to_num(most).clamp(1, most).long()

"""A whole volume must find its report among those of the batch, and each report its volume: what CT-CLIP and M3D share.

Axes: b study, v patch, s text (one per study that has any), d features, e features that volume and text share.
"""

import math
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from simcrop import losses
from simcrop.data.samples.batch import Batch
from simcrop.losses import Compared
from simcrop.nn.encoder import VisionFeatures
from simcrop.nn.patch import PatchGrid
from simcrop.nn.text_encoder import Pool, TextEncoder
from simcrop.nn.transformer import init_linear
from simcrop.objectives.method import MethodSettings, Objective, ProjectionHead, Term
from simcrop.objectives.needs import Components, TextNeeds
from simcrop.objectives.texts import has_spare_head, text_features
from simcrop.settings import Settings


class ContrastSettings(Settings):
    """`image`: a volume is the mean of its patches or its class token. `text`: findings alone, or the whole report.
    `log_scale`: where the learned t starts, 2.66 being a temperature of 0.07; similarities are multiplied by exp(t), or
    by t itself without `exp_scale`. `max_scale`: what that factor may not exceed; CLIP's bound is 100. `center_text`
    takes the mean text away first, which a frozen encoder needs at toy size.
    """

    dim: int = Field(default=512, ge=1)
    bias: bool = False
    image: Literal["mean", "cls"] = "mean"
    text: Literal["findings", "report"] = "findings"
    pool: Pool = "cls"
    log_scale: float = 1.0
    exp_scale: bool = True
    max_scale: float | None = Field(default=None, gt=0)
    center_text: bool = False


class ReportContrastSettings(MethodSettings):
    """Encoder and contrast; `text.freeze = false` in the recipe trains the text encoder, as both methods do."""

    kept: ClassVar[tuple[str, ...]] = ("vision.", "projection.")

    contrast: ContrastSettings = ContrastSettings()

    def build(self, components: Components) -> "ReportContrast":
        return ReportContrast(self, components.grid, components.reader[0], components.center)

    @property
    def text_needs(self) -> TextNeeds:
        contrast = self.contrast
        return TextNeeds(contrast.text, contrast.pool, centred=contrast.center_text, required=True)

    def projection_head(self, text: TextEncoder) -> "ContrastProjection":
        return ContrastProjection(self.contrast, self.vision.dim, text.width_of(self.contrast.pool))


class ContrastProjection(ProjectionHead):
    """Two projections, then length one. A patch is projected as the whole volume is."""

    center: Tensor

    def __init__(self, settings: ContrastSettings, vision_width: int, text_width: int) -> None:
        super().__init__()
        self.image = nn.Linear(vision_width, settings.dim, bias=settings.bias)
        self.words = nn.Linear(text_width, settings.dim, bias=settings.bias)
        self.log_scale = nn.Parameter(torch.tensor(settings.log_scale))
        self.exp_scale = settings.exp_scale
        self.max_scale = math.inf if settings.max_scale is None else settings.max_scale
        self.register_buffer("center", torch.zeros(text_width))
        self.apply(init_linear)

    @property
    def scale(self) -> Float[Tensor, ""]:
        """What similarities are multiplied by."""
        scale = self.log_scale.exp() if self.exp_scale else self.log_scale
        return scale.clamp(max=self.max_scale)

    def patches(self, features: Float[Tensor, "b v d"]) -> Float[Tensor, "b v e"]:
        return normalize(self.image(features).float(), dim=-1)

    def sentences(self, features: Float[Tensor, "s d"]) -> Float[Tensor, "s e"]:
        return normalize(self.words(features.float() - self.center).float(), dim=-1)


class ReportContrast(Objective):
    """One term: `contrast`."""

    def __init__(
        self,
        settings: ReportContrastSettings,
        grid: PatchGrid,
        text: TextEncoder,
        center: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.grid, self.text = settings, grid, text
        self.vision = settings.vision.build(grid)
        self.projection = settings.projection_head(text)
        if center is not None:
            self.projection.center.copy_(center)

    @property
    def terms(self) -> dict[str, Term]:
        words = "whole volumes and their reports, among those of a batch"
        return {"contrast": Term(1.0, words, compares_samples=True, each_once=True, aligns=True)}

    @property
    def skips_parameters(self) -> bool:
        return has_spare_head(self.text, self.settings.contrast.pool)

    def forward(self, batch: Batch) -> dict[str, Compared]:
        contrast = self.settings.contrast
        whole = volume_vector(self.vision(batch.volume), contrast.image)
        images = self.projection.patches(whole[:, None])[:, 0]
        texts = text_features(batch.sentences, self.text, contrast.pool)
        # The scale is learned, so it goes into one side.
        scaled = images * self.projection.scale
        return {
            "contrast": Compared(
                self.projection.sentences(texts), scaled, batch.sentences.image_index, {}, {}
            )
        }

    def scores(self, name: str, compared: Compared) -> Float[Tensor, "s b"]:
        del name
        return losses.products(compared.texts, compared.images, "s e, b e -> s b")

    def contrast(self, name: str, scores: Float[Tensor, "s b"], compared: Compared) -> Float[Tensor, ""]:
        """The mean of both directions, over studies that have a text."""
        del name
        logits = scores.T[compared.image_index].float()
        return losses.paired_nce(logits, torch.zeros_like(compared.image_index)) / 2


def volume_vector(features: VisionFeatures, image: Literal["mean", "cls"]) -> Float[Tensor, "b d"]:
    """A volume as one vector; settings see to it that there is a class token where one is asked for."""
    return features.pooled if image == "mean" or features.cls is None else features.cls

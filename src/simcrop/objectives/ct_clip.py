"""CT-CLIP's objective on the shared encoders: a whole volume must find its report among those of the batch, and back.

Axes: b study, v patch, s text (one per study that has any), d features, e features that volume and text share.
After Hamamci et al., CT-CLIP, 2024: both sides projected to 512 without a bias and brought to length one, logits times
exp(t) with a learned t, mean of both directions. The 3D ViT, pooled by its mean, stands in for their CT-ViT, so that
only the objective differs.
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
from simcrop.nn.patch import PatchGrid
from simcrop.nn.text_encoder import Pool, TextEncoder
from simcrop.nn.transformer import init_linear
from simcrop.objectives.method import Components, MethodSettings, Objective, ProjectionHead, Term, TextNeeds
from simcrop.objectives.texts import has_spare_head, text_features
from simcrop.settings import Settings


class ContrastSettings(Settings):
    """`text`: CT-CLIP's code reads the findings alone. `log_scale`: where t starts; 2.66 is a temperature of 0.07.
    `max_scale`: what exp(t) may not exceed; CT-CLIP has no such bound, CLIP's is 100. `center_text` takes the mean text
    away first, which a frozen encoder needs at toy size.
    """

    dim: int = Field(default=512, ge=1)
    text: Literal["findings", "report"] = "findings"
    pool: Pool = "cls"
    log_scale: float = 1.0
    max_scale: float | None = Field(default=None, gt=0)
    center_text: bool = False


class CtClipSettings(MethodSettings):
    """Encoder and contrast; `text.freeze = false` in the recipe trains the text encoder, as CT-CLIP does."""

    name: ClassVar[str] = "ct-clip"
    kept: ClassVar[tuple[str, ...]] = ("vision.", "projection.")

    contrast: ContrastSettings = ContrastSettings()

    def build(self, components: Components) -> "CtClip":
        return CtClip(self, components.grid, components.reader[0], components.center)

    @property
    def text_needs(self) -> TextNeeds:
        return TextNeeds(self.contrast.text, self.contrast.pool, centred=self.contrast.center_text)

    def projection_head(self, text: TextEncoder) -> "ContrastProjection":
        return ContrastProjection(self.contrast, self.vision.dim, text.width_of(self.contrast.pool))


class ContrastProjection(ProjectionHead):
    """Two projections without a bias, then length one. A mean of patches is projected like a patch."""

    center: Tensor

    def __init__(self, settings: ContrastSettings, vision_width: int, text_width: int) -> None:
        super().__init__()
        self.image = nn.Linear(vision_width, settings.dim, bias=False)
        self.words = nn.Linear(text_width, settings.dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(settings.log_scale))
        self.max_scale = math.inf if settings.max_scale is None else settings.max_scale
        self.register_buffer("center", torch.zeros(text_width))
        self.apply(init_linear)

    @property
    def scale(self) -> Float[Tensor, ""]:
        """exp(t), what similarities are multiplied by."""
        return self.log_scale.exp().clamp(max=self.max_scale)

    def patches(self, features: Float[Tensor, "b v d"]) -> Float[Tensor, "b v e"]:
        return normalize(self.image(features).float(), dim=-1)

    def sentences(self, features: Float[Tensor, "s d"]) -> Float[Tensor, "s e"]:
        return normalize(self.words(features.float() - self.center).float(), dim=-1)


class CtClip(Objective):
    """One term: `contrast`."""

    def __init__(
        self, settings: CtClipSettings, grid: PatchGrid, text: TextEncoder, center: Tensor | None = None
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
        return {"contrast": Term(1.0, words, compares_samples=True, aligns=True)}

    @property
    def skips_parameters(self) -> bool:
        return has_spare_head(self.text, self.settings.contrast.pool)

    def forward(self, batch: Batch) -> dict[str, Compared]:
        pooled = self.vision(batch.volume).pooled
        images = self.projection.patches(pooled[:, None])[:, 0]
        texts = text_features(batch.sentences, self.text, self.settings.contrast.pool)
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

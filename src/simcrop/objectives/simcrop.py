"""SimCroP: paint hidden patches, align sentences with their nearest patches, spell hidden words (Eq. 1-7).

Axes: b study, n all patches, v visible patches, p voxel of a patch, s sentence, t word piece, d features.
"""

from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from torch.nn.functional import normalize

from simcrop import losses
from simcrop.data.samples.batch import Batch, Sentences
from simcrop.data.samples.tokenizer import Tokenizer, Tokens, mask_tokens
from simcrop.errors import SimcropError
from simcrop.nn.fusion import Fusion, FusionSettings
from simcrop.nn.masking import random_mask, visible_count
from simcrop.nn.patch import PatchGrid
from simcrop.nn.text import MlmHead, Pool, ReportDecoder, ReportDecoderSettings, TextEncoder
from simcrop.nn.transformer import check_heads, identity_linear
from simcrop.nn.vision import VisionDecoder, VisionDecoderSettings, VisionEncoder, VisionFeatures
from simcrop.objectives.method import Components, MethodSettings, Objective, ProjectionHead, TextNeeds
from simcrop.objectives.texts import has_spare_head, text_features
from simcrop.objectives.volume import MimSettings, hide, preferred_patches, volume_loss
from simcrop.settings import Settings


class CrossImageSettings(Settings):
    """Our extension, not in the paper: a sentence must find its own image among those of the batch.

    `visible`: share of the patches that its own pass through the encoder sees; `top_share`: patches averaged, as a
    share of those; `max_document_frequency`: a sentence in this share of the training reports or more tells images apart no longer.

    `alone`: share of the steps in which the patches of that pass do not see each other. What one patch shows can
    otherwise be told by any other, and a sentence is then found in the right scan at the wrong place. With any such
    steps, sentences are grounded among patches that stand alone.
    """

    enabled: bool = False
    weight: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=0.07, gt=0)
    visible: float = Field(default=1.0, gt=0, le=1)
    top_share: float = Field(default=0.05, gt=0, le=1)
    max_document_frequency: float = Field(default=0.15, gt=0, le=1)
    alone: float = Field(default=0.0, ge=0, le=1)


class AlignSettings(Settings):
    """Similarity-driven alignment (Eq. 2-4). `weight` is lambda 1; `use_sa` is a column of Table 3."""

    use_sa: bool = True
    weight: float = Field(default=1.0, ge=0)
    top_k: int = Field(default=64, ge=1)
    temperature: float = Field(default=0.07, gt=0)
    l2: bool = True
    scope: Literal["report", "batch"] = "report"
    sent_pool: Pool = "cls"
    vision_proj: Literal["linear", "none"] = "linear"
    center_text: bool = False
    cross_image: CrossImageSettings = CrossImageSettings()

    @field_validator("cross_image", mode="before")
    @classmethod
    def switch(cls, value: object) -> object:
        """`cross_image: true` is short for its defaults, enabled."""
        return {"enabled": value} if isinstance(value, bool) else value


class MlmSettings(Settings):
    """Masked report (Eq. 6). `weight` is lambda 2; `vocabulary = compact` spells only words that the cohort uses."""

    weight: float = Field(default=1.0, ge=0)
    ratio: float = Field(default=0.75, gt=0, lt=1)
    unit: Literal["word", "token"] = "word"
    replace: Literal["mask_only", "bert"] = "mask_only"
    loss_on: Literal["masked", "all"] = "masked"
    vocabulary: Literal["full", "compact"] = "full"


class SimCroPSettings(MethodSettings):
    """Every choice of the method; the defaults are the paper's, or the reading of it that the evidence favours."""

    vision_decoder: VisionDecoderSettings = VisionDecoderSettings()
    mim: MimSettings = MimSettings()
    align: AlignSettings = AlignSettings()
    fusion: FusionSettings = FusionSettings()
    report_decoder: ReportDecoderSettings = ReportDecoderSettings()
    mlm: MlmSettings = MlmSettings()

    @model_validator(mode="after")
    def heads_share_features(self) -> "SimCroPSettings":
        """Here too, so that a bad recipe dies before a run folder is made."""
        check_heads("vision", self.vision.dim, self.vision.heads)
        check_heads("vision_decoder", self.vision_decoder.dim, self.vision_decoder.heads)
        check_heads("report_decoder", self.report_decoder.dim, self.report_decoder.heads)
        check_heads("fusion", self.report_decoder.dim, self.fusion.heads)
        return self

    def build(self, parts: Components) -> "SimCroP":
        return SimCroP(self, parts.grid, *parts.reader, parts.vocabulary, parts.center)

    @property
    def reading(self) -> TextNeeds:
        align = self.align
        alone = align.cross_image.enabled and align.cross_image.alone > 0
        return TextNeeds("sentence", align.sent_pool, align.center_text, self.mlm.vocabulary, alone)

    def projection_head(self, text: TextEncoder) -> "AlignProjection":
        return AlignProjection(self.align, self.vision.dim, text.width_of(self.align.sent_pool))

    def boxes(self, patches: int) -> int:
        """K of the paper counts visible patches only, so all patches hold as many more."""
        return min(patches, max(1, round(self.align.top_k / (1 - self.mim.mask_ratio))))


class AlignProjection(ProjectionHead):
    """Brings patches and sentences into one space: projection, centring, L2."""

    center: Tensor

    def __init__(self, settings: AlignSettings, vision_width: int, text_width: int) -> None:
        super().__init__()
        self.l2 = settings.l2
        self.projection: nn.Module = nn.Identity()
        if settings.vision_proj == "linear":
            self.projection = identity_linear(vision_width, text_width)
        elif vision_width != text_width:
            raise SimcropError(
                "bad-setting",
                "align.vision_proj = none needs equal widths, "
                f"but vision.dim is {vision_width} and the text's {text_width}",
            )
        self.register_buffer("center", torch.zeros(text_width))

    def patches(self, features: Float[Tensor, "b v d"]) -> Float[Tensor, "b v e"]:
        projected = self.projection(features).float()
        return normalize(projected, dim=-1) if self.l2 else projected

    def sentences(self, features: Float[Tensor, "s e"]) -> Float[Tensor, "s e"]:
        centred = features.float() - self.center
        return normalize(centred, dim=-1) if self.l2 else centred


class SimCroP(Objective):
    """The method of the paper. `forward` gives one named, unweighted term per loss; `weights` how they add (Eq. 7)."""

    def __init__(
        self,
        settings: SimCroPSettings,
        grid: PatchGrid,
        text: TextEncoder,
        tokenizer: Tokenizer,
        vocabulary: Tensor | None = None,
        center: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.grid, self.tokenizer = settings, grid, tokenizer
        width = settings.report_decoder.dim
        self.text = text
        self.vision = VisionEncoder(settings.vision, grid)
        self.vision_decoder = VisionDecoder(settings.vision_decoder, settings.vision, grid)
        self.projection = settings.projection_head(text)
        self.fusion = Fusion(settings.fusion, text.width, settings.vision.dim, width)
        self.report_decoder = ReportDecoder(settings.report_decoder)
        self.mlm_head = MlmHead(width, text, vocabulary)
        if center is not None:
            self.projection.center.copy_(center)

    @property
    def weights(self) -> dict[str, float]:
        """L = L_MIM + lambda 1 L_align + lambda 2 L_MLM (Eq. 7), and our extension when it is on."""
        weights = {"volume": 1.0, "report": self.settings.mlm.weight}
        if self.settings.align.use_sa:
            weights["align"] = self.settings.align.weight
        if self.settings.align.cross_image.enabled:
            weights["cross_image"] = self.settings.align.cross_image.weight
        return weights

    @property
    def skips_parameters(self) -> bool:
        """Whether switches leave parameters without a gradient: the way into the text's space when nothing is
        aligned, and the head of a trained text encoder when nothing is pooled with it.
        """
        align = self.settings.align
        aligned = align.use_sa or align.cross_image.enabled
        return not aligned or has_spare_head(self.text, align.sent_pool)

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        mim, patches = self.settings.mim, self.grid.split(batch.volume)
        body = preferred_patches(patches, mim)
        mask = hide(patches, mim, generator, body)
        features = self.vision(patches, mask)
        terms = {
            "volume": volume_loss(self.vision_decoder, mim, patches, features, mask),
            "report": self.report_loss(batch, features, generator),
        }
        if self.settings.align.use_sa:
            terms["align"] = self.align_loss(batch.sentences, features)
        if self.settings.align.cross_image.enabled:
            terms["cross_image"] = self.cross_image_loss(batch.sentences, patches, generator, body)
        return terms

    def align_loss(self, sentences: Sentences, features: VisionFeatures) -> Float[Tensor, ""]:
        """Eq. 2-4, over visible patches."""
        align = self.settings.align
        said = self.sentence_features(sentences)
        regions = losses.nearest_patches_of(
            said, self.projection.patches(features.patches), sentences.image_index, align.top_k
        )
        image_index = (
            sentences.image_index if align.scope == "report" else torch.zeros_like(sentences.image_index)
        )
        return losses.info_nce(regions, said, image_index, align.temperature, align.l2)

    def report_loss(
        self, batch: Batch, features: VisionFeatures, generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Eq. 5-6."""
        mlm, tokens = self.settings.mlm, batch.report
        shown = mask_tokens(tokens, self.tokenizer, mlm.ratio, generator, mlm.unit, mlm.replace)
        states = self.text(replace(tokens, ids=shown.ids))
        decoded = self.report_decoder(self.fusion(states, features), tokens.mask)
        spelled = shown.masked if mlm.loss_on == "masked" else tokens.mask
        return losses.masked_word_loss(
            self.mlm_head(decoded[spelled]), self.mlm_head.vocabulary_index(tokens.ids[spelled])
        )

    def cross_image_loss(
        self,
        sentences: Sentences,
        patches: Float[Tensor, "b n p"],
        generator: torch.Generator,
        body: Tensor | None,
    ) -> Float[Tensor, ""]:
        """Our extension, on a pass of its own that sees more of the volume."""
        cross = self.settings.align.cross_image
        mask = None
        if cross.visible < 1:
            mask = random_mask(
                len(patches), self.grid.count, 1 - cross.visible, generator, body, patches.device
            )
        alone = cross.alone > 0 and float(torch.rand((), generator=generator)) < cross.alone
        seen = self.projection.patches(self.vision(patches, mask, alone).patches)
        k = visible_count(seen.shape[1], 1 - cross.top_share)
        scores = losses.region_scores(self.sentence_features(sentences), seen, k)
        discriminative = sentences.document_frequency < cross.max_document_frequency
        return losses.cross_image_nce(
            scores, sentences.image_index, sentences.sentence_id, discriminative, cross.temperature
        )

    def sentence_features(self, sentences: Sentences) -> Float[Tensor, "s e"]:
        """f_sent of the paper: cached when the text encoder is frozen, encoded here when it is trained."""
        return self.projection.sentences(text_features(sentences, self.text, self.settings.align.sent_pool))

    def encode(self, tokens: Tokens) -> Float[Tensor, "s e"]:
        """One pooled vector per sentence, as `align.sent_pool` says."""
        return self.text.pool(self.text(tokens), tokens.mask, self.settings.align.sent_pool)

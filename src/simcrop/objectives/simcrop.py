"""SimCroP: reconstruct masked patches, align sentences with their nearest patches, predict masked words (Eq. 1-7).

Axes: b study, n all patches, v visible patches, p voxel of a patch, s sentence, t word piece, d features.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from pydantic import model_validator
from torch import Tensor
from torch.nn.functional import normalize

from simcrop import losses
from simcrop.data.samples.batch import Batch, Sentences
from simcrop.data.samples.tokenizer import Tokenizer, Tokens
from simcrop.errors import SimcropError
from simcrop.losses import Compared
from simcrop.nn.encoder import VisionFeatures
from simcrop.nn.fusion import Fusion, FusionSettings
from simcrop.nn.masking import Mask, random_mask
from simcrop.nn.mlm_head import MlmHead
from simcrop.nn.patch import PatchGrid
from simcrop.nn.report_decoder import ReportDecoder, ReportDecoderSettings
from simcrop.nn.text_encoder import TextEncoder
from simcrop.nn.transformer import check_heads
from simcrop.nn.vision_decoder import VisionDecoder, VisionDecoderSettings
from simcrop.objectives.alignment import ACCOUNT, AlignProjection, AlignSettings
from simcrop.objectives.draws import PATCHES, Draws
from simcrop.objectives.extension import Extension
from simcrop.objectives.method import MethodSettings, Objective, Parts, Term
from simcrop.objectives.needs import Components, Prompts, TextNeeds
from simcrop.objectives.own_image import Look
from simcrop.objectives.texts import encode_texts, has_spare_head, text_features
from simcrop.objectives.volume import RECONSTRUCTION, MimSettings, preferred_patches, volume_loss
from simcrop.objectives.words import MlmSettings, draw_words
from simcrop.settings import Settings

Patches = Float[Tensor, "b n p"]
Body = Bool[Tensor, "b n"] | None


class SimCroPSettings(MethodSettings):
    """Every choice of the method; the defaults are the paper's, or the reading of it that the evidence favours."""

    name: ClassVar[str] = "simcrop"
    kept: ClassVar[tuple[str, ...]] = ("vision.", "projection.")
    architecture: ClassVar[tuple[str, ...]] = ("vision", "vision_decoder", "report_decoder", "fusion")
    account: ClassVar = ACCOUNT

    vision_decoder: VisionDecoderSettings = VisionDecoderSettings()
    mim: MimSettings = MimSettings()
    align: AlignSettings = AlignSettings()
    fusion: FusionSettings = FusionSettings()
    report_decoder: ReportDecoderSettings = ReportDecoderSettings()
    mlm: MlmSettings = MlmSettings()

    @model_validator(mode="after")
    def fusion_heads_share_features(self) -> "SimCroPSettings":
        """Fusion is as wide as the report decoder; each part checks itself."""
        check_heads("fusion", self.report_decoder.dim, self.fusion.heads)
        return self

    @model_validator(mode="after")
    def something_to_learn(self) -> "SimCroPSettings":
        align = self.align
        if not (self.mim.weight or self.mlm.weight or align.use_sa or align.cross_image.enabled):
            raise SimcropError("bad-setting", "mim, mlm and align are all off: nothing is left to learn")
        return self

    def build(self, components: Components) -> "SimCroP":
        return SimCroP(
            self,
            components.grid,
            *components.reader,
            components.vocabulary,
            components.center,
            components.patch_mm,
            components.prompts,
        )

    @property
    def text_needs(self) -> TextNeeds:
        align = self.align
        skip_attention = align.cross_image.enabled and align.cross_image.skip_attention > 0
        predicted = self.mlm.vocabulary if self.mlm.weight else "no"
        return TextNeeds(
            "sentence",
            align.sent_pool,
            align.center_text,
            predicted,
            skip_attention,
            opposites=align.opposite.enabled,
            levels=align.level.enabled,
            prompts=align.prompts.protocol if align.prompts.enabled else "",
        )

    @property
    def label_names(self) -> tuple[str, ...] | None:
        return self.align.prompts.labels if self.align.prompts.enabled else None

    def label_settings(self, names: tuple[str, ...]) -> dict[str, Settings]:
        prompts = self.align.prompts.model_copy(update={"labels": names})
        return {"align": self.align.model_copy(update={"prompts": prompts})}

    def projection_head(self, text: TextEncoder) -> "AlignProjection":
        return AlignProjection(self.align, self.vision.dim, text.width_of(self.align.sent_pool))

    def scored(self, patches: int) -> int:
        """As many as training averaged, where it compared images: with more, what is small drowns."""
        cross = self.align.cross_image
        return cross.nearest(patches) if cross.enabled else super().scored(patches)

    def boxes(self, patches: int) -> int:
        """K of the paper counts visible patches only, so all patches hold as many more."""
        return min(patches, max(1, round(self.align.top_k / (1 - self.mim.mask_ratio))))


class SimCroP(Objective):
    """The method of the paper. `terms` says how its losses add up (Eq. 7)."""

    def __init__(
        self,
        settings: SimCroPSettings,
        grid: PatchGrid,
        text: TextEncoder,
        tokenizer: Tokenizer,
        vocabulary: Tensor | None = None,
        center: Tensor | None = None,
        patch_mm: tuple[float, float, float] | None = None,
        prompts: Prompts | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.grid, self.tokenizer, self.text = settings, grid, tokenizer, text
        width = settings.report_decoder.dim
        self.vision = settings.vision.build(grid)
        self.vision_decoder = VisionDecoder(settings.vision_decoder, self.vision.width, grid)
        self.projection = settings.projection_head(text)
        self.extension = None
        if settings.align.cross_image.enabled:
            self.extension = Extension(settings.align, grid, patch_mm, prompts)
        self.fusion = Fusion(settings.fusion, text.width, self.vision.width, width)
        self.report_decoder = ReportDecoder(settings.report_decoder)
        self.mlm_head = MlmHead(width, text, vocabulary)
        if center is not None:
            self.projection.center.copy_(center)

    @property
    def terms(self) -> dict[str, Term]:
        """L = L_MIM + lambda 1 L_align + lambda 2 L_MLM (Eq. 7), and our extension when it is on."""
        align, terms = self.settings.align, {}
        if self.settings.mim.weight:
            terms["volume"] = Term(self.settings.mim.weight, RECONSTRUCTION)
        if self.settings.mlm.weight:
            terms["report"] = Term(self.settings.mlm.weight, "masked words predicted (Eq. 6)")
        if align.use_sa:
            terms["align"] = Term(align.weight, align.words, align.across, align.across, aligns=True)
        return terms if self.extension is None else terms | self.extension.terms

    @property
    def skips_parameters(self) -> bool:
        """Whether switches leave parameters without a gradient: the projection head when nothing is aligned, a decoder
        whose term is off or whose reports may all lie in other micro-batches, the head of a trained text encoder when
        nothing is pooled with it.
        """
        align = self.settings.align
        aligned = align.use_sa or self.extension is not None
        decoded = self.settings.mim.weight and self.settings.mlm.weight and self.settings.mlm.share == 1
        return not aligned or not decoded or has_spare_head(self.text, align.sent_pool)

    def draw(self, batch: Batch, seed: int, first: int = 0) -> Batch:
        draws = Draws(batch, seed, first)
        drawn, report = {"patches": draws.uniform(PATCHES, self.grid.count)}, batch.report
        if self.settings.mlm.weight:
            report, words = draw_words(report, self.tokenizer, self.settings.mlm, draws)
            drawn |= words
        if self.extension is not None:
            drawn |= self.extension.draw(draws)
        return replace(batch, report=report, drawn=drawn)

    def counts(self, batch: Batch) -> dict[str, int]:
        """Studies, masked words, reports of two sentences or more, and what the extension counts."""
        counts = super().counts(batch)
        if self.settings.mlm.weight:
            counts["report"] = len(batch.drawn["masked_at"])
        if self.settings.align.use_sa:
            counts["align"] = int((batch.sentences.image_index.bincount() >= 2).sum())
        return counts if self.extension is None else counts | self.extension.counts(batch)

    def forward(self, batch: Batch) -> Parts:
        mim, align, patches = self.settings.mim, self.settings.align, self.grid.split(batch.volume)
        body = preferred_patches(patches, mim)
        features, mask = self.masked_features(batch, patches, body)
        terms: dict[str, Tensor | Compared] = {}
        # What `compared` makes comes first and as there: a trained text encoder then drops what it dropped for it.
        if align.use_sa and align.across:
            terms["align"] = self.align_loss(batch.sentences, features)
        if self.extension is not None:
            terms |= self.extension(self.look(self.extension, batch, patches, body))
        if mim.weight:
            terms["volume"] = volume_loss(self.vision_decoder, mim, patches, features, mask)
        if self.settings.mlm.weight:
            terms["report"] = self.report_loss(batch.report, batch.drawn, features)
        if align.use_sa and not align.across:
            terms["align"] = self.align_loss(batch.sentences, features)
        return {name: terms[name] for name in self.terms}

    def masked_features(self, batch: Batch, patches: Patches, body: Body) -> tuple[VisionFeatures, Mask]:
        """What the encoder makes of the visible patches, and which these are."""
        mask = random_mask(batch.drawn["patches"], self.settings.mim.mask_ratio, body)
        return self.vision(batch.volume, mask, patches=patches), mask

    def compared(self, batch: Batch) -> dict[str, Compared]:
        """Without the decoders, and without their pass through the encoder if that is not compared."""
        patches = self.grid.split(batch.volume)
        body = preferred_patches(patches, self.settings.mim)
        found: dict[str, Tensor | Compared] = {}
        if self.settings.align.use_sa and self.settings.align.across:
            found["align"] = self.align_loss(batch.sentences, self.masked_features(batch, patches, body)[0])
        if self.extension is not None:
            found |= self.extension.compared(self.look(self.extension, batch, patches, body))
        return {name: part for name, part in found.items() if isinstance(part, Compared)}

    def align_loss(self, sentences: Sentences, features: VisionFeatures) -> Float[Tensor, ""] | Compared:
        """Eq. 2-4, over visible patches."""
        align, image_index = self.settings.align, sentences.image_index
        embeddings = self.sentence_features(sentences)
        patches = self.projection.patches(features.patches)
        regions = losses.nearest_patches_of(embeddings, patches, image_index, align.top_k, sentences.most)
        if not align.across:
            return losses.info_nce(regions, embeddings, image_index, align.temperature, align.l2)
        if align.l2:
            regions, embeddings = normalize(regions, dim=-1), normalize(embeddings, dim=-1)
        return Compared(embeddings, regions, torch.arange(len(regions), device=regions.device), {}, {})

    def scores(self, name: str, compared: Compared) -> Float[Tensor, "s b"]:
        if self.extension is not None and name != "align":
            return self.extension.scores(name, compared)
        return losses.products(compared.texts, compared.images, "s e, r e -> s r")

    def contrast(self, name: str, scores: Float[Tensor, "s b"], compared: Compared) -> Float[Tensor, ""]:
        if self.extension is not None and name != "align":
            return self.extension.contrast(name, scores, compared)
        logits = scores.T.float() / self.settings.align.temperature
        return losses.paired_nce(logits, torch.zeros_like(compared.image_index))

    def report_loss(
        self, shown: Tokens, drawn: Mapping[str, Tensor], features: VisionFeatures
    ) -> Float[Tensor, ""]:
        """Eq. 5-6, of the reports that are read in this step; a 0 with a gradient where these lie in other parts."""
        if len(shown.ids) == 0:
            return features.patches.sum() * 0.0
        if self.settings.mlm.share < 1:
            features = features.some(drawn["read"])
        states = self.text(shown.ids, shown.mask, shown.lengths)
        decoded = self.report_decoder(self.fusion(states, features), shown.mask, shown.lengths)
        return losses.masked_word_loss(
            self.mlm_head(decoded.flatten(0, 1)[drawn["masked_at"]]),
            self.mlm_head.vocabulary_index(drawn["masked_ids"]),
        )

    def look(self, extension: Extension, batch: Batch, patches: Patches, body: Body) -> Look:
        """What our extension asks: a pass of its own that sees more of the volume."""
        mask, skip = extension.view(batch.drawn, body)
        seen = self.projection.patches(self.vision(batch.volume, mask, skip, patches=patches).patches)
        sentences, k = self.sentence_features(batch.sentences), extension.nearest(seen)
        return Look(batch, seen, sentences, mask, k, self.sentence_features, self.projection)

    def sentence_features(self, sentences: Sentences) -> Float[Tensor, "s e"]:
        """f_sent of the paper: cached when the text encoder is frozen, encoded here when it is trained."""
        return self.projection.sentences(text_features(sentences, self.text, self.settings.align.sent_pool))

    def encode(self, tokens: Tokens) -> Float[Tensor, "s e"]:
        """One pooled vector per sentence, as `align.sent_pool` says."""
        return encode_texts(tokens, self.text, self.settings.align.sent_pool)

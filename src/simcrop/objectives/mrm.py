"""MRM in 3D: masked patches are reconstructed, and masked words are predicted with one vector of what the encoder saw.

Axes: b study, i j k voxels at the target's resolution, d features. After Zhou et al., Advancing Radiograph
Representation Learning with Masked Record Modeling, 2023: the mean of the visible patches' features, through a linear
layer, is added to the embedding of every word piece, and a BERT that starts from nothing reads the sum. No text encoder
takes part.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from simcrop import losses
from simcrop.data.samples.batch import Batch
from simcrop.data.samples.tokenizer import REPORT_LENGTH, Tokenizer, Tokens
from simcrop.errors import SimcropError
from simcrop.nn.masking import random_mask
from simcrop.nn.own_words import OwnWords
from simcrop.nn.report_decoder import ReportDecoder, ReportDecoderSettings
from simcrop.nn.transformer import init_linear
from simcrop.nn.vision_decoder import VisionDecoder, VisionDecoderSettings
from simcrop.objectives.draws import PATCHES, Draws
from simcrop.objectives.method import Account, MethodSettings, Objective, Term
from simcrop.objectives.needs import Components, TextNeeds
from simcrop.objectives.volume import RECONSTRUCTION, MimSettings, preferred_patches, volume_loss
from simcrop.objectives.words import MlmSettings, draw_words
from simcrop.settings import Settings


class MrmMlmSettings(MlmSettings):
    """As in SimCroP, with MRM's values: half of the words are masked, and every piece is predicted, those that are seen
    as well. (MRM's code counts padding, too; here neither it nor a report without a word ever counts, or a loss would
    depend on who shares a batch.)
    """

    ratio: float = Field(default=0.5, gt=0, lt=1)
    loss_on: Literal["masked", "all"] = "all"


class ResolutionSettings(Settings):
    """`sr_scale = 2`: a patch is reconstructed at twice the resolution of the input, as in MRM, from a cohort stored at
    half of `input.spacing_mm`: eight times its bytes.
    """

    sr_scale: Literal[1, 2] = 1


class MrmSettings(MethodSettings):
    """The parts of SimCroP that this method has, with the same defaults. MRM itself decodes images with 4 layers of 768
    features and 6 heads, normalises the target (`mim.norm_pix`), and reads reports with 384 features, 6 heads and 1536
    in between (`report_decoder`).
    """

    name: ClassVar[str] = "mrm"
    architecture: ClassVar[tuple[str, ...]] = ("vision", "vision_decoder", "report_decoder")
    account: ClassVar[Account] = Account(
        hides="75 % of the patches, 50 % of the words",
        reads="scan, report",
        source="Zhou et al. 2023",
    )

    vision_decoder: VisionDecoderSettings = VisionDecoderSettings()
    mim: MimSettings = MimSettings()
    report_decoder: ReportDecoderSettings = ReportDecoderSettings()
    mlm: MrmMlmSettings = MrmMlmSettings()
    mrm: ResolutionSettings = ResolutionSettings()

    @model_validator(mode="after")
    def learns_from_both(self) -> "MrmSettings":
        if not (self.mim.weight and self.mlm.weight):
            raise SimcropError(
                "bad-setting", "mim.weight and mlm.weight must be above 0: MRM learns from both"
            )
        return self

    def build(self, components: Components) -> "Mrm":
        return Mrm(self, components)

    @property
    def text_needs(self) -> TextNeeds:
        return TextNeeds(None, encoder=False, predicted=self.mlm.vocabulary)

    @property
    def fine_scale(self) -> int:
        return self.mrm.sr_scale


class Mrm(Objective):
    """Two terms: `volume` and `report`."""

    def __init__(self, settings: MrmSettings, components: Components) -> None:
        super().__init__()
        self.settings, self.grid = settings, components.grid
        self.target_grid = self.grid.finer(settings.fine_scale)
        self.tokenizer, width = components.spelling, settings.report_decoder.dim
        self.vision = settings.vision.build(self.grid)
        self.vision_decoder = VisionDecoder(
            settings.vision_decoder, self.vision.width, self.grid, self.target_grid.voxels
        )
        self.image = nn.Linear(self.vision.width, width)
        self.words = own_words(width, self.tokenizer, components.vocabulary)
        self.report_decoder = ReportDecoder(settings.report_decoder)
        init_linear(self.image)

    @property
    def terms(self) -> dict[str, Term]:
        words = "words predicted, with the pooled volume added to each"
        return {
            "volume": Term(self.settings.mim.weight, RECONSTRUCTION),
            "report": Term(self.settings.mlm.weight, words),
        }

    @property
    def skips_parameters(self) -> bool:
        """Where the reports that are read may all lie in other micro-batches."""
        return self.settings.mlm.share < 1

    def draw(self, batch: Batch, seed: int, first: int = 0) -> Batch:
        draws = Draws(batch, seed, first)
        report, words = draw_words(batch.report, self.tokenizer, self.settings.mlm, draws)
        return replace(
            batch, report=report, drawn=words | {"patches": draws.uniform(PATCHES, self.grid.count)}
        )

    def counts(self, batch: Batch) -> dict[str, int]:
        """Studies, and word pieces that are predicted."""
        return super().counts(batch) | {"report": len(batch.drawn["masked_at"])}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        mim, patches = self.settings.mim, self.grid.split(batch.volume)
        mask = random_mask(batch.drawn["patches"], mim.mask_ratio, preferred_patches(patches, mim))
        features = self.vision(batch.volume, mask, patches=patches)
        target = patches if self.settings.fine_scale == 1 else self.target_grid.split(fine_of(batch))
        return {
            "volume": volume_loss(self.vision_decoder, mim, target, features, mask),
            "report": self.report_loss(batch.report, batch.drawn, features.pooled),
        }

    def report_loss(
        self, shown: Tokens, drawn: Mapping[str, Tensor], pooled: Float[Tensor, "b d"]
    ) -> Float[Tensor, ""]:
        """Of the reports that are read in this step; a 0 with a gradient where these lie in other parts."""
        if len(shown.ids) == 0:
            return pooled.sum() * 0.0
        seen = self.image(pooled[drawn["read"]])
        decoded = self.report_decoder(self.words(shown.ids) + seen[:, None], shown.mask, shown.lengths)
        return losses.masked_word_loss(
            self.words.predict(decoded.flatten(0, 1)[drawn["masked_at"]]),
            self.words.vocabulary_index(drawn["masked_ids"]),
        )


def fine_of(batch: Batch) -> Float[Tensor, "b 1 i j k"]:
    """The crops at the resolution of the target."""
    if batch.fine is None:
        raise SimcropError("bad-batch", "the batch carries no crops finer than the input")
    return batch.fine


def own_words(width: int, tokenizer: Tokenizer, vocabulary: Tensor | None) -> OwnWords:
    """A table of the tokenizer's words, or of those that the cohort uses."""
    further = tokenizer.pad_id, tokenizer.mask_id
    return OwnWords(width, REPORT_LENGTH, tokenizer.size, tokenizer.unknown_id, further, vocabulary)

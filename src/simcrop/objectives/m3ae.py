"""M3AE: spell masked words with the whole scan, paint masked patches with the whole report, and say whether the two
belong together.

Axes: b study (of a micro-batch, or of a global batch), n all patches, t word piece, v token of a scan, d features.
After Chen et al., Multi-Modal Masked Autoencoders for Medical Vision-and-Language Pre-Training, 2022: three passes
through the encoders and co-attention, of which two see the same scan and two the same report, encoded once for both.
Our encoder stands for their CLIP ViT; what is painted are patches of a volume.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.checkpoint import checkpoint

from simcrop import losses
from simcrop.data.samples.batch import Batch
from simcrop.errors import SimcropError
from simcrop.losses import Compared
from simcrop.nn.co_attention import CoAttention, CoAttentionSettings, Match
from simcrop.nn.encoder import VisionFeatures
from simcrop.nn.masking import Mask, random_mask
from simcrop.nn.mlm_head import MlmHead
from simcrop.nn.vision_decoder import VisionDecoder, VisionDecoderSettings
from simcrop.objectives.draws import MATCH, PATCHES, VIEW, Draws
from simcrop.objectives.method import Account, MethodSettings, Objective, Parts, Term
from simcrop.objectives.needs import Components, TextNeeds
from simcrop.objectives.texts import has_spare_head
from simcrop.objectives.volume import RECONSTRUCTION, MimSettings, preferred_patches, volume_loss
from simcrop.objectives.words import MlmSettings, draw_words
from simcrop.settings import Settings

EMPTY = 2  # word pieces of a report that says nothing: where it begins, and where it ends


class M3aeMlmSettings(MlmSettings):
    """As BERT: few words, of which a tenth each stays as it is or becomes another."""

    ratio: float = Field(default=0.15, gt=0, lt=1)
    replace: Literal["mask_only", "bert"] = "bert"


class M3aeMimSettings(MimSettings):
    """As MAE, each patch normalised."""

    norm_pix: bool = True


class M3aeDecoderSettings(VisionDecoderSettings):
    """Half as wide as its encoder."""

    dim: int = Field(default=384, ge=6)
    heads: int = Field(default=6, ge=1)


class OwnSettings(Settings):
    """What M3AE alone has. `mim_layer`: after how many layers of co-attention patches are painted; `match_weight`: of
    the third term; `mlm_image_mask_ratio`: how much of the scan is hidden from masked words, none in M3AE; `head_rate`:
    how much faster than the encoders all else learns.
    """

    mim_layer: int = Field(default=3, ge=0)
    match_weight: float = Field(default=1.0, ge=0)
    mlm_image_mask_ratio: float = Field(default=0.0, ge=0, lt=1)
    head_rate: float = Field(default=5.0, gt=0)


class M3aeSettings(MethodSettings):
    """Every choice of the method; the defaults are M3AE's. `text.freeze = false` in the recipe trains the text encoder,
    as M3AE does.
    """

    name: ClassVar[str] = "m3ae"
    architecture: ClassVar[tuple[str, ...]] = ("vision", "co_attention")  # its decoder is its own
    account: ClassVar[Account] = Account(
        hides="75 % of the patches; 15 % of the words",
        contrasts="a report and its scan, against a report and another's scan",
        reads="scan, report",
        source="Chen et al. 2022",
    )

    co_attention: CoAttentionSettings = CoAttentionSettings()
    vision_decoder: M3aeDecoderSettings = M3aeDecoderSettings()
    mim: M3aeMimSettings = M3aeMimSettings()
    mlm: M3aeMlmSettings = M3aeMlmSettings()
    m3ae: OwnSettings = OwnSettings()

    @model_validator(mode="after")
    def fits_together(self) -> "M3aeSettings":
        own, depth = self.m3ae, self.co_attention.depth
        if own.mim_layer > depth:
            raise SimcropError(
                "bad-setting", f"m3ae.mim_layer = {own.mim_layer} is beyond co_attention.depth = {depth}"
            )
        if self.mlm.share != 1:
            raise SimcropError(
                "bad-setting", f"mlm.share = {self.mlm.share:g}: m3ae reads every report, leave it at 1"
            )
        if not (self.mim.weight or self.mlm.weight or own.match_weight):
            raise SimcropError(
                "bad-setting",
                "mim.weight, mlm.weight and m3ae.match_weight are all 0: nothing is left to learn",
            )
        return self

    def build(self, components: Components) -> "M3ae":
        return M3ae(self, components)

    @property
    def text_needs(self) -> TextNeeds:
        return TextNeeds(None, predicted=self.mlm.vocabulary)


class M3ae(Objective):
    """Three terms: `report`, `volume` and `match`."""

    def __init__(self, settings: M3aeSettings, components: Components) -> None:
        super().__init__()
        self.settings, self.grid, width = settings, components.grid, settings.co_attention.dim
        self.text, self.tokenizer = components.reader
        self.vision = settings.vision.build(self.grid)
        self.co_attention = CoAttention(
            settings.co_attention, self.text.width, self.vision.width, settings.vision.cls_token
        )
        self.vision_decoder = VisionDecoder(settings.vision_decoder, width, self.grid)
        self.mlm_head = MlmHead(width, self.text, components.vocabulary)
        self.match = Match(width)

    @property
    def terms(self) -> dict[str, Term]:
        settings = self.settings
        terms = {
            "report": Term(settings.mlm.weight, "masked words spelled, the scan in view"),
            "volume": Term(settings.mim.weight, f"{RECONSTRUCTION}, the report in view"),
            "match": Term(
                settings.m3ae.match_weight,
                "reports told from those beside another's scan",
                compares_samples=True,
                each_once=True,
            ),
        }
        return {name: term for name, term in terms.items() if term.weight}

    @property
    def skips_parameters(self) -> bool:
        """Without one of its terms, or with a head of the text encoder that nothing asks."""
        return len(self.terms) < 3 or has_spare_head(self.text, "cls")

    def rate_of(self, name: str) -> float:
        """All but the encoders, which are trained already in M3AE, learn faster."""
        return 1.0 if name.startswith(("vision.", "text.")) else self.settings.m3ae.head_rate

    def draw(self, batch: Batch, seed: int, first: int = 0) -> Batch:
        """The report stays whole; `shown` is what is seen of it where words are masked."""
        draws = Draws(batch, seed, first)
        shown, words = draw_words(batch.report, self.tokenizer, self.settings.mlm, draws)
        drawn = {
            "shown": shown.ids,
            "masked_at": words["masked_at"],
            "masked_ids": words["masked_ids"],
            "patches": draws.uniform(PATCHES, self.grid.count),
            "lot": draws.uniform(MATCH, 1)[:, 0],
        }
        if self.settings.m3ae.mlm_image_mask_ratio:
            drawn["view"] = draws.uniform(VIEW, self.grid.count)
        return replace(batch, drawn=drawn)

    def counts(self, batch: Batch) -> dict[str, int]:
        """Studies, and masked words."""
        words = {"report": len(batch.drawn["masked_at"])} if self.settings.mlm.weight else {}
        return super().counts(batch) | words

    def forward(self, batch: Batch) -> Parts:
        settings = self.settings
        # The whole report first: dropout then drops what it drops in `compared`, which reads nothing else.
        said, seen = self.read(batch, batch.report.ids), self.look(batch)
        parts: dict[str, Tensor | Compared] = {}
        if settings.mlm.weight:
            parts["report"] = self.report_loss(batch, seen)
        if settings.mim.weight:
            parts["volume"] = self.volume_loss(batch, said)
        if settings.m3ae.match_weight:
            parts["match"] = self.to_match(batch, said, seen)
        return parts

    def read(self, batch: Batch, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        """The reports, or what is shown of them, on their way into co-attention."""
        return self.co_attention.from_text(self.text(ids, batch.report.mask, batch.report.lengths))

    def look(
        self, batch: Batch, mask: Mask | None = None, patches: Float[Tensor, "b n p"] | None = None
    ) -> Float[Tensor, "b v d"]:
        """The scans, or their visible patches, on their way into co-attention."""
        return self.co_attention.enter_image(self.vision(batch.volume, mask, patches=patches))

    def report_loss(self, batch: Batch, seen: Float[Tensor, "b v d"]) -> Float[Tensor, ""]:
        """First pass: masked words, with the whole scan unless some of it is to be hidden."""
        drawn, hidden = batch.drawn, self.settings.m3ae.mlm_image_mask_ratio
        if hidden:
            seen = self.look(batch, random_mask(drawn["view"], hidden))
        words = self.co_attention.text_after(self.read(batch, drawn["shown"]), batch.report.mask, seen)
        return losses.masked_word_loss(
            self.mlm_head(words.flatten(0, 1)[drawn["masked_at"]]),
            self.mlm_head.vocabulary_index(drawn["masked_ids"]),
        )

    def volume_loss(self, batch: Batch, said: Float[Tensor, "b t d"]) -> Float[Tensor, ""]:
        """Second pass: masked patches, with the whole report."""
        mim, patches = self.settings.mim, self.grid.split(batch.volume)
        mask = random_mask(batch.drawn["patches"], mim.mask_ratio, preferred_patches(patches, mim))
        tokens = self.co_attention.image_after(
            said, batch.report.mask, self.look(batch, mask, patches), self.settings.m3ae.mim_layer
        )
        cls = tokens[:, 0] if self.co_attention.cls else None
        features = VisionFeatures(cls, tokens[:, -mask.keep.shape[1] :])
        return volume_loss(self.vision_decoder, mim, patches, features, mask)

    def compared(self, batch: Batch) -> dict[str, Compared]:
        """Without the two passes that mask."""
        if not self.settings.m3ae.match_weight:
            return {}
        return {"match": self.to_match(batch, self.read(batch, batch.report.ids), self.look(batch))}

    def to_match(self, batch: Batch, said: Float[Tensor, "b t d"], seen: Float[Tensor, "b v d"]) -> Compared:
        """Third pass, as far as a study goes by itself. Who meets whom is known once the global batch is together, so
        that co-attention belongs to what is compared, and its parameters are among what is learned there.
        """
        facts = {"lot": batch.drawn["lot"], "length": batch.report.mask.sum(1)}
        parameters = {
            f"{part}.{name}": parameter.view_as(parameter)  # not the leaf, which DDP would take for unused
            for part in ("co_attention", "match")
            for name, parameter in getattr(self, part).named_parameters()
        }
        return Compared(said, seen, torch.arange(len(seen), device=seen.device), facts, parameters)

    def scores(self, name: str, compared: Compared) -> Float[Tensor, "s b"]:
        """How much more speaks for a pair than against it, where a report meets one of these scans; 0 elsewhere."""
        del name
        texts, images = compared.texts, compared.images
        reports = exchanged(compared.facts["lot"]).argsort()[compared.first : compared.first + len(images)]
        mask = torch.arange(texts.shape[1], device=texts.device) < compared.facts["length"][reports][:, None]

        def answer(said: Tensor, seen: Tensor) -> Tensor:
            pair = self.with_learned("co_attention", compared.learned, said, mask, seen)
            return self.with_learned("match", compared.learned, pair)

        with torch.autocast(images.device.type, torch.bfloat16, enabled=images.dtype == torch.bfloat16):
            if len(images) == len(texts):
                answers = answer(texts[reports], images)
            else:  # one of several micro-batches, of which only one is held at a time
                answers = checkpoint(
                    answer, texts[reports], images, use_reentrant=False, preserve_rng_state=False
                )
        margin = (answers[:, 1] - answers[:, 0]).float()
        return margin.new_zeros(len(texts), len(images)).scatter(0, reports[None], margin[None])

    def with_learned(self, part: str, learned: Mapping[str, Tensor], *given: Tensor) -> Tensor:
        """What a part of the network makes of something, with the parameters that are compared."""
        mine = {key.removeprefix(f"{part}."): t for key, t in learned.items() if key.startswith(f"{part}.")}
        return functional_call(getattr(self, part), mine, given)

    def contrast(self, name: str, scores: Float[Tensor, "s b"], compared: Compared) -> Float[Tensor, ""]:
        """Cross-entropy of yes and no, over the reports that say something."""
        del name
        scans = exchanged(compared.facts["lot"])
        own = scans == torch.arange(len(scans), device=scans.device)
        margin = scores.gather(1, scans[:, None])[:, 0]
        cost = binary_cross_entropy_with_logits(margin, own.float(), reduction="none")
        counts = compared.facts["length"] > EMPTY
        return (cost * counts).sum() / counts.sum().clamp(min=1)


def exchanged(lots: Float[Tensor, " b"]) -> Int[Tensor, " b"]:
    """Which scan stands beside each report of a global batch: its own for one half; in the other half, those with the
    lowest `lots` of [0, 1), each has that of the next. Every scan stands somewhere, and once. Of a batch of two both
    are exchanged or none.
    """
    own = torch.arange(len(lots), device=lots.device)
    half = len(lots) - len(lots) // 2
    some = lots.argsort(stable=True)[: max(2, half)]
    scans = own.scatter(0, some, some.roll(-1))
    return torch.where(lots.sum() < 1, scans, own) if len(lots) == 2 else scans

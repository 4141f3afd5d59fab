"""fVLM on the shared encoders: each organ of a scan must find what its report says of that organ, and back.

Axes: b study, o organ, n patch, s text (one per organ of each study that has a report), d features, e features that
organs and texts share, x y z voxels. After Shui et al., Large-scale and fine-grained vision-language pre-training for
enhanced CT image understanding, 2025. A learned query for each organ pools the patches in which the organ lies; see
`nn.organ_pool`. Organs that the crop cuts off are left out, and so is an organ that is abnormal in no study of a batch.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import normalize

from simcrop import losses
from simcrop.data.organs import parts_of_organs
from simcrop.data.samples.batch import Batch
from simcrop.errors import SimcropError
from simcrop.losses import Compared
from simcrop.nn.organ_pool import OrganPool, intact_organs, organ_patches
from simcrop.nn.text_encoder import Pool
from simcrop.nn.transformer import check_heads, init_linear
from simcrop.objectives.method import Account, MethodSettings, Objective, Term
from simcrop.objectives.needs import Components, OrganNeeds, TextNeeds
from simcrop.objectives.texts import has_spare_head, text_features
from simcrop.settings import Settings

LAYERS = 4 / 12, 7 / 12, 10 / 12  # of the depth: those that fVLM's code counts as 3, 6 and 9, from 0


class OrganSettings(Settings):
    """`names`: the organs, fVLM's four; each is a name of `simcrop.codes`' organs. `descriptions`, `conclusions`: its
    `desc_info.json` and `conc_info.json`; without both, reports are sorted by our own words, and the run says so.

    `layers`: which layers, counted from 1, are pooled beside the last; as in fVLM's twelve where it is empty.
    `temperature` is learned from there, within `coldest` and `warmest`.
    """

    names: tuple[str, ...] = ("lung", "heart", "esophagus", "aorta")
    descriptions: str | None = None
    conclusions: str | None = None
    layers: tuple[int, ...] = ()
    heads: int = Field(default=4, ge=1)
    dim: int = Field(default=256, ge=1)
    pool: Pool = "cls"
    temperature: float = Field(default=0.07, gt=0)
    coldest: float = Field(default=0.001, gt=0)
    warmest: float = Field(default=0.5, gt=0)

    @model_validator(mode="after")
    def are_known(self) -> "OrganSettings":
        known = parts_of_organs()
        if not self.names or len(set(self.names)) < len(self.names):
            raise ValueError("name at least one organ, and none twice")
        if unknown := [name for name in self.names if name not in known]:
            raise ValueError(f"no organ {unknown[0]!r}, there are {', '.join(known)}")
        if (self.descriptions is None) != (self.conclusions is None):
            raise ValueError("descriptions and conclusions come together, or neither")
        return self


class FvlmSettings(MethodSettings):
    """Encoder and organs; `text.freeze = false` in the recipe trains the text encoder, as fVLM does. A model keeps the
    encoder alone: without a mask nobody can say which organ a sentence is about.
    """

    name: ClassVar[str] = "fvlm"
    account: ClassVar[Account] = Account(
        contrasts="each organ and its text, over the batch",
        reads="scan, organ mask, texts by organ",
        needs="organ maps (TotalSegmentator), texts by organ",
        source="fVLM (Shui et al., 2025)",
    )

    organs: OrganSettings = OrganSettings()

    @model_validator(mode="after")
    def heads_share_features(self) -> "FvlmSettings":
        check_heads("organs", self.vision.dim, self.organs.heads)
        if wrong := [layer for layer in self.organs.layers if not 1 <= layer <= self.vision.depth]:
            raise ValueError(f"organs.layers: there are layers 1 to {self.vision.depth}, not {wrong[0]}")
        return self

    def build(self, components: Components) -> "Fvlm":
        return Fvlm(self, components)

    @property
    def text_needs(self) -> TextNeeds:
        organs = self.organs
        needs = OrganNeeds(organs.names, organs.descriptions, organs.conclusions)
        return TextNeeds("organ", organs.pool, organs=needs, required=True)

    @property
    def wants_masks(self) -> bool:
        return True

    @property
    def layers(self) -> tuple[int, ...]:
        """Those that are pooled beside the last."""
        depth = self.vision.depth
        scaled = dict.fromkeys(max(1, round(share * depth)) for share in LAYERS)
        return self.organs.layers or tuple(layer for layer in scaled if layer < depth)


class Fvlm(Objective):
    """One term: `organs`."""

    organ_of: Tensor

    def __init__(self, settings: FvlmSettings, components: Components) -> None:
        super().__init__()
        organs, text = settings.organs, components.reader[0]
        self.settings, self.grid, self.text, self.count = settings, components.grid, text, len(organs.names)
        self.vision = settings.vision.build(components.grid)
        self.pool = OrganPool(self.vision.width, self.count, organs.heads)
        self.heads = nn.ModuleList(nn.Linear(self.vision.width, organs.dim) for _ in organs.names)
        self.words = nn.Linear(text.width_of(organs.pool), organs.dim)
        self.heads.apply(init_linear)
        self.words.apply(init_linear)
        self.temperature = nn.Parameter(torch.tensor(organs.temperature))
        self.register_buffer("organ_of", organ_numbers(organs.names, components.classes), persistent=False)

    @property
    def terms(self) -> dict[str, Term]:
        words = (
            f"{', '.join(self.settings.organs.names)} and what reports say of each, among those of a batch"
        )
        return {"organs": Term(1.0, words, compares_samples=True, aligns=True)}

    @property
    def skips_parameters(self) -> bool:
        return has_spare_head(self.text, self.settings.organs.pool)

    def forward(self, batch: Batch) -> dict[str, Compared]:
        settings, sentences = self.settings.organs, batch.sentences
        if batch.mask is None or sentences.organ is None or sentences.normal is None:
            raise SimcropError("bad-batch", "the batch carries no organs")
        organs = self.organ_of[batch.mask]
        features = self.vision(batch.volume, taps=self.settings.layers)
        pooled = self.pool((*features.taps, features.patches), organ_patches(organs, self.grid, self.count))
        images = torch.stack([head(pooled[:, k]) for k, head in enumerate(self.heads)], dim=1)
        texts = self.words(text_features(sentences, self.text, settings.pool))
        facts = {
            "organ": sentences.organ,
            "text": sentences.sentence_id,
            "normal": sentences.normal.long(),
            "intact": intact_organs(organs, self.count)[sentences.image_index, sentences.organ].long(),
        }
        with torch.no_grad():
            self.temperature.clamp_(settings.coldest, settings.warmest)
        return {
            "organs": Compared(
                normalize(texts.float(), dim=-1),
                normalize(images.float(), dim=-1),
                sentences.image_index,
                facts,
                # Not the leaf, which DDP would take for unused.
                {"temperature": self.temperature.view_as(self.temperature)},
            )
        }

    def scores(self, name: str, compared: Compared) -> Float[Tensor, "s b"]:
        """Each text with the organ it is about, in every image."""
        del name
        of_all = losses.products(compared.texts, compared.images, "s e, b o e -> s b o")
        return of_all[torch.arange(len(of_all), device=of_all.device), :, compared.facts["organ"]]

    def contrast(self, name: str, scores: Float[Tensor, "s b"], compared: Compared) -> Float[Tensor, ""]:
        del name
        facts = compared.facts
        logits = scores[:, compared.image_index] / compared.learned["temperature"]
        known = facts["organ"], facts["text"], facts["normal"].bool(), facts["intact"].bool()
        return losses.organ_nce(logits, *known, self.count)


def organ_numbers(names: tuple[str, ...], classes: Mapping[int, str]) -> Int[Tensor, " c"]:
    """For each number of a mask which of the organs it belongs to, from 1; 0 for none."""
    numbers = torch.zeros(max(classes, default=0) + 1, dtype=torch.long)
    for organ, name in enumerate(names, 1):
        mine = [number for number, part in classes.items() if part in parts_of_organs()[name]]
        if not mine:
            raise SimcropError("no-class", f"the masks of this cohort have no class for the organ {name!r}")
        numbers[mine] = organ
    return numbers

"""Where patches and sentences meet: settings of the similarity-driven alignment and its joint space (Eq. 2-4).

Axes: b study, v visible patches, s sentence, d features, e features that both share.
"""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from torch.nn.functional import normalize

from simcrop.errors import SimcropError
from simcrop.nn.patch import PatchGrid
from simcrop.nn.text_encoder import Pool
from simcrop.nn.transformer import identity_linear
from simcrop.objectives.cross_image import CrossImageSettings
from simcrop.objectives.level import Level, LevelSettings
from simcrop.objectives.method import Account, ProjectionHead
from simcrop.objectives.needs import Prompts
from simcrop.objectives.opposite import OppositeSettings
from simcrop.objectives.own_image import OptionSettings, OwnImageTerm, OwnImageTerms
from simcrop.objectives.prompts import PromptSettings, PromptTerm
from simcrop.settings import Settings

ACCOUNT = Account(  # of the whole method, whose own this alignment is
    hides="75 % of patches, 75 % of words",
    contrasts="each sentence's nearest patches with it, within a report",
    reads="scan, report",
    source="SimCroP, 2025",
)


class AlignSettings(Settings):
    """Similarity-driven alignment (Eq. 2-4). `weight` is lambda 1; `use_sa` is a column of Table 3. `cross_image` and
    what follows it are not in the paper.
    """

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
    opposite: OppositeSettings = OppositeSettings()
    prompts: PromptSettings = PromptSettings()
    level: LevelSettings = LevelSettings()

    @field_validator("cross_image", "opposite", "prompts", "level", mode="before")
    @classmethod
    def switch(cls, value: object) -> object:
        """`cross_image: true` is short for its defaults, enabled."""
        return {"enabled": value} if isinstance(value, bool) else value

    @model_validator(mode="after")
    def options_have_a_pass(self) -> "AlignSettings":
        """They are asked on that of the cross-image term."""
        if self.options and not self.cross_image.enabled:
            first = next(iter(self.options))
            raise ValueError(f"align.{first} is asked on the pass of align.cross_image, which is off")
        return self

    @property
    def across(self) -> bool:
        """Whether a sentence is told from those of other studies as well: not Eq. 4, which stays within a report."""
        return self.scope == "batch"

    @property
    def words(self) -> str:
        """What is compared, for the page."""
        where = "over a whole batch (Eq. 4 has one report)" if self.across else "within a report (Eq. 4)"
        return f"sentences and their nearest patches, {where}"

    @property
    def options(self) -> dict[str, OptionSettings]:
        """Those that are on."""
        known = {"opposite": self.opposite, "prompts": self.prompts, "level": self.level}
        return {name: option for name, option in known.items() if option.enabled}

    def own_image_terms(
        self, grid: PatchGrid, patch_mm: tuple[float, float, float] | None, prompts: Prompts | None
    ) -> OwnImageTerms:
        """The terms of those that ask each image alone."""
        terms: dict[str, OwnImageTerm] = {}
        if self.prompts.enabled:
            if prompts is None:
                raise SimcropError("bad-setting", "align.prompts needs sentences that ask for labels")
            terms["prompts"] = PromptTerm(self.prompts, prompts)
        if self.level.enabled:
            if patch_mm is None:
                raise SimcropError("bad-setting", "align.level needs to know how high a patch is")
            terms["level"] = Level(self.level, grid, patch_mm[2])
        return OwnImageTerms(terms)


class AlignProjection(ProjectionHead):
    """Brings patches and sentences into one space: projection, centring, L2."""

    center: Tensor

    def __init__(self, settings: AlignSettings, vision_width: int, text_width: int) -> None:
        super().__init__()
        self.l2 = settings.l2
        self.vision_proj: nn.Module = nn.Identity()
        if settings.vision_proj == "linear":
            self.vision_proj = identity_linear(vision_width, text_width)
        elif vision_width != text_width:
            raise SimcropError(
                "bad-setting",
                "align.vision_proj = none needs equal widths, "
                f"but vision.dim is {vision_width} and the text's {text_width}",
            )
        self.register_buffer("center", torch.zeros(text_width))

    def patches(self, features: Float[Tensor, "b v d"]) -> Float[Tensor, "b v e"]:
        projected = self.vision_proj(features).float()
        return normalize(projected, dim=-1) if self.l2 else projected

    def sentences(self, features: Float[Tensor, "s e"]) -> Float[Tensor, "s e"]:
        centred = features.float() - self.center
        return normalize(centred, dim=-1) if self.l2 else centred

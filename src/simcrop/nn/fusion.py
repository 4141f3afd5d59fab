"""What the image tells each word: one pooled vector for the whole report, and attention from word to patch.

Axes: b batch, t word piece, v visible patch, h head, d features.
"""

from einops import rearrange
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from simcrop.errors import SimcropError
from simcrop.nn.attention import attend
from simcrop.nn.encoder import VisionFeatures
from simcrop.nn.transformer import check_heads, identity_linear, init_linear
from simcrop.settings import Settings


class FusionSettings(Settings):
    """Cross-granularity fusion (section 2.3). `use_il` and `use_wl` are columns of Table 3.

    `text_residual` adds the text features themselves; Eq. 5 shows no such sum (`false` is literal), yet the row of
    Table 3 without word-patch features needs text from somewhere.
    """

    heads: int = Field(default=12, ge=1)
    text_residual: bool = True
    use_il: bool = True
    use_wl: bool = True

    @model_validator(mode="after")
    def something_to_decode(self) -> "FusionSettings":
        if not (self.use_il or self.use_wl or self.text_residual):
            raise SimcropError(
                "bad-setting",
                "fusion.use_il, use_wl and text_residual are all false: nothing is left to decode",
            )
        return self


class CrossAttention(nn.Module):
    """f^W of Eq. 5: words ask, visible patches answer. W_q, W_k, W_v and nothing else."""

    def __init__(self, text_width: int, vision_width: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(text_width, width)
        self.key_value = nn.Linear(vision_width, 2 * width)

    def forward(
        self, text: Float[Tensor, "b t e"], patches: Float[Tensor, "b v d"]
    ) -> Float[Tensor, "b t w"]:
        q = rearrange(self.query(text), "b t (h d) -> b h t d", h=self.heads)
        k, v = rearrange(self.key_value(patches), "b v (two h d) -> two b h v d", two=2, h=self.heads)
        return rearrange(attend(q, k, v), "b h t d -> b t (h d)")


class Fusion(nn.Module):
    """f^I + f^W: what goes into the report decoder, `width` features for every word piece."""

    def __init__(self, settings: FusionSettings, text_width: int, vision_width: int, width: int) -> None:
        super().__init__()
        check_heads("fusion", width, settings.heads)
        same_text, same_vision = text_width == width, vision_width == width
        self.words = (
            CrossAttention(text_width, vision_width, width, settings.heads) if settings.use_wl else None
        )
        self.instance: nn.Module | None = None
        if settings.use_il:
            self.instance = nn.Identity() if same_vision else identity_linear(vision_width, width)
        self.residual: nn.Module | None = None
        if settings.text_residual:
            self.residual = nn.Identity() if same_text else identity_linear(text_width, width)
        if self.words is not None:
            self.words.apply(init_linear)

    def forward(self, text: Float[Tensor, "b t e"], vision: VisionFeatures) -> Float[Tensor, "b t w"]:
        parts: list[Tensor] = []
        if self.instance is not None:
            parts.append(self.instance(vision.pooled)[:, None].expand(-1, text.shape[1], -1))
        if self.words is not None:
            parts.append(self.words(text, vision.patches))
        if self.residual is not None:
            parts.append(self.residual(text))
        return sum(parts[1:], parts[0])

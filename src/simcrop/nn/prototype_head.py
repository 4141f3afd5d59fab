"""How well features go with each of many learned directions: the projection head of DINO.

Axes: b study, d features, h bottleneck, k direction (a prototype).
"""

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from simcrop.settings import Settings


class PrototypeSettings(Settings):
    """DINO's sizes for ImageNet. `outputs`: how many directions; `frozen_epochs`: so long they stay as they are drawn,
    which keeps the first answers from running away.
    """

    hidden: int = Field(default=2048, ge=1)
    bottleneck: int = Field(default=256, ge=1)
    outputs: int = Field(default=65536, ge=2)
    frozen_epochs: float = Field(default=1, ge=0)


class PrototypeHead(nn.Module):
    """Three layers down to a bottleneck of length one, and its cosine with every direction."""

    def __init__(self, settings: PrototypeSettings, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, settings.hidden),
            nn.GELU(),
            nn.Linear(settings.hidden, settings.hidden),
            nn.GELU(),
            nn.Linear(settings.hidden, settings.bottleneck),
        )
        self.prototypes = nn.Linear(settings.bottleneck, settings.outputs, bias=False)
        self.apply(init_small)

    def forward(self, features: Float[Tensor, "b d"], frozen: bool = False) -> Float[Tensor, "b k"]:
        """`frozen`: the directions get no gradient."""
        weight = self.prototypes.weight.detach() if frozen else self.prototypes.weight
        # Weights of length one: a direction may turn, and no answer can be made louder than another.
        return linear(normalize(self.mlp(features), dim=-1), normalize(weight, dim=-1))


def init_small(module: nn.Module) -> None:
    """As DINO starts its head."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

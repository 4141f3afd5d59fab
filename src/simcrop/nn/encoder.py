"""The image side of every method, whatever stands there: a volume in, features of its patches out.

Axes: b batch, n all patches, v visible patches, x y z voxels (right, front, up), d features.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import reduce
from jaxtyping import Float, Int
from torch import Tensor, nn

from simcrop.nn.masking import Mask
from simcrop.nn.patch import PatchGrid


@dataclass(frozen=True)
class VisionFeatures:
    """What an encoder made of a volume. `patches`: after its last layer and norm; `taps`: after the layers that were
    asked for, in their order, before that norm; `cls` of encoders that have such a token.
    """

    cls: Float[Tensor, "b d"] | None
    patches: Float[Tensor, "b v d"]
    taps: tuple[Float[Tensor, "b v d"], ...] = ()

    @property
    def pooled(self) -> Float[Tensor, "b d"]:
        """f^I = GAP(f_v): the mean of the patch features, without CLS."""
        return reduce(self.patches, "b v d -> b d", "mean")

    def some(self, rows: Int[Tensor, " r"]) -> "VisionFeatures":
        """Those of some volumes of the batch, without taps."""
        return VisionFeatures(None if self.cls is None else self.cls[rows], self.patches[rows])


class VisionEncoder(nn.Module):
    """What methods, models and tasks may ask of an encoder. `grid`: where its features lie in the volume; `width`: how
    many features each patch has; `layers`: how many depths can be tapped.
    """

    grid: PatchGrid
    width: int
    layers: int

    @abstractmethod
    def tokens(
        self,
        volume: Float[Tensor, "b 1 x y z"],
        mask: Mask | None = None,
        skip_attention: bool = False,
        taps: Sequence[int] = (),
    ) -> VisionFeatures:
        """Features of the visible patches of a volume in [-1, 1]; of all of them without a `mask`.

        `skip_attention`: a feature tells of its own patch and place only. `taps`: layers, counted from 1, whose output
        is wanted, too. An encoder that cannot mask or skip refuses with SimcropError.
        """

    def forward(
        self,
        volume: Float[Tensor, "b 1 x y z"],
        mask: Mask | None = None,
        skip_attention: bool = False,
        taps: Sequence[int] = (),
        patches: Float[Tensor, "b n p"] | None = None,
    ) -> VisionFeatures:
        """`patches`: the volume as its `grid` splits it, from whoever has it already."""
        del patches
        return self.tokens(volume, mask, skip_attention, taps)

    def depth_of(self, name: str) -> int | None:
        """Layer that one of its parameters belongs to: 0 for what comes before the first; None for no depth."""
        del name
        return None

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

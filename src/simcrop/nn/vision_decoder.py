"""The decoder of masked volumes: visible features and mask tokens in, voxels out.

Axes: b batch, n all patches, v visible patches, m patches that are reconstructed, p voxels of a patch, d features.
"""

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from simcrop.nn.encoder import VisionFeatures
from simcrop.nn.masking import Mask
from simcrop.nn.patch import PatchGrid
from simcrop.nn.position import sincos_3d
from simcrop.nn.transformer import Transformer, check_heads, init_linear
from simcrop.settings import Settings


class VisionDecoderSettings(Settings):
    """The decoder of Eq. 1. The paper: 4 layers of ViT-B."""

    depth: int = Field(default=4, ge=1)
    dim: int = Field(default=768, ge=6)
    heads: int = Field(default=12, ge=1)
    mlp_ratio: float = Field(default=4.0, gt=0)

    @model_validator(mode="after")
    def heads_share_features(self) -> "VisionDecoderSettings":
        """Here, so that a bad recipe dies before a run folder is made."""
        check_heads("vision_decoder", self.dim, self.heads)
        return self


class VisionDecoder(nn.Module):
    """D_v of the paper. It reconstructs every patch, or the masked ones only. `voxels`: of a patch of the target, where
    that has more of them than the input.
    """

    position: Tensor

    def __init__(
        self, settings: VisionDecoderSettings, vision_width: int, grid: PatchGrid, voxels: int | None = None
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(vision_width, settings.dim)
        self.mask_token = nn.Parameter(torch.randn(settings.dim) * 0.02)
        self.register_buffer("position", sincos_3d(grid.shape, settings.dim), persistent=False)
        self.transformer = Transformer(settings.dim, settings.depth, settings.heads, settings.mlp_ratio)
        self.voxels = nn.Linear(settings.dim, grid.voxels if voxels is None else voxels)
        init_linear(self.embed)
        init_linear(self.voxels)

    def forward(
        self, features: VisionFeatures, mask: Mask, masked_only: bool = False
    ) -> Float[Tensor, "b m p"]:
        tokens = mask.restore(self.embed(features.patches), self.mask_token) + self.position
        if features.cls is not None:
            tokens = torch.cat([self.embed(features.cls)[:, None], tokens], dim=1)
        decoded = self.transformer(tokens)[:, -mask.masked.shape[1] :]
        return self.voxels(mask.take_masked(decoded) if masked_only else decoded)

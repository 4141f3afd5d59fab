"""The 3D ViT: an encoder that sees the visible patches only, and a vision_decoder that guesses the hidden ones.

Axes: b batch, n all patches, v visible patches, p voxels of a patch, d features.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from einops import reduce, repeat
from jaxtyping import Float
from pydantic import Field, field_validator
from torch import Tensor, nn

from simcrop.nn.masking import Mask
from simcrop.nn.patch import PatchGrid
from simcrop.nn.position import sincos_3d, sincos_hw
from simcrop.nn.transformer import Transformer, check_heads, init_linear
from simcrop.settings import Settings


class VisionSettings(Settings):
    """The encoder. The paper: 8 layers of ViT-B; the authors' released downstream code: 12.

    `atlas`: our extension: each voxel is seen as its distance from the training cohort's mean at that place, in
    standard deviations. It needs scans that lie alike, such as phantoms or registered ones; elsewhere it means little.
    `windows`: our extension: each voxel is seen once per window, from -1 at its low end to 1 at its high end, so that
    "how much of this patch is fluid" is a sum. On the [-1, 1] scale of the input; none: the input as it is.
    """

    depth: int = Field(default=8, ge=1)
    dim: int = Field(default=768, ge=6)
    heads: int = Field(default=12, ge=1)
    mlp_ratio: float = Field(default=4.0, gt=0)
    cls_token: bool = True
    pos_embed: Literal["sincos3d", "sincos_hw", "learned"] = "sincos3d"
    atlas: bool = False
    windows: tuple[tuple[float, float], ...] = ()

    @field_validator("windows")
    @classmethod
    def have_width(cls, windows: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        for low, high in windows:
            if not low < high:
                raise ValueError(f"a window must end above its start, got {low} to {high}")
        return windows


class VisionDecoderSettings(Settings):
    """The decoder of Eq. 1. The paper: 4 layers of ViT-B."""

    depth: int = Field(default=4, ge=1)
    dim: int = Field(default=768, ge=6)
    heads: int = Field(default=12, ge=1)
    mlp_ratio: float = Field(default=4.0, gt=0)


MIN_STD = 0.05  # 50 HU: where the cohort varies less than noise does, noise must not be blown up
CLIP_SIGMA = 5.0  # standard deviations


@dataclass(frozen=True)
class VisionFeatures:
    """What the encoder made of a volume, after its final norm."""

    cls: Float[Tensor, "b d"] | None
    patches: Float[Tensor, "b v d"]

    @property
    def pooled(self) -> Float[Tensor, "b d"]:
        """f^I = GAP(f_v): the mean of the patch features, without CLS."""
        return reduce(self.patches, "b v d -> b d", "mean")


class Atlas(nn.Module):
    """What is usual at each place of the input: `mean` and `spread` `(n, p)`, learned from a cohort before training."""

    mean: Tensor
    spread: Tensor

    def __init__(self, grid: PatchGrid) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(grid.count, grid.voxels))
        self.register_buffer("spread", torch.ones(grid.count, grid.voxels))

    def learn(self, mean: Float[Tensor, "n p"], deviation: Float[Tensor, "n p"]) -> None:
        """Take the mean and the standard deviation of a cohort's patches, on the [-1, 1] scale of the input."""
        self.mean.copy_(mean)
        self.spread.copy_(deviation + MIN_STD)

    def forward(self, patches: Float[Tensor, "b n p"]) -> Float[Tensor, "b n p"]:
        return ((patches - self.mean) / self.spread).clamp(-CLIP_SIGMA, CLIP_SIGMA)


class VisionEncoder(nn.Module):
    """E_v of the paper: `b v d` features of the visible patches."""

    position: Tensor

    def __init__(self, settings: VisionSettings, grid: PatchGrid) -> None:
        super().__init__()
        check_heads("vision", settings.dim, settings.heads)
        self.grid = grid
        self.atlas = Atlas(grid) if settings.atlas else None
        self.windows = settings.windows
        self.patch_embed = nn.Linear(grid.voxels * max(1, len(settings.windows)), settings.dim)
        init_linear(self.patch_embed)
        code = (sincos_hw if settings.pos_embed == "sincos_hw" else sincos_3d)(grid.shape, settings.dim)
        if settings.pos_embed == "learned":
            self.position = nn.Parameter(code)
        else:
            self.register_buffer("position", code, persistent=False)
        self.cls_token = nn.Parameter(torch.randn(settings.dim) * 0.02) if settings.cls_token else None
        self.transformer = Transformer(settings.dim, settings.depth, settings.heads, settings.mlp_ratio)

    def forward(
        self, patches: Float[Tensor, "b n p"], mask: Mask | None = None, alone: bool = False
    ) -> VisionFeatures:
        """`alone`: attention is left out, so that a feature tells of its own patch and its place only."""
        if self.atlas is not None:
            patches = self.atlas(patches)
        # Keep first, embed afterwards: three quarters of the patches are never multiplied.
        position = repeat(self.position, "n d -> b n d", b=patches.shape[0])
        if mask is not None:
            patches, position = mask.take_visible(patches), mask.take_visible(position)
        tokens = self.embed(patches) + position
        if self.cls_token is None:
            return VisionFeatures(None, self.transformer(tokens, alone))
        cls = repeat(self.cls_token, "d -> b 1 d", b=patches.shape[0])
        features = self.transformer(torch.cat([cls.to(tokens.dtype), tokens], dim=1), alone)
        return VisionFeatures(features[:, 0], features[:, 1:])

    def embed(self, patches: Float[Tensor, "b v p"]) -> Float[Tensor, "b v d"]:
        """Patches as tokens, before anything tells where they lie."""
        if self.windows:
            seen = [((patches - low) / (high - low)).clamp(0, 1) * 2 - 1 for low, high in self.windows]
            patches = torch.cat(seen, dim=-1)
        return self.patch_embed(patches)


class VisionDecoder(nn.Module):
    """D_v of the paper: visible features and mask tokens in, voxels out: of every patch, or of the hidden ones only."""

    position: Tensor

    def __init__(self, settings: VisionDecoderSettings, vision: VisionSettings, grid: PatchGrid) -> None:
        super().__init__()
        check_heads("vision_decoder", settings.dim, settings.heads)
        self.embed = nn.Linear(vision.dim, settings.dim)
        self.mask_token = nn.Parameter(torch.randn(settings.dim) * 0.02)
        self.register_buffer("position", sincos_3d(grid.shape, settings.dim), persistent=False)
        self.transformer = Transformer(settings.dim, settings.depth, settings.heads, settings.mlp_ratio)
        self.voxels = nn.Linear(settings.dim, grid.voxels)
        init_linear(self.embed)
        init_linear(self.voxels)

    def forward(
        self, features: VisionFeatures, mask: Mask, masked_only: bool = False
    ) -> Float[Tensor, "b m p"]:
        tokens = mask.restore(self.embed(features.patches), self.mask_token) + self.position
        if features.cls is not None:
            tokens = torch.cat([self.embed(features.cls)[:, None], tokens], dim=1)
        painted = self.transformer(tokens)[:, -mask.masked.shape[1] :]
        return self.voxels(mask.take_masked(painted) if masked_only else painted)

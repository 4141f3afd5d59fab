"""The 3D ViT: an encoder that sees the visible patches only.

Axes: b batch, n all patches, v visible patches, p voxels of a patch, x y z voxels, d features.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from einops import repeat
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt, field_validator, model_validator
from torch import Tensor, nn

from simcrop.errors import SimcropError
from simcrop.files.tensors import load_state
from simcrop.nn.conv_stem import ConvStem
from simcrop.nn.encoder import VisionEncoder, VisionFeatures
from simcrop.nn.masking import Mask
from simcrop.nn.patch import PatchGrid
from simcrop.nn.position import interpolate_positions, sincos_3d, sincos_hw
from simcrop.nn.stem import StatisticsStem
from simcrop.nn.transformer import NORM_EPS, Transformer, check_heads, init_linear
from simcrop.settings import Settings

MIN_STD = 0.05  # 50 HU: where the cohort varies less than noise does, noise must not be blown up
CLIP_SIGMA = 5.0  # standard deviations


class VisionSettings(Settings):
    """The encoder. The paper: 8 layers of ViT-B; the authors' released downstream code: 12.

    `atlas`: our extension: each voxel is seen as its distance from the training cohort's mean at that place, in
    standard deviations. It needs scans that lie alike, such as phantoms or registered ones; elsewhere it means little.
    `stem`: what makes a token of a patch; several add up. `linear` is the paper's, one linear map of its voxels;
    `statistics` (`nn/stem.py`) and `conv` (`nn/conv_stem.py`) our extensions, beside which the linear map starts at
    zero. `cells`: boxes along each axis of a patch, of which statistics are taken.
    `windows`: our extension: each voxel is seen once per window, from -1 at its low end to 1 at its high end, so that
    "how much of this patch is fluid" is a sum. On the [-1, 1] scale of the input; none: the input as it is.
    `norm_eps`: of the LayerNorms; imported encoders bring theirs.
    """

    depth: int = Field(default=8, ge=1)
    dim: int = Field(default=768, ge=6)
    heads: int = Field(default=12, ge=1)
    mlp_ratio: float = Field(default=4.0, gt=0)
    cls_token: bool = True
    pos_embed: Literal["sincos3d", "sincos_hw", "learned"] = "sincos3d"
    atlas: bool = False
    stem: tuple[Literal["linear", "statistics", "conv"], ...] = ("linear",)
    cells: tuple[PositiveInt, PositiveInt, PositiveInt] = (1, 1, 1)
    windows: tuple[tuple[float, float], ...] = ()
    norm_eps: float = Field(default=NORM_EPS, gt=0)

    @field_validator("windows")
    @classmethod
    def have_width(cls, windows: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        for low, high in windows:
            if not low < high:
                raise ValueError(f"a window must end above its start, got {low} to {high}")
        return windows

    @field_validator("stem")
    @classmethod
    def are_some(cls, stem: tuple[str, ...]) -> tuple[str, ...]:
        if not stem or len(set(stem)) < len(stem):
            raise ValueError("name at least one stem, and none twice")
        return stem

    @model_validator(mode="after")
    def sees_voxels_or_distances(self) -> "VisionSettings":
        """What is usual is learned from the voxels, and would not fit an atlas' distances."""
        if self.atlas and "statistics" in self.stem:
            raise ValueError("stem statistics and atlas exclude one another")
        return self

    @model_validator(mode="after")
    def heads_share_features(self) -> "VisionSettings":
        """Here, so that a bad recipe dies before a run folder is made."""
        check_heads("vision", self.dim, self.heads)
        return self

    def build(self, grid: PatchGrid) -> "ViT":
        """The encoder that these settings describe, with random weights."""
        return ViT(self, grid)


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


def linear_stem(settings: VisionSettings, grid: PatchGrid) -> nn.Linear:
    """One linear map of a patch's voxels, in each window. Beside another stem it starts at zero: at random it would be
    noise as loud as what that stem says.
    """
    stem = nn.Linear(grid.voxels * max(1, len(settings.windows)), settings.dim)
    init_linear(stem)
    if len(settings.stem) > 1:
        nn.init.zeros_(stem.weight)
    return stem


class ViT(VisionEncoder):
    """E_v of the paper: `b v d` features of the visible patches."""

    position: Tensor

    def __init__(self, settings: VisionSettings, grid: PatchGrid) -> None:
        super().__init__()
        self.settings, self.grid, self.width, self.layers = settings, grid, settings.dim, settings.depth
        self.atlas = Atlas(grid) if settings.atlas else None
        self.windows = settings.windows
        self.patch_embed = linear_stem(settings, grid) if "linear" in settings.stem else None
        self.statistics = None
        if "statistics" in settings.stem:
            self.statistics = StatisticsStem(grid, settings.dim, settings.cells)
        self.conv = None
        if "conv" in settings.stem:
            self.conv = ConvStem(grid.patch, max(1, len(settings.windows)), settings.dim)
        code = (sincos_hw if settings.pos_embed == "sincos_hw" else sincos_3d)(grid.shape, settings.dim)
        if settings.pos_embed == "learned":
            self.position = nn.Parameter(code)
        else:
            self.register_buffer("position", code, persistent=False)
        self.cls_token = nn.Parameter(torch.randn(settings.dim) * 0.02) if settings.cls_token else None
        self.transformer = Transformer(
            settings.dim, settings.depth, settings.heads, settings.mlp_ratio, settings.norm_eps
        )

    def tokens(
        self,
        volume: Float[Tensor, "b 1 x y z"],
        mask: Mask | None = None,
        skip_attention: bool = False,
        taps: Sequence[int] = (),
    ) -> VisionFeatures:
        return self.encode(self.grid.split(volume), mask, skip_attention, taps)

    def forward(
        self,
        volume: Float[Tensor, "b 1 x y z"],
        mask: Mask | None = None,
        skip_attention: bool = False,
        taps: Sequence[int] = (),
        patches: Float[Tensor, "b n p"] | None = None,
    ) -> VisionFeatures:
        return self.encode(
            self.grid.split(volume) if patches is None else patches, mask, skip_attention, taps
        )

    def encode(
        self,
        patches: Float[Tensor, "b n p"],
        mask: Mask | None = None,
        skip_attention: bool = False,
        taps: Sequence[int] = (),
    ) -> VisionFeatures:
        """The same for a volume that is split into patches already."""
        if self.atlas is not None:
            patches = self.atlas(patches)
        # Keep first, embed afterwards: three quarters of the patches are never multiplied.
        position = repeat(self.position, "n d -> b n d", b=patches.shape[0])
        if mask is not None:
            patches, position = mask.take_visible(patches), mask.take_visible(position)
        tokens = self.embed(patches, None if mask is None else mask.keep) + position
        first = 0 if self.cls_token is None else 1
        if self.cls_token is not None:
            cls = repeat(self.cls_token, "d -> b 1 d", b=patches.shape[0])
            tokens = torch.cat([cls.to(tokens.dtype), tokens], dim=1)
        out = self.transformer.depths(tokens, skip_attention, taps)
        return VisionFeatures(
            out.last[:, 0] if first else None, out.last[:, first:], tuple(tap[:, first:] for tap in out.taps)
        )

    def embed(
        self, patches: Float[Tensor, "b v p"], keep: Int[Tensor, "b v"] | None = None
    ) -> Float[Tensor, "b v d"]:
        """Patches as tokens, before their positions are added. `keep`: where they come from, if not all are there."""
        parts = []
        if self.statistics is not None:
            parts.append(self.statistics(patches, keep))
        if self.patch_embed is not None or self.conv is not None:
            seen = [
                (patches - low).div_(high - low).clamp_(0, 1).mul_(2).sub_(1) for low, high in self.windows
            ]
            windowed = torch.stack(seen or [patches], dim=2)
            if self.conv is not None:
                parts.append(self.conv(windowed))
            if self.patch_embed is not None:
                parts.append(self.patch_embed(windowed.flatten(2)))
        return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]

    def depth_of(self, name: str) -> int | None:
        """From 0 for embedding, CLS and positions; the final norm belongs to no layer."""
        parts = name.split(".")
        if "blocks" in parts:
            return int(parts[parts.index("blocks") + 1]) + 1
        return None if "norm" in parts else 0

    @torch.no_grad()
    def on_grid(self, grid: PatchGrid) -> "ViT":
        """The same weights for volumes of another size, patches of the same size: learned positions are interpolated,
        sines are made anew. An atlas, and what is usual at each place, are of one grid and go nowhere else.
        """
        bound = (
            ", with an atlas," if self.atlas else ", with a stem of statistics," if self.statistics else ""
        )
        if grid.patch != self.grid.patch or bound:
            raise SimcropError(
                "weights-mismatch",
                f"an encoder for patches of {self.grid.patch} voxels{bound} cannot "
                f"read {grid.volume} voxels in patches of {grid.patch}",
            )
        there = ViT(self.settings, grid)
        state = self.state_dict()
        if "position" in state:
            state["position"] = interpolate_positions(self.position, self.grid.shape, grid.shape)
        load_state(there, state)
        return there.train(self.training)

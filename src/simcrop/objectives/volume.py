"""Mask patches and reconstruct them: Eq. 1, which several methods share.

Axes: b study, n all patches, v visible patches, p voxel of a patch.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from simcrop import losses
from simcrop.nn.encoder import VisionFeatures
from simcrop.nn.masking import Mask
from simcrop.nn.patch import in_body
from simcrop.nn.vision_decoder import VisionDecoder
from simcrop.settings import Settings

RECONSTRUCTION = "masked patches reconstructed (Eq. 1)"


class MimSettings(Settings):
    """Masked volume (Eq. 1); `weight` is its factor in the sum, 1 in the paper; at 0 nothing is reconstructed.
    `visible = body` spends visible tokens on air only when nothing else is left.
    """

    weight: float = Field(default=1.0, ge=0)
    mask_ratio: float = Field(default=0.75, gt=0, lt=1)
    loss_on: Literal["masked", "all"] = "masked"
    norm_pix: bool = False
    visible: Literal["any", "body"] = "any"


def preferred_patches(patches: Float[Tensor, "b n p"], mim: MimSettings) -> Bool[Tensor, "b n"] | None:
    """Patches that stay visible before any other; None when all are equal."""
    return in_body(patches) if mim.visible == "body" else None


def volume_loss(
    vision_decoder: VisionDecoder,
    mim: MimSettings,
    patches: Float[Tensor, "b n p"],
    features: VisionFeatures,
    mask: Mask,
) -> Float[Tensor, ""]:
    """Eq. 1. Visible patches that do not count are not decoded at all."""
    masked_only = mim.loss_on == "masked"
    target = mask.take_masked(patches) if masked_only else patches
    target = losses.normalized_patches(target) if mim.norm_pix else target
    reconstruction = vision_decoder(features, mask, masked_only).float()
    return losses.masked_patch_mse(
        reconstruction, target, target.new_ones(target.shape[:2], dtype=torch.bool)
    )

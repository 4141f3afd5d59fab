"""What a hidden patch costs that is painted again (Eq. 1).

Axes: b image, n patch, p voxel of a patch.
"""

from jaxtyping import Bool, Float
from torch import Tensor


def masked_patch_mse(
    reconstruction: Float[Tensor, "b n p"], target: Float[Tensor, "b n p"], masked: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Mean squared error over the voxels of masked patches; visible ones do not count (Eq. 1)."""
    error = (reconstruction - target).square().mean(-1)
    return (error * masked).sum() / masked.sum().clamp(min=1)


def normalized_patches(patches: Float[Tensor, "b n p"]) -> Float[Tensor, "b n p"]:
    """Each patch with zero mean and unit variance: the target when `mim.norm_pix` is on (MAE)."""
    mean, variance = patches.mean(-1, keepdim=True), patches.var(-1, keepdim=True)
    return (patches - mean) / (variance + 1e-6).sqrt()

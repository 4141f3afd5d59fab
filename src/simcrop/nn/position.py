"""Where a patch lies, written as sines and cosines of its three grid coordinates.

Axes: n patch (x slowest, z fastest), d features.
"""

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

Triple = tuple[int, int, int]


def sincos_1d(length: int, width: int) -> Float[Tensor, "length width"]:
    """Sines, then cosines, of `width // 2` frequencies between 1 and 1/10000; `width` must be even."""
    frequency = 10000.0 ** -(torch.arange(width // 2, dtype=torch.float64) / max(width // 2, 1))
    angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()


def sincos_3d(shape: Triple, width: int) -> Float[Tensor, "n width"]:
    """Code of every patch of a grid `(x, y, z)` of any sizes: a third of the features for each axis.

    A width that six does not divide leaves its last features zero. All three axes are encoded: in the authors' released
    encoder the third was not, so that patches above one another shared one code (method of ref. 34).
    """
    third = width // 6 * 2
    x, y, z = (sincos_1d(n, third) for n in shape)
    code = torch.cat(
        [
            repeat(x, "x d -> x y z d", y=shape[1], z=shape[2]),
            repeat(y, "y d -> x y z d", x=shape[0], z=shape[2]),
            repeat(z, "z d -> x y z d", x=shape[0], y=shape[1]),
        ],
        dim=-1,
    )
    code = torch.nn.functional.pad(code, (0, width - 3 * third))
    return rearrange(code, "x y z d -> (x y z) d")


def sincos_hw(shape: Triple, width: int) -> Float[Tensor, "n width"]:
    """The code of the authors' released encoder: sin(x) on even and cos(y) on odd features, z not encoded.

    Only for loading released weights; `sincos_3d` is what the paper describes.
    """
    half = width // 2
    frequency = 10000.0 ** -(torch.arange(half, dtype=torch.float64) / half)
    x = (torch.arange(shape[0], dtype=torch.float64)[:, None] * frequency).sin()
    y = (torch.arange(shape[1], dtype=torch.float64)[:, None] * frequency).cos()
    code = torch.zeros(*shape, width, dtype=torch.float64)
    code[..., 0 : 2 * half : 2] = x[:, None, None]
    code[..., 1 : 2 * half : 2] = y[None, :, None]
    return rearrange(code, "x y z d -> (x y z) d").float()


def interpolate_positions(code: Float[Tensor, "n d"], shape: Triple, other: Triple) -> Float[Tensor, "m d"]:
    """Learned codes of a grid of `shape`, brought to a grid of `other` shape over the same extent: trilinear, patch
    centres against patch centres, as ViTs are brought to another resolution.
    """
    if shape == other:
        return code.clone()
    grid = rearrange(code, "(x y z) d -> 1 d x y z", x=shape[0], y=shape[1], z=shape[2])
    spread = torch.nn.functional.interpolate(grid, other, mode="trilinear", align_corners=False)
    return rearrange(spread, "1 d x y z -> (x y z) d")

"""What a segmentation costs: Dice and cross-entropy.

Axes: b image, c class, x y z voxels.
"""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

DICE_FLOOR = 1e-6  # voxels: a class that is neither there nor thought to be is divided by this


class DiceCE(NamedTuple):
    """Two terms of a segmentation's loss, each without a weight."""

    dice: Tensor
    cross_entropy: Tensor


def dice_ce(
    logits: Float[Tensor, "b c x y z"], target: Int[Tensor, "b x y z"], squared: bool = True
) -> DiceCE:
    """1 - Dice of the class probabilities, each class in each image by itself and then the mean over both, and the mean
    cross-entropy of all voxels.

    A class that an image does not have costs 1 there, whatever is said of it. `squared`: in the denominator stand the
    squares of the probabilities.
    """
    log_chance = rearrange(logits, "b c x y z -> b c (x y z)").float().log_softmax(1)
    chance, index = log_chance.exp(), rearrange(target, "b x y z -> b (x y z)")
    # One softmax for both terms, and of each voxel only its own class is looked up: no volume of ones for each class.
    own = log_chance.gather(1, index[:, None])[:, 0]
    none = chance.new_zeros(chance.shape[:2])
    overlap = none.scatter_add(1, index, own.exp())
    have = none.scatter_add(1, index, torch.ones_like(own))
    said = (chance.square() if squared else chance).sum(2)
    return DiceCE((1 - 2 * overlap / (said + have + DICE_FLOOR)).mean(), -own.mean())

"""Every loss as a pure function of tensors, one file each; weights, gathering and logging live elsewhere.

Axes: b image or report, n patch, p voxel of a patch, s sentence (of all reports of a batch, flat), d features,
m masked word, w word of the vocabulary; of label volumes c class, x y z voxels.
"""

from simcrop.losses.compared import Compared
from simcrop.losses.cross_image import cross_image_nce, cross_image_sigmoid, says_same
from simcrop.losses.dice_ce import DiceCE, dice_ce
from simcrop.losses.info_nce import info_nce, paired_nce
from simcrop.losses.masked_patch import masked_patch_mse, normalized_patches
from simcrop.losses.masked_word import masked_word_loss
from simcrop.losses.nearest import nearest_patches, nearest_patches_of, region_scores
from simcrop.losses.organ_nce import organ_nce
from simcrop.losses.products import own_products, products

__all__ = [
    "Compared",
    "DiceCE",
    "cross_image_nce",
    "cross_image_sigmoid",
    "dice_ce",
    "info_nce",
    "masked_patch_mse",
    "masked_word_loss",
    "nearest_patches",
    "nearest_patches_of",
    "normalized_patches",
    "organ_nce",
    "own_products",
    "paired_nce",
    "products",
    "region_scores",
    "says_same",
]

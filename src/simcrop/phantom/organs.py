"""Masks of a phantom's organs and lungs, made from the very bodies that are painted.

Masks are uint8 `(z, y, x)`: a voxel belongs to what lies at its centre. Findings change no organ and no lung.
"""

import numpy as np

from simcrop.phantom.anatomy.body import Anatomy
from simcrop.phantom.anatomy.layers import Painting
from simcrop.phantom.grid import Frame, Grid, Pose
from simcrop.phantom.render import portrait

ORGANS: dict[int, str] = {
    1: "spleen",
    2: "right kidney",
    3: "left kidney",
    4: "gallbladder",
    5: "esophagus",
    6: "liver",
    7: "stomach",
    8: "aorta",
    9: "inferior vena cava",
    10: "portal and splenic veins",
    11: "pancreas",
    12: "right adrenal gland",
    13: "left adrenal gland",
}
"""BTCV's values."""


def organ_labels(anatomy: Anatomy, pose: Pose, grid: Grid) -> np.ndarray:
    """Organs in BTCV's numbering, 0 elsewhere."""
    return masked(portrait(anatomy).labels("organ"), pose, grid)


def lung_labels(anatomy: Anatomy, pose: Pose, grid: Grid) -> np.ndarray:
    """The lungs with their vessels, the trachea and the main bronchi, in LUNA16's numbering; 0 elsewhere."""
    return masked(portrait(anatomy).labels("airspace"), pose, grid)


def masked(labels: Painting, pose: Pose, grid: Grid) -> np.ndarray:
    mask = np.empty(grid.shape[::-1], np.uint8)
    for slab in grid.slabs():
        frame = Frame(grid, pose, slab)
        part = np.zeros(frame.shape, np.float32)
        labels.onto(part, frame)
        mask[slab] = part
    return mask

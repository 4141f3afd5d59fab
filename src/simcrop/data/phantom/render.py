"""Paints one patient, with or without findings, as Hounsfield units on a grid.

Arrays are `(z, y, x)`, float32 while painting. Later paint covers earlier paint, so the order is from the skin
inwards; findings come last.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.data.phantom.abdomen import abdomen
from simcrop.data.phantom.anatomy import Anatomy
from simcrop.data.phantom.chest import lungs, mediastinum
from simcrop.data.phantom.findings import Finding
from simcrop.data.phantom.grid import Frame, Grid, Pose
from simcrop.data.phantom.layers import AIR, Painting
from simcrop.data.phantom.wall import wall


@dataclass(frozen=True, eq=False)
class Picture:
    """`hu` int16 without noise and `mask` uint8 (0 nothing, else a finding's mask value), both `(z, y, x)`."""

    hu: np.ndarray
    mask: np.ndarray


def render(anatomy: Anatomy, findings: tuple[Finding, ...], pose: Pose, grid: Grid) -> Picture:
    """The patient on a grid, slab by slab, so that a full-size scan needs little memory."""
    hu = np.empty(grid.shape[::-1], np.int16)
    mask = np.zeros(grid.shape[::-1], np.uint8)
    painting = portrait(anatomy)
    for slab in grid.slabs():
        frame = Frame(grid, pose, slab)
        part = np.full(frame.shape, AIR, np.float32)
        painting.onto(part, frame)
        for finding in findings:
            finding.paint(part, mask[slab], anatomy, frame)
        hu[slab] = np.rint(part, out=part)
    for finding in findings:
        if not (mask == finding.mask_value).any():  # smaller than a voxel, and between voxel centres
            mask[nearest_voxel(grid, pose.to_scanner(np.array([finding.parts[0].centre]))[0])] = (
                finding.mask_value
            )
    return Picture(hu, mask)


def portrait(anatomy: Anatomy) -> Painting:
    """Everything of a patient in health."""
    steps = (*wall(anatomy), *abdomen(anatomy), *lungs(anatomy), *mediastinum(anatomy))
    return Painting(steps, anatomy.texture_at)


def nearest_voxel(grid: Grid, mm: np.ndarray) -> tuple[int, int, int]:
    """Index `(z, y, x)` of the voxel closest to a point of the scanner."""
    ijk = np.linalg.inv(grid.affine)[:3] @ np.append(mm, 1)
    i, j, k = np.rint(ijk).astype(int).clip(0, np.array(grid.shape) - 1).tolist()
    return k, j, i

"""Paints one patient, with or without findings, as Hounsfield units on a grid.

Arrays are `(z, y, x)`, float32 while painting. Later paint covers earlier paint, so the order is from the skin
inwards; findings come last.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.phantom.anatomy.abdomen import abdomen
from simcrop.phantom.anatomy.body import Anatomy
from simcrop.phantom.anatomy.chest import lungs, mediastinum
from simcrop.phantom.anatomy.layers import AIR, Painting
from simcrop.phantom.anatomy.wall import wall
from simcrop.phantom.findings.finding import Finding
from simcrop.phantom.grid import Frame, Grid, Pose


@dataclass(frozen=True, eq=False)
class Picture:
    """`hu` int16 without noise and `mask` uint8 (0 nothing, else a finding's mask value), both `(z, y, x)`."""

    hu: np.ndarray
    mask: np.ndarray


def render(anatomy: Anatomy, findings: tuple[Finding, ...], pose: Pose, grid: Grid) -> Picture:
    """The patient on a grid, slab by slab, so that a full-size scan needs little memory."""
    hu = np.empty(grid.shape[::-1], np.int16)
    mask = np.zeros(grid.shape[::-1], np.uint8)
    painting, unseen = portrait(anatomy), list(findings)
    for slab in grid.slabs():
        frame = Frame(grid, pose, slab)
        part = np.full(frame.shape, AIR, np.float32)
        painting.onto(part, frame)
        for finding in findings:
            finding.paint(part, mask[slab], anatomy, frame)
        unseen = [finding for finding in unseen if not finding.is_marked(mask[slab], frame)]
        hu[slab] = np.rint(part, out=part)
    for finding in unseen:  # smaller than a voxel, and between voxel centres, or out of the picture
        voxel = marking_voxel(finding, pose, grid)
        if voxel is not None:
            mask[voxel] = finding.mask_value
    return Picture(hu, mask)


def portrait(anatomy: Anatomy) -> Painting:
    """Everything of a patient in health."""
    steps = (*wall(anatomy), *abdomen(anatomy), *lungs(anatomy), *mediastinum(anatomy))
    return Painting(steps, anatomy.texture_at)


def marking_voxel(finding: Finding, pose: Pose, grid: Grid) -> tuple[int, int, int] | None:
    """Where a finding is marked that no voxel is half filled by; None when no middle of a body is in the picture."""
    marked = (part for part in finding.parts if part.marks)
    voxels = (nearest_voxel(grid, pose.to_scanner(np.array([part.centre]))[0]) for part in marked)
    return next((voxel for voxel in voxels if voxel is not None), None)


def nearest_voxel(grid: Grid, mm: np.ndarray) -> tuple[int, int, int] | None:
    """Index `(z, y, x)` of the voxel in which a point of the scanner lies; None outside the grid."""
    i, j, k = np.rint(np.linalg.inv(grid.affine)[:3] @ np.append(mm, 1)).astype(int).tolist()
    inside = all(0 <= n < size for n, size in zip((i, j, k), grid.shape, strict=True))
    return (k, j, i) if inside else None

"""Paints findings into a real scan so that its own noise stays, and marks where they are.

Arrays are `(z, y, x)` float32 in HU on the scan's own grid; lengths in mm.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from simcrop.phantom.findings.finding import Finding
from simcrop.phantom.findings.parts import Part
from simcrop.phantom.findings.samples import corners, fill
from simcrop.phantom.grid import Frame, Points, Pose, Window
from simcrop.phantom.real.bodies import UNEVEN, thickness
from simcrop.phantom.real.chest import RealChest
from simcrop.phantom.render import marking_voxel

AS_IT_LIES = Pose(0.0, (0.0, 0.0, 0.0))
GRAIN_VOXELS = 1.5  # what is coarser within a slice is anatomy, not noise
MOST_GRAIN = 2.5  # standard deviations: beyond it is a vessel
LUNG_HU = 200.0  # how far from the usual voxel of a lung there is nothing but lung
TISSUE_HU = (0.0, 120.0)
SOFT_MM = {"Consolidation": 1.2, "Lung opacity": 3.5, "Emphysema": 1.2}
FAINTEST = np.float32(0.02)  # share of a voxel that nobody would see
SOFTEST_MM = 0.5  # no border in a scan is sharper


@dataclass(frozen=True, eq=False)
class Canvas:
    """A scan while it is painted: `hu` float32 and `mask` uint8 `(z, y, x)`, noise of tissue in HU."""

    hu: np.ndarray
    mask: np.ndarray
    frame: Frame
    chest: RealChest
    noise_hu: float


def insert(hu: np.ndarray, findings: tuple[Finding, ...], chest: RealChest) -> np.ndarray:
    """Paint findings into `hu`, in place; their uint8 mask. What they do not cover keeps every bit."""
    mask = np.zeros(hu.shape, np.uint8)
    frame = Frame(chest.grid, AS_IT_LIES, slice(0, len(hu)))
    canvas = Canvas(hu, mask, frame, chest, noise_of(hu))
    for finding in findings:
        for part in finding.parts:
            paint_part(canvas, finding, part)
        if (mask == finding.mask_value).any():
            continue
        voxel = marking_voxel(finding, AS_IT_LIES, chest.grid)
        if voxel is not None:  # smaller than a voxel, and between voxel centres
            mask[voxel] = finding.mask_value
    return mask


def paint_part(canvas: Canvas, finding: Finding, part: Part) -> None:
    soft_mm = SOFT_MM.get(finding.kind, SOFTEST_MM)
    window = canvas.frame.window(corners(part), 2 * soft_mm)
    if window is None:
        return
    shade, share = fill(part, canvas.chest, canvas.frame, window)
    inside = in_lungs(canvas, window)
    if part.marks:
        canvas.mask[window][(share >= 0.5) & inside] = finding.mask_value
    if part.hu is not None:
        hu = canvas.hu[window]
        cover = np.float32(finding.strength) * softened(shade, canvas, soft_mm)
        if finding.kind in UNEVEN:
            cover *= thickness(finding, canvas.frame.points[window], canvas.chest)
        painted = hu + (part.hu + grain(hu, canvas) - hu) * cover
        # The wall of the chest is no finding: beyond the lung, nothing becomes darker or changes for a dark one.
        outside = np.maximum(painted, hu) if part.hu > TISSUE_HU[0] else hu
        hu[...] = np.where(cover > 0, np.where(inside, painted, outside), hu)


def in_lungs(canvas: Canvas, window: Window) -> np.ndarray:
    points: Points = canvas.frame.points[window]
    chest = canvas.chest
    return np.minimum(chest.lung(points, "right"), chest.lung(points, "left")) <= 0


def softened(shade: np.ndarray, canvas: Canvas, soft_mm: float) -> np.ndarray:
    """Borders as wide as real ones. It ends where nobody would see it, so that the rest keeps every bit."""
    sigma = [soft_mm / mm for mm in reversed(canvas.chest.grid.spacing_mm)]
    soft = ndimage.gaussian_filter(shade, sigma, mode="nearest", truncate=2.0)
    return np.where(soft < FAINTEST, 0, soft)


def grain(hu: np.ndarray, canvas: Canvas) -> np.ndarray:
    """What is finer than anatomy where there is nothing but lung; 0 at vessels and at the wall of the chest."""
    airy = (np.abs(hu - canvas.chest.air_hu) < LUNG_HU).astype(np.float32)
    smooth = in_slices(hu * airy) / np.maximum(in_slices(airy), np.float32(1e-3))
    most = MOST_GRAIN * canvas.noise_hu
    return np.clip(hu - smooth, -most, most) * airy


def in_slices(values: np.ndarray) -> np.ndarray:
    sigma = 0, GRAIN_VOXELS, GRAIN_VOXELS
    return np.asarray(ndimage.gaussian_filter(values, sigma, mode="nearest", truncate=2.0))


def noise_of(hu: np.ndarray) -> float:
    """Standard deviation of the noise in soft tissue, from a few slices."""
    slices = hu[len(hu) // 4 : 3 * len(hu) // 4 : max(1, len(hu) // 16)]
    smooth = in_slices(slices)
    tissue = (smooth > TISSUE_HU[0]) & (smooth < TISSUE_HU[1])
    return float(1.48 * np.median(np.abs(slices - smooth)[tissue])) if tissue.any() else 0.0

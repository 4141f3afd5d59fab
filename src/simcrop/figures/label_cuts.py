"""A mask over its scan at a glance: three cuts in one small PNG, each class in its own colour.

Axes: x runs right, y front, z up (RAS+). The patient's right (or front) is on the viewer's left, as in `cuts`.
"""

import io

import numpy as np
from matplotlib import colormaps
from PIL import Image

from simcrop.data.volume import Volume
from simcrop.figures.planes import VIEWS, View, plane_of

WINDOW_HU = (-1000, 400)
HEIGHT, GAP, PAPER, OPACITY = 260, 8, (38, 40, 46), 0.55
COLOURS = "tab20"
BITS = 5  # of each colour: what is beyond is scanner noise


def draw_label_cuts(volume: Volume, labels: np.ndarray) -> bytes:
    """PNG of axial, coronal and sagittal cut where most is marked; `labels` on the volume's own grid."""
    scan = volume.to_ras()
    mask = Volume(labels, volume.affine).to_ras().hu
    centre = fullest(mask)
    scale = min(HEIGHT / (scan.shape[view.up] * scan.spacing_mm[view.up]) for view in VIEWS)
    cuts = []
    for view in VIEWS:
        mm = [scan.shape[axis] * scan.spacing_mm[axis] * scale for axis in (view.across, view.up)]
        cuts.append(painted(plane(scan.hu, view, centre), plane(mask, view, centre), mm))
    sheet = Image.new("RGB", (sum(c.width for c in cuts) + 2 * GAP, max(c.height for c in cuts)), PAPER)
    left = 0
    for cut in cuts:
        sheet.paste(cut, (left, (sheet.height - cut.height) // 2))
        left += cut.width + GAP
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()


def fullest(mask: np.ndarray) -> tuple[int, int, int]:
    """Along each axis the plane with most marked voxels; the middle where there is none."""
    x, y, z = (
        int(counts.argmax())
        if (counts := np.count_nonzero(mask, axis=others)).any()
        else mask.shape[axis] // 2
        for axis, others in enumerate(((1, 2), (0, 2), (0, 1)))
    )
    return x, y, z


def plane(grid: np.ndarray, view: View, centre: tuple[int, int, int]) -> np.ndarray:
    """`(up, across)`, turned as radiologists expect it."""
    return plane_of(grid, view, centre[view.through])[::-1, ::-1]


def painted(hu: np.ndarray, labels: np.ndarray, pixels: list[float]) -> Image.Image:
    """Grey levels under colours; labels are enlarged voxel by voxel, never mixed."""
    low, high = WINDOW_HU
    size = (max(round(pixels[0]), 1), max(round(pixels[1]), 1))
    grey = ((hu - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    picture = np.array(
        Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR).convert("RGB"), np.float32
    )
    across, up = (np.arange(n) * of // n for n, of in zip(size, labels.T.shape, strict=True))
    marked = labels[np.ix_(up, across)]
    colours = np.array([colour_of(label) for label in range(int(marked.max(initial=0)) + 1)], np.float32)
    blended = (1 - OPACITY) * picture + OPACITY * colours[marked]
    picture[marked > 0] = blended[marked > 0]
    coarse = 1 << (8 - BITS)
    return Image.fromarray((picture // coarse * coarse).astype(np.uint8))


def colour_of(label: int) -> tuple[int, int, int]:
    """Of a class; two neighbours in the list are never alike."""
    red, green, blue, _ = colormaps[COLOURS]((label - 1) * 2 % 20 + (label - 1) // 10 % 2, bytes=True)
    return int(red), int(green), int(blue)

"""A scan at a glance: its three middle cuts in one small PNG, with the box that the network will see.

Axes: x runs right, y front, z up (RAS+); lengths in mm from the grid's outer corner. The patient's right (or front)
is on the viewer's left, as in `cuts`.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from simcrop.figures.cuts import BOX
from simcrop.figures.planes import VIEWS, View, plane_of

WINDOW_HU = (-1350, 150)
WIDTH, HEIGHT, GAP, MARGIN = 780, 260, 10, 6
OUTSIDE = (38, 40, 46)  # where the box reaches beyond the scan
BITS = 5  # of grey: scanner noise in the rest would double the file


def draw_thumbnail(voxels: np.ndarray, spacing_mm: tuple[float, float, float], box_mm: np.ndarray) -> bytes:
    """PNG of axial, coronal and sagittal cut of int16 HU `(x, y, z)`; `box_mm`: low and high corner `(2, 3)`."""
    extent = np.array(voxels.shape) * spacing_mm
    low, high = np.minimum(box_mm[0], 0), np.maximum(box_mm[1], extent)
    wide = float((high - low)[[view.across for view in VIEWS]].sum())
    tall = float((high - low)[[view.up for view in VIEWS]].max())
    scale = min(
        (WIDTH - 2 * GAP - 2 * MARGIN) / wide, HEIGHT / tall
    )  # pixels per mm, the same for all three cuts
    sheet = Image.new("RGB", (WIDTH, round(tall * scale) + 2 * MARGIN), OUTSIDE)
    left = (WIDTH - wide * scale - 2 * GAP) / 2
    for view in VIEWS:
        size = (high - low)[[view.across, view.up]] * scale
        frame = Frame(view, low, high, scale, left, (sheet.height - float(size[1])) / 2)
        paste_cut(sheet, cut(voxels, view), frame, extent, box_mm)
        left += float(size[0]) + GAP
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()


@dataclass(frozen=True, eq=False)
class Frame:
    """Where one cut lies on the sheet: `low`, `high` are the corners of what is shown, in mm."""

    view: View
    low: np.ndarray
    high: np.ndarray
    scale: float  # pixels per mm
    left: float
    top: float

    def rectangle(self, low: np.ndarray, high: np.ndarray) -> tuple[int, int, int, int]:
        """Pixels of a box in mm: `across` falls from left to right, `up` from top to bottom."""
        across, up = self.view.across, self.view.up
        x = [self.left + (self.high[across] - mm) * self.scale for mm in (high[across], low[across])]
        y = [self.top + (self.high[up] - mm) * self.scale for mm in (high[up], low[up])]
        return round(x[0]), round(y[0]), round(x[1]), round(y[1])


def cut(voxels: np.ndarray, view: View) -> Image.Image:
    """The middle plane as grey levels, turned as radiologists expect it."""
    plane = plane_of(voxels, view, voxels.shape[view.through] // 2)[::-1, ::-1]
    low, high = WINDOW_HU
    grey = ((plane.astype(np.float32) - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(grey))


def paste_cut(
    sheet: Image.Image, plane: Image.Image, frame: Frame, extent: np.ndarray, box_mm: np.ndarray
) -> None:
    """The cut at its place, and the rim of the box over it."""
    left, top, right, bottom = frame.rectangle(np.zeros(3), extent)
    size = (max(right - left, 1), max(bottom - top, 1))
    small = ImageOps.posterize(plane.resize(size, Image.Resampling.BILINEAR), BITS)
    sheet.paste(small.convert("RGB"), (left, top))
    ImageDraw.Draw(sheet).rectangle(frame.rectangle(*box_mm), outline=BOX, width=2)

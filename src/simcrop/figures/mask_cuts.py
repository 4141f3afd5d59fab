"""A mask against the truth in one small PNG: three cuts through the place where most of it is wrong.

Axes: x runs right, y front, z up (RAS+). The patient's right (or front) is on the viewer's left, as in `cuts`. Where
mask and truth agree the scan is seen; only what is wrong is coloured, in colours that the colour-blind tell apart.
"""

import io

import numpy as np
from PIL import Image, ImageOps

from simcrop.figures.label_cuts import fullest, plane
from simcrop.figures.planes import VIEWS

WINDOW_HU = (-1000, 400)
HEIGHT, GAP, PAPER = 230, 8, (38, 40, 46)
MISSED, EXTRA, OTHER, RIGHT = (255, 140, 26), (64, 156, 255), (232, 80, 232), (235, 235, 235)
OPACITY = 0.75
BITS = 6  # of each colour: what is beyond is scanner noise, and half of the bytes
LEGEND = "orange: missed, blue: marked without cause, purple: taken for another class, white: the rim of what is right"


def draw_mask_cuts(
    scan: np.ndarray, truth: np.ndarray, predicted: np.ndarray, spacing_mm: tuple[float, float, float]
) -> bytes:
    """PNG of int16 HU and two label volumes, all `(x, y, z)` on one grid: axial, coronal, sagittal, at one scale."""
    centre = worst_place(truth, predicted)
    scale = min(HEIGHT / (scan.shape[view.up] * spacing_mm[view.up]) for view in VIEWS)
    cuts = []
    for view in VIEWS:
        size = [max(round(scan.shape[a] * spacing_mm[a] * scale), 1) for a in (view.across, view.up)]
        hu, true, said = (plane(of, view, centre) for of in (scan, truth, predicted))
        cuts.append(painted(hu, true, said, (size[0], size[1])))
    sheet = Image.new(
        "RGB", (sum(cut.width for cut in cuts) + 2 * GAP, max(cut.height for cut in cuts)), PAPER
    )
    left = 0
    for cut in cuts:
        sheet.paste(cut, (left, (sheet.height - cut.height) // 2))
        left += cut.width + GAP
    out = io.BytesIO()
    ImageOps.posterize(sheet, BITS).save(out, "PNG", optimize=True)
    return out.getvalue()


def worst_place(truth: np.ndarray, predicted: np.ndarray) -> tuple[int, int, int]:
    """Along each axis the plane with most wrong voxels; of a mask without fault that with most of the truth."""
    wrong = truth != predicted
    return fullest(wrong if wrong.any() else truth)


def painted(hu: np.ndarray, truth: np.ndarray, predicted: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Grey levels with what is wrong in colour. Labels are enlarged voxel by voxel, never mixed."""
    low, high = WINDOW_HU
    grey = ((hu.astype(np.float32) - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    picture = np.asarray(
        Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR).convert("RGB"), np.float32
    )
    true, said = (enlarged(labels, size) for labels in (truth, predicted))
    picture = picture.copy()
    picture[rim(true) & (true == said)] = RIGHT
    wrong = true != said
    for where, colour in (
        (wrong & (said == 0), MISSED),
        (wrong & (true == 0), EXTRA),
        (wrong & (true > 0) & (said > 0), OTHER),
    ):
        picture[where] = (1 - OPACITY) * picture[where] + OPACITY * np.array(colour, np.float32)
    return Image.fromarray(picture.round().astype(np.uint8))


def enlarged(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`(up, across)` at so many pixels across and up: each takes the label that lies there."""
    up, across = (np.arange(n) * of // n for n, of in zip(size[::-1], labels.shape, strict=True))
    return labels[np.ix_(up, across)]


def rim(labels: np.ndarray) -> np.ndarray:
    """Pixels of a class whose neighbour below or beside is of another, or the other way round."""
    edge = np.zeros(labels.shape, bool)
    edge[:-1] |= labels[:-1] != labels[1:]
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return edge

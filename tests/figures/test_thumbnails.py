"""Small pictures: sides as radiologists expect them, the box where the network looks."""

import io

import numpy as np
import pytest
from PIL import Image, ImageColor

from simcrop.figures.cuts import BOX
from simcrop.figures.page import png_size
from simcrop.figures.planes import AXIAL, CORONAL, SAGITTAL
from simcrop.figures.thumbnails import HEIGHT, MARGIN, OUTSIDE, WIDTH, cut, draw_thumbnail

SHAPE, SPACING = (50, 70, 30), (3.0, 2.0, 5.0)
WHOLE = np.array([[0.0, 0.0, 0.0], [150.0, 140.0, 150.0]])


def pixels(box_mm: np.ndarray, voxels: np.ndarray | None = None) -> np.ndarray:
    scan = np.full(SHAPE, -850, np.int16) if voxels is None else voxels
    return np.asarray(Image.open(io.BytesIO(draw_thumbnail(scan, SPACING, box_mm))).convert("RGB"))


def is_box(picture: np.ndarray) -> np.ndarray:
    return (picture == ImageColor.getrgb(BOX)).all(-1)


@pytest.mark.parametrize(("view", "axes"), [(AXIAL, (0, 1)), (CORONAL, (0, 2)), (SAGITTAL, (1, 2))])
def test_high_indices_lie_at_the_upper_left(view, axes: tuple[int, int]) -> None:
    voxels = np.full(SHAPE, -1000, np.int16)
    high = tuple(slice(-9, None) if axis in axes else slice(None) for axis in range(3))
    voxels[high] = 150
    plane = np.asarray(cut(voxels, view))
    assert plane.shape == (SHAPE[axes[1]], SHAPE[axes[0]])
    assert plane[:9, :9].min() == 255
    assert plane[-9:, -9:].max() < 100


def test_picture_has_one_size_for_scans_that_fill_it_and_stays_small() -> None:
    png = draw_thumbnail(
        np.random.default_rng(0).integers(-1000, 400, SHAPE).astype(np.int16), SPACING, WHOLE
    )
    assert png_size(png)[0] == WIDTH
    assert png_size(png)[1] <= HEIGHT + 2 * MARGIN
    assert len(png) < 150_000


def test_box_inside_the_scan_is_drawn_in_all_three_cuts() -> None:
    inner = np.array([[30.0, 30.0, 30.0], [120.0, 110.0, 120.0]])
    marked = np.flatnonzero(is_box(pixels(inner)).any(0))
    runs = 1 + np.count_nonzero(np.diff(marked) > 1)
    assert runs == 3


def test_box_beyond_the_scan_shows_what_is_padded() -> None:
    beyond = np.array([[-75.0, -70.0, -75.0], [225.0, 210.0, 225.0]])
    padded = (pixels(beyond) == OUTSIDE).all(-1).mean()
    assert padded > 0.6
    assert (pixels(WHOLE) == OUTSIDE).all(-1).mean() < 0.4


def test_single_slice_and_a_very_long_scan_are_drawn() -> None:
    for shape in ((40, 30, 1), (5, 7, 900)):
        png = draw_thumbnail(np.zeros(shape, np.int16), SPACING, WHOLE)
        assert png_size(png)[0] == WIDTH

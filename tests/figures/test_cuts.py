"""The picture: a PNG whose left is the patient's right. Toy axes 26, 22, 18 voxels in RAS+."""

import io
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from PIL import Image

from simcrop.data.volume import Volume
from simcrop.figures.cuts import draw_cuts, heat_scale
from simcrop.figures.planes import Scene, make_scene
from simcrop.figures.sheet import MOST_BYTES, lay_out, title_lines

AFFINE = np.diag([3.0, 4.0, 5.0, 1.0])


def stored_as(codes: str, array: np.ndarray) -> Volume:
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    return Volume(apply_orientation(array, turn), AFFINE @ inv_ornt_aff(turn, array.shape))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def panels(picture: np.ndarray, scene: Scene) -> list[np.ndarray]:
    """The three panels cut out of the picture, where the sheet says they are."""
    height, width = picture.shape[:2]
    boxes = [axes.get_position() for axes in lay_out(scene, "", "")[1]]
    return [
        picture[
            round((1 - b.y1) * height) : round((1 - b.y0) * height), round(b.x0 * width) : round(b.x1 * width)
        ]
        for b in boxes
    ]


def middle_of(mask: np.ndarray) -> tuple[float, float]:
    """Mean position as fractions: across from the left, down from the top."""
    down, across = np.nonzero(mask)
    assert len(down) > 50
    return across.mean() / mask.shape[1], down.mean() / mask.shape[0]


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAS", "SPL", "IAR", "PIR", "ASL"])
def test_left_front_top_of_the_patient_is_right_top_of_the_pictures(codes: str) -> None:
    hu = np.full((26, 22, 18), -1350, np.float32)
    hu[3:11, 13:20, 11:16] = 150  # left, front, head
    volume = stored_as(codes, hu)
    at_mm = np.array([7 * 3.0, 16 * 4.0, 13 * 5.0])
    scene = make_scene(volume, at_mm=at_mm)
    axial, coronal, sagittal = (
        middle_of(p.min(-1) > 235) for p in panels(pixels(draw_cuts(volume, at_mm=at_mm)), scene)
    )
    # the middle of the block in the picture, by hand: across runs from right to left, or from front to back
    left, front, head = 1 - 7 / 26, 1 - 16.5 / 22, 1 - 13.5 / 18
    assert axial == pytest.approx((left, front), abs=0.05)
    assert coronal == pytest.approx((left, head), abs=0.05)
    assert sagittal == pytest.approx((front, head), abs=0.05)


def test_pictures_keep_the_proportions_of_the_patient() -> None:
    volume = stored_as("SPL", np.zeros((26, 22, 18), np.float32))
    shapes = [p.shape[:2] for p in panels(pixels(draw_cuts(volume)), make_scene(volume))]
    scale = shapes[0][1] / (26 * 3)
    for (height, width), (tall, wide) in zip(shapes, [(88, 78), (90, 78), (90, 88)], strict=True):
        assert height == pytest.approx(tall * scale, abs=1.5)
        assert width == pytest.approx(wide * scale, abs=1.5)


def test_heat_is_coloured_and_what_the_model_did_not_see_stays_grey() -> None:
    volume = stored_as("RAS", np.full((26, 22, 18), -600, np.float32))
    heat = np.full((26, 22, 18), np.nan, np.float32)
    heat[13:, 3:20, 3:15] = 0.1
    heat[16:22, 6:18, 6:12] = 0.4  # to the patient's right
    axial = panels(pixels(draw_cuts(volume, heat)), make_scene(volume, heat))[0]
    colour = axial.max(-1) - axial.min(-1)
    seen, unseen = colour[:, : axial.shape[1] // 2], colour[:, axial.shape[1] // 2 + 4 :]
    assert (seen > 60).mean() > 0.2
    assert (unseen > 12).mean() == 0


def test_boxes_are_outlined() -> None:
    volume = stored_as("RAS", np.full((26, 22, 18), -600, np.float32))
    box = np.array([[[6.0, 8, 10], [60, 70, 75]]])
    plain, boxed = pixels(draw_cuts(volume)), pixels(draw_cuts(volume, boxes_mm=box))
    cyan = (boxed[..., 2] - boxed[..., 0] > 60) & (boxed[..., 1] - boxed[..., 0] > 60)
    assert (plain.max(-1) - plain.min(-1)).max() < 20
    assert cyan.sum() > 1000


def test_hard_titles_are_drawn_without_a_warning() -> None:
    volume = stored_as("RAS", np.zeros((26, 22, 18), np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_cuts(volume, title="Costs $5 or $7_{x}\n\ttwice, \u816b\u7624, " + "and so on " * 90)
    lines = title_lines("\u816b $x$ " + "and so on " * 90, 1280)
    assert lines[0].startswith("\u25a1 $x$ and")
    assert len(lines) == 3
    assert lines[-1].endswith("…")


def test_flat_heat_and_flat_scan_are_drawn() -> None:
    volume = stored_as("RAS", np.zeros((26, 22, 18), np.float32))
    scale = heat_scale(np.full((2, 3, 4), 0.25, np.float32))
    assert scale.low < 0.25 < scale.high
    assert draw_cuts(volume, np.full((26, 22, 18), 0.25, np.float32)).startswith(b"\x89PNG\r\n\x1a\n")


def test_left_lobes_of_a_real_scan_are_on_the_right_of_the_picture(real_data: Path) -> None:
    folder = real_data / "ct" / "lidc_idri_0001"
    scan, lobes = nib.load(folder / "cxr.nii.gz"), nib.load(folder / "mask.nii.gz")
    step = (slice(None, None, 4), slice(None, None, 4), slice(None, None, 2))
    affine = scan.affine @ np.diag([4.0, 4, 2, 1])
    volume = Volume(np.asarray(scan.dataobj[step], dtype=np.float32), affine)
    names = np.asarray(lobes.dataobj[step])
    heat = np.full(volume.shape, np.nan, np.float32)
    heat[np.isin(names, (12, 13, 14))] = 0.0  # right lung
    heat[np.isin(names, (10, 11))] = 1.0  # left lung
    png = draw_cuts(volume, heat, title="Left lung")
    picture = pixels(png)
    axial = panels(pixels(draw_cuts(volume, heat)), make_scene(volume, heat))[0]
    yellow = (axial[..., 0] - axial[..., 2] > 60) & (axial[..., 1] - axial[..., 2] > 60)
    assert middle_of(yellow)[0] > 0.6
    assert picture.shape[1] == 1280
    assert 350 < picture.shape[0] < 700
    assert len(png) < MOST_BYTES

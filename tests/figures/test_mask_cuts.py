"""Pictures of masks: what is wrong is coloured, where most of it is, on the side where it lies."""

import io

import numpy as np
from PIL import Image

from simcrop.figures.mask_cuts import (
    EXTRA,
    MISSED,
    OTHER,
    RIGHT,
    draw_mask_cuts,
    enlarged,
    painted,
    worst_place,
)

SHAPE = (30, 40, 20)


def truth() -> np.ndarray:
    labels = np.zeros(SHAPE, np.int16)
    labels[5:12, 10:30, 4:16] = 1
    labels[18:26, 10:30, 4:16] = 2
    return labels


def reddish(picture: np.ndarray) -> np.ndarray:
    """Where something is missed: orange over black is the only colour with more red than blue."""
    return picture[..., 0].astype(int) - picture[..., 2] > 100


def test_cuts_meet_where_most_is_wrong() -> None:
    predicted = truth()
    predicted[20:26, 25, 7] = 0
    assert worst_place(truth(), predicted) == (20, 25, 7)
    assert truth()[worst_place(truth(), truth())]  # without fault: through what is marked
    assert worst_place(np.zeros(SHAPE), np.zeros(SHAPE)) == (15, 20, 10)


def test_each_kind_of_fault_has_its_colour_and_what_is_right_a_rim() -> None:
    true = np.zeros((6, 8), np.int16)
    true[1:3], true[4, 0] = 1, 2
    said = true.copy()
    said[1, 2], said[5, 7], said[4, 0] = 0, 2, 1
    picture = np.asarray(painted(np.full((6, 8), -1000, np.int16), true, said, (8, 6))).astype(int)
    for place, colour in (((1, 2), MISSED), ((5, 7), EXTRA), ((4, 0), OTHER)):
        assert np.abs(picture[place] - 0.75 * np.array(colour)).max() <= 1
    assert tuple(picture[2, 5]) == RIGHT
    assert not picture[0, 0].any() or tuple(picture[0, 0]) == RIGHT


def test_the_patients_right_is_on_the_viewers_left() -> None:
    predicted = np.where(truth() == 2, 0, truth())  # what lies at high x, to the right, is missed
    png = draw_mask_cuts(np.full(SHAPE, -1000, np.int16), truth(), predicted, (3.0, 2.0, 5.0))
    picture = np.asarray(Image.open(io.BytesIO(png)))
    axial = reddish(picture[:, : round(picture.shape[1] * 90 / (90 + 90 + 80))])
    assert axial.any()
    assert np.flatnonzero(axial.any(0)).max() < axial.shape[1] / 2


def test_labels_are_enlarged_voxel_by_voxel() -> None:
    labels = np.arange(6, dtype=np.int16).reshape(2, 3)
    assert (enlarged(labels, (6, 4)) == labels.repeat(2, 0).repeat(2, 1)).all()

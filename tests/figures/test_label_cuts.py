"""A mask's picture: its colours lie where the mask does, the patient's right on the viewer's left."""

import io

import numpy as np
from PIL import Image

from simcrop.data.volume import Volume
from simcrop.figures.label_cuts import GAP, colour_of, draw_label_cuts


def test_a_block_is_coloured_on_its_own_side_in_every_cut() -> None:
    volume = Volume(np.full((40, 30, 20), -1000, np.float32), np.diag([-2.0, -2.0, 3.0, 1.0]))
    labels = np.zeros(volume.shape, np.int16)
    labels[30:38, 3:9, 14:19] = 2  # of an LPS file: the patient's left, front, head
    picture = Image.open(io.BytesIO(draw_label_cuts(volume, labels)))
    pixels = np.asarray(picture).astype(int)
    coloured = np.ptp(pixels, axis=-1) > 20
    width = round(80 * 60 / 60 * 260 / 60)
    axial, coronal = coloured[:, :width], coloured[:, width + GAP : 2 * width + GAP]
    for cut in (axial, coronal):
        rows, columns = np.nonzero(cut)
        assert columns.min() > width / 2  # left of the patient, right of the picture
        assert rows.max() < cut.shape[0] / 2  # front, and head, are up
    assert len({colour_of(label) for label in range(1, 14)}) == 13


def test_a_mask_of_nothing_shows_the_scan_alone() -> None:
    volume = Volume(np.full((9, 8, 7), 40, np.float32), np.eye(4))
    pixels = np.asarray(Image.open(io.BytesIO(draw_label_cuts(volume, np.zeros((9, 8, 7), np.int16)))))
    assert (np.ptp(pixels, axis=-1) <= 8).all()

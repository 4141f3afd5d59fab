"""The tokens of a scan's patches lie where the patches are, in the scan's own millimetres.

Axes: n patch, d features; x y z of the file, whatever way they run.
"""

from typing import Any

import numpy as np
import pytest
import torch

from simcrop.config import build_recipe
from simcrop.data.preprocess import InputSpec, preprocess
from simcrop.data.volume import AIR_HU, Volume
from simcrop.model import Model

# Stored along y, x, z, of which x runs to the left: no two axes alike.
TURNED = np.array([[0, -12.5, 0, 31], [13, 0, 0, -57], [0, 0, 21, 900], [0, 0, 0, 1.0]])


@pytest.fixture
def model(toy_tree: dict[str, Any]) -> Model:
    torch.manual_seed(0)
    return Model(build_recipe(toy_tree, "toy"), None, None)


def with_a_block(at_mm: np.ndarray, radius_mm: float) -> Volume:
    """Air, and what is bright round a point."""
    shape = (29, 33, 20)
    mm = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) @ TURNED[:3, :3].T + TURNED[:3, 3]
    hu = np.where(np.abs(mm - at_mm).max(-1) < radius_mm, 400, AIR_HU).astype(np.float32)
    return Volume(hu, TURNED)


def test_the_brightest_patch_lies_round_what_is_bright_in_the_file(model: Model) -> None:
    """Read from the input itself, by no formula of the geometry."""
    for at in ((-100.0, 80.0, 1100.0), (-260.0, 200.0, 1000.0)):
        volume = with_a_block(np.array(at), 60.0)
        found = model.tokens(volume)
        patches = model.grid.split(preprocess(volume, model.spec)[0][None])[0].mean(-1)
        assert np.abs(found.centres_mm[int(patches.argmax())] - at).max() < 70


def test_centres_are_the_middles_of_boxes_and_padding_is_marked(model: Model) -> None:
    seen = model.look(Volume(np.full((12, 33, 20), 0, np.float32), TURNED))
    found = seen.tokens
    assert found.grid == model.grid.shape == (4, 7, 3)
    assert (found.features.shape, found.centres_mm.shape, found.inside.shape) == ((84, 36), (84, 3), (84,))
    assert (found.features.dtype, found.centres_mm.dtype) == (np.float32, np.float32)
    boxes = np.stack([seen.placement.box_mm(model.grid.index(n), model.grid.patch) for n in range(84)])
    np.testing.assert_allclose(found.centres_mm, boxes.mean(1), atol=1e-3)
    spread = seen.placement.to_source(np.arange(84, dtype=np.float32).reshape(found.grid))
    assert set(np.flatnonzero(found.inside)) == set(spread[~np.isnan(spread)].astype(int))
    assert 0 < found.inside.sum() < 84
    np.testing.assert_array_equal(found.features, model.features_of(seen.volume)[0].numpy())
    np.testing.assert_allclose(found.features.mean(0), seen.embed(), atol=1e-6)


def test_centres_of_a_scan_that_is_resized_span_it_from_edge_to_edge() -> None:
    volume = Volume(np.zeros((8, 10, 6), np.float32), TURNED)
    spec = InputSpec(shape=(12, 14, 9), fit="resize")
    _, placement = preprocess(volume, spec)
    centres = placement.centres_mm((2, 7, 3))
    steps = [len(np.unique(axis.round(2))) for axis in centres.T]
    assert steps == [2, 7, 3]
    edges = np.sort([TURNED[:3, :3] @ corner + TURNED[:3, 3] for corner in ((-0.5,) * 3, (7.5, 9.5, 5.5))], 0)
    np.testing.assert_allclose(centres.mean(0), edges.mean(0), atol=1e-3)
    half = np.ptp(edges, axis=0) / (2, 7, 3) / 2
    np.testing.assert_allclose(centres.min(0), edges[0] + half, atol=1e-3)

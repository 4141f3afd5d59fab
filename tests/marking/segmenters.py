"""A segmentation model on disk at toy size, and one whose network is a rule that can be checked voxel by voxel.

Axes: b window, c class, x y z voxels of the stored grid, 7 x 6 x 9 mm.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NAMES = ("left lung", "liver")
SPACING = (7.0, 6.0, 9.0)
TREE = {
    "method": "segment",
    "classes": list(NAMES),
    "input": {"spacing_mm": list(SPACING), "shape": [8, 12, 8], "patch": [4, 4, 2]},
    "vision": {"depth": 2, "dim": 24, "heads": 2},
    "decoder": {"feature_size": 4},
}


def rule(hu: np.ndarray) -> np.ndarray:
    """Class 1 is thin, class 2 is dense."""
    return np.where((hu > -900.5) & (hu < -600.5), 1, np.where(hu > 0.5, 2, 0)).astype(np.int16)


def by_rule(segmenter: Any, windows: Any) -> Any:
    """Stands in for the network of a `Segmenter`, whose window is -1000 to 1000 HU."""
    import torch

    found = torch.from_numpy(rule(windows[:, 0].numpy() * 1000)).long()
    return 40.0 * torch.nn.functional.one_hot(found, 1 + len(segmenter.names)).movedim(-1, 1).float()


@pytest.fixture(scope="session")
def segmenter_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights; nobody may change it."""
    import torch

    from simcrop.config import build_recipe
    from simcrop.model.folder import describe_model, save_model
    from simcrop.objectives.segment import Segment, SegmentSettings

    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("segmenter")
    recipe = build_recipe(TREE, "toy")
    assert isinstance(recipe, SegmentSettings)
    save_model(Segment(recipe, recipe.input.grid).state_dict(), recipe, folder)
    describe_model(recipe, None, None, {}, folder)
    return folder


@pytest.fixture
def headless_folder(tmp_path: Path) -> Path:
    """What describes a model that was pre-trained; its weights are not looked at."""
    from simcrop.config import build_recipe
    from simcrop.model.folder import describe_model

    folder = tmp_path / "headless"
    folder.mkdir()
    describe_model(build_recipe({"method": "mae"}, "toy"), None, None, {}, folder)
    (folder / "model.safetensors").touch()
    return folder


@pytest.fixture
def ruled(monkeypatch: pytest.MonkeyPatch) -> Callable[[np.ndarray], np.ndarray]:
    """The rule, by which every `Segmenter` marks while this test runs."""
    monkeypatch.setattr("simcrop.model.segmenter.Segmenter.logits", by_rule)
    return rule

"""A plugin of pytest: a phantom cohort with lungs and a recipe, at a size at which segmentation takes a moment. Nobody
may change it.

Lengths in mm, x to the right, y to the front, z up.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # else it would be there before its signatures can be checked
    from simcrop.config import Recipe

SPACING = "16,14,24"
TOY = (
    "input.spacing_mm=[16, 14, 24]",
    "input.shape=[16, 12, 8]",
    "input.patch=[4, 4, 2]",
    "vision.depth=2",
    "vision.dim=24",
    "vision.heads=2",
    "decoder.feature_size=3",
    "optim.steps=3",
    "optim.batch=4",
    "checkpoint.every=1",
    "engine.precision=fp32",
)


def toy(*more: str) -> "Recipe":
    from simcrop.config import load_recipe

    return load_recipe("segment-tiny", [*TOY, *more])


@pytest.fixture(scope="session")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten patients, one in each subset: eight to learn from, one of them valid, one test."""
    from simcrop.tasks.cohorts.ingest import ingest
    from simcrop.tasks.cohorts.phantom import phantom

    home = tmp_path_factory.mktemp("marked")
    phantom(home / "raw", "luna16", patients=10, seed=0, size="tiny")
    ingest(home / "raw", "luna16", home / "cohort", spacing=SPACING)
    return home / "cohort"

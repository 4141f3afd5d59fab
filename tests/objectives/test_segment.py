"""Segmentation as a method: its terms by hand, windows learned by heart, and what it says of itself.

Axes: b 4 windows of 24 x 28 x 15 voxels, c 3 channels.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from simcrop.config import build_recipe, load_recipe, recipe_names
from simcrop.data.samples.batch import Batch
from simcrop.engine.optim import build_optimizer
from simcrop.errors import SimcropError
from simcrop.losses import dice_ce
from simcrop.objectives.method import Objective
from simcrop.objectives.segment import Segment, SegmentSettings, logits_of

CLASSES = ("bright", "brighter")
SMALL = {"classes": list(CLASSES), "decoder": {"feature_size": 4}}
RECIPES = sorted(name for name in recipe_names() if name.startswith("segment-"))


@pytest.fixture
def made(build: Callable[..., tuple[Objective, Batch]]) -> tuple[Segment, Batch]:
    objective, batch = build("segment", **SMALL)
    assert isinstance(objective, Segment)
    return objective, batch


def test_its_terms_are_those_of_its_logits(made: tuple[Segment, Batch]) -> None:
    objective, batch = made
    logits = logits_of(objective.vision, objective.decoder, batch.volume, (1, 2))
    assert logits.shape == (4, 3, 24, 28, 15)
    wanted = dice_ce(logits, batch.mask[:, 0].long())
    terms = objective.losses(batch)
    assert set(terms) == set(objective.terms) == {"dice", "cross_entropy"}
    torch.testing.assert_close(terms["dice"], wanted.dice)
    torch.testing.assert_close(terms["cross_entropy"], wanted.cross_entropy)


def test_a_window_is_learned_by_heart(
    build: Callable[..., tuple[Objective, Batch]], learn_by_heart: Callable
) -> None:
    """The mask follows from how bright a voxel is, so that the decoder's stem can find it."""
    objective, batch = build("segment", ("", ""), **SMALL, input={"shape": [12, 8, 10]})
    assert isinstance(objective, Segment)
    corner = (..., slice(12), slice(8), slice(10))
    batch = replace(batch, volume=batch.volume[corner], mask=batch.mask[corner])
    first, last = learn_by_heart(objective, batch, 40, lr=2e-2)
    assert last["cross_entropy"] < 0.25 * first["cross_entropy"]
    assert last["dice"] < 0.5 * first["dice"]
    logits = logits_of(objective.vision, objective.decoder, batch.volume, objective.taps)
    assert (logits.argmax(1) == batch.mask[:, 0]).float().mean() > 0.93


def test_the_loss_of_a_batch_is_the_mean_of_its_halves(
    made: tuple[Segment, Batch], build_parts: Callable[..., tuple[Objective, list[Batch]]]
) -> None:
    objective, batch = made
    from tests.objectives.conftest import FINDINGS

    _, halves = build_parts("segment", FINDINGS, 2, **SMALL)
    whole = objective.losses(batch)
    parts = [objective.losses(half) for half in halves]
    for name, value in whole.items():
        torch.testing.assert_close(value, (parts[0][name] + parts[1][name]) / 2)


def test_the_encoder_waits_for_the_decoder(made: tuple[Segment, Batch]) -> None:
    groups = build_optimizer(made[0], load_recipe("segment-tiny").optim).param_groups
    late = {id(p) for group in groups if group["late"] for p in group["params"]}
    assert late == {id(p) for p in made[0].vision.parameters()}


def test_a_batch_without_masks_is_refused(made: tuple[Segment, Batch]) -> None:
    with pytest.raises(SimcropError, match="carries no masks"):
        made[0].losses(replace(made[1], mask=None))


@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_mirrors_left_and_right(name: str) -> None:
    """The public code flips all axes of data sets whose classes have sides (flaw 8)."""
    recipe = load_recipe(name, ["classes=[left lung, right lung]"])
    assert recipe.window_needs.variation.flips[0] == 0


def test_a_mirror_is_refused_where_a_class_has_a_side_and_taken_elsewhere() -> None:
    flips = "vary.flips=[0.5,0,0]"
    with pytest.raises(SimcropError, match="would mirror left and right, and class 'left kidney' has a side"):
        _ = load_recipe("segment-tiny", ["classes=[spleen, left kidney]", flips]).window_needs
    assert load_recipe("segment-tiny", ["classes=[spleen, liver]", flips]).window_needs.variation.flips == (
        0.5,
        0,
        0,
    )


def test_the_recipes_are_those_of_the_paper_and_of_others() -> None:
    """Settings of the public code (method.md 3.5), and the warm-up that there was as long as the run (flaw 15)."""
    luna, btcv, modern = (load_recipe(f"segment-{name}") for name in ("paper-luna16", "paper-btcv", "modern"))
    assert RECIPES == ["segment-modern", "segment-paper-btcv", "segment-paper-luna16", "segment-tiny"]
    for recipe in (luna, btcv):
        assert (recipe.input.shape, recipe.input.patch, recipe.input.window_hu) == (
            (96, 96, 48),
            (16, 16, 8),
            (-1000, 1000),
        )
        assert (recipe.optim.lr, recipe.optim.weight_decay, recipe.windows.per_scan) == (1e-4, 1e-5, 16)
        assert (recipe.decoder.feature_size, recipe.decoder.upsample) == (16, "interpolated")
        assert recipe.tapped(recipe.input.grid) == (2, 4, 6, 8)
    assert (luna.input.spacing_mm, btcv.input.spacing_mm) == ((1, 1, 1), (1.5, 1.5, 3))
    assert (modern.optim.betas, modern.optim.warmup_epochs, modern.optim.epochs) == ((0.9, 0.98), 50, 1000)
    assert (modern.optim.schedule, modern.optim.clip_grad, modern.decoder.upsample) == (
        "poly",
        1,
        "transposed",
    )
    for recipe in (luna, btcv, modern, load_recipe("segment-tiny")):
        assert recipe.optim.warmup_epochs < recipe.optim.epochs / 3
    deep = load_recipe("segment-modern", ["vision.depth=12"])
    assert deep.tapped(deep.input.grid) == (3, 6, 9, 12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": ["spleen", "spleen"]}, "no class may be named twice"),
        ({"vary": {"zooms": [1.4, 0.7]}}, "the smaller first"),
        ({"windows": {"marked": 1.5}}, "windows.marked"),
        ({"input": {"shape": [96, 96, 50]}}, "cannot be cut into patches"),
    ],
)
def test_settings_that_mean_nothing_are_refused_in_one_line(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SimcropError, match=words) as refused:
        build_recipe({"method": "segment", **change}, "mine.yaml")
    assert "\n" not in refused.value.sentence


def test_without_classes_there_is_no_decoder() -> None:
    with pytest.raises(SimcropError, match="classes is empty"):
        SegmentSettings().build_decoder(load_recipe("segment-tiny").input.grid)

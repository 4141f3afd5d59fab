"""The cross-image term: other ways of asking, and sentences that state a size.

Axes: b image, s sentence, n patch, e features.
"""

import pytest
import torch

from simcrop.config import build_recipe
from simcrop.data.samples.batch import Sentences
from simcrop.objectives.cross_image import BIAS, CrossImage, CrossImageSettings
from simcrop.objectives.simcrop import SimCroPSettings

NONE = float("nan")


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sentences(sizes: list[float]) -> Sentences:
    """Every second sentence is of the same image."""
    count = torch.arange(len(sizes))
    return Sentences(count // 2, count, torch.full((len(sizes),), 0.1), size_mm=torch.tensor(sizes))


def cost(term: CrossImage, sizes: list[float]) -> torch.Tensor:
    compared = term.compared(drawn(6, 5), drawn(3, 7, 5, seed=1), sentences(sizes))
    return term(term.scores(compared), compared)


def test_each_way_of_asking_costs_something_else() -> None:
    ways = [{}, {"directions": "both"}, {"enabled": True, "loss": "sigmoid"}, {"top_share": 0.5}]
    found = {cost(CrossImage(CrossImageSettings(**way)), [NONE] * 6).item() for way in ways}  # type: ignore[arg-type]
    assert len(found) == len(ways)


def test_scale_and_bias_of_the_sigmoid_are_learned_and_not_kept() -> None:
    term = CrossImage(CrossImageSettings(enabled=True, loss="sigmoid"))
    cost(term, [NONE] * 6).backward()
    assert term.scale is not None
    assert term.bias is not None
    assert term.bias.item() == BIAS
    assert term.scale.grad
    assert term.bias.grad
    assert not list(CrossImage(CrossImageSettings(enabled=True)).parameters())
    assert not list(CrossImage(CrossImageSettings(loss="sigmoid")).parameters()), "nothing would teach them"
    assert not any("cross_image.".startswith(kept) for kept in SimCroPSettings.kept)


def test_sigmoid_knows_no_directions() -> None:
    with pytest.raises(ValueError, match="knows no directions"):
        CrossImageSettings(loss="sigmoid", directions="both")


def test_a_sentence_that_states_a_size_is_sought_in_no_more_patches_than_that_fills() -> None:
    term = CrossImage(CrossImageSettings(stated_size=True), (10.0, 20.0, 30.0))
    stated = sentences([8.0, 20.0, 45.0, 500.0, NONE, NONE])
    assert term.patches_of(stated, 12).tolist() == [1, 2, 12, 12, 12, 12]  # type: ignore[union-attr]
    assert term.patches_of(stated, 40).tolist() == [1, 2, 30, 40, 40, 40]  # type: ignore[union-attr]
    assert CrossImage(CrossImageSettings(), (10.0, 20.0, 30.0)).patches_of(stated, 12) == 12


def test_stated_sizes_change_the_cost_of_small_things_alone() -> None:
    changes = {"stated_size": True, "top_share": 0.5}
    term = CrossImage(CrossImageSettings(**changes), (10.0, 20.0, 30.0))  # type: ignore[arg-type]
    assert cost(term, [500.0] * 6) == cost(term, [NONE] * 6)
    assert cost(term, [8.0, *[NONE] * 5]) != cost(term, [NONE] * 6)


def test_edges_of_a_patch_are_those_of_the_recipe(toy_tree: dict) -> None:
    recipe = build_recipe(toy_tree, "toy")
    voxels, spacing = recipe.input.patch, recipe.input.spacing_mm
    assert recipe.input.patch_mm == tuple(v * mm for v, mm in zip(voxels, spacing, strict=True))

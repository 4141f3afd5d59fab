"""MAE on a toy batch: Eq. 1 alone, the same as SimCroP's, and no report in sight."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from simcrop import losses
from simcrop.config import load_recipe
from simcrop.errors import SimcropError
from simcrop.nn.masking import random_mask
from simcrop.objectives.mae import Mae, MaeSettings

TINY = {"vision_decoder": {"depth": 1, "dim": 30, "heads": 2}}


def test_its_one_term_is_equation_1_on_masked_patches(build: Callable) -> None:
    objective, batch = build("mae", **TINY)
    assert isinstance(objective, Mae)
    terms = objective.losses(batch, 7)
    assert set(terms) == {"volume"} == set(objective.terms)
    patches = objective.grid.split(batch.volume)
    mask = random_mask(objective.draw(batch, 7).drawn["patches"], 0.75)
    reconstruction = objective.vision_decoder(objective.vision(batch.volume, mask), mask)
    torch.testing.assert_close(terms["volume"], losses.masked_patch_mse(reconstruction, patches, mask.masked))


def test_one_batch_is_learned_by_heart(build: Callable, learn_by_heart: Callable) -> None:
    first, last = learn_by_heart(*build("mae", **TINY), steps=120)
    assert last["volume"] < first["volume"] / 2


def test_every_parameter_has_a_gradient(build: Callable) -> None:
    objective, batch = build("mae", **TINY)
    objective.losses(batch)["volume"].backward()
    assert all(p.grad is not None and p.grad.any() for p in objective.parameters())
    assert not objective.skips_parameters


def test_no_report_is_read(build: Callable) -> None:
    objective, batch = build("mae", **TINY)
    assert batch.report.ids.shape == (4, 0)
    assert len(batch.sentences.image_index) == 0
    assert batch.labels is None
    assert not [
        name
        for name, _ in objective.named_parameters()
        if not name.startswith(("vision.", "vision_decoder."))
    ]


def test_visible_patches_are_those_of_the_body_when_asked(build: Callable) -> None:
    objective, batch = build("mae", **TINY, mim={"visible": "body"})
    patches = objective.grid.split(batch.volume)
    patches[:, 21:] = -1.0  # 21 patches hold a body, as many as stay visible
    kept: list[torch.Tensor] = []
    handle = objective.vision.register_forward_pre_hook(lambda _, args: kept.append(args[1].keep))
    objective.losses(replace(batch, volume=objective.grid.join(patches)))
    handle.remove()
    assert kept[0].tolist() == [list(range(21))] * 4


@pytest.mark.parametrize("size", ["tiny", "paper"])
def test_recipe_differs_from_simcrops_in_nothing_but_the_objective(size: str) -> None:
    ours, simcrop = load_recipe(f"mae-{size}"), load_recipe(f"simcrop-{size}")
    assert isinstance(ours, MaeSettings)
    for group in set(type(ours).model_fields) - {"method", "claim"}:
        assert getattr(ours, group) == getattr(simcrop, group), group


def test_nothing_but_the_volume_can_be_learned() -> None:
    with pytest.raises(SimcropError, match="weight 0 leaves MAE nothing to learn"):
        load_recipe("mae-tiny", ["mim.weight=0"])

"""M3D's contrast on a toy batch: class tokens, biases, and a scale that is multiplied as it is."""

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from simcrop.config import build_recipe, load_recipe
from simcrop.errors import SimcropError
from simcrop.objectives.m3d import M3dSettings

HEAD = {"contrast": {"dim": 17}}


def test_class_tokens_meet_and_half_of_both_directions_is_the_loss(build: Callable) -> None:
    objective, batch = build("m3d", **HEAD)
    with torch.no_grad():
        for layer in (objective.projection.image, objective.projection.words):
            layer.bias.normal_()
    image, words = objective.projection.image, objective.projection.words
    tokens = objective.vision(batch.volume).cls[[0, 1, 3]]  # the third study has no findings
    images = tokens @ image.weight.T + image.bias
    texts = batch.sentences.features @ words.weight.T + words.bias
    logits = math.log(1 / 0.07) * cosine_similarity(images[:, None], texts[None], dim=-1)
    own = torch.arange(3)
    expected = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
    torch.testing.assert_close(objective.losses(batch)["contrast"], expected)


@pytest.mark.parametrize(("exp_scale", "factor"), [(False, 2.6593), (True, 14.2857)])
def test_scale_starts_at_2_66_unless_its_exponential_is_asked_for(
    build: Callable, exp_scale: bool, factor: float
) -> None:
    objective, batch = build("m3d", contrast={"dim": 17, "exp_scale": exp_scale})
    assert objective.projection.scale.item() == pytest.approx(factor, abs=1e-4)
    objective.losses(batch)["contrast"].backward()
    assert objective.projection.log_scale.grad.abs() > 0


def test_the_mean_of_patches_stands_in_for_the_token_when_asked(build: Callable) -> None:
    objective, batch = build("m3d", contrast={"dim": 17, "image": "mean"}, vision={"cls_token": False})
    images = objective(batch)["contrast"].images / objective.projection.scale
    whole = objective.vision(batch.volume).patches.mean(1)
    torch.testing.assert_close(images, objective.projection.patches(whole[:, None])[:, 0])
    with pytest.raises(SimcropError, match=r"contrast\.image = cls needs vision\.cls_token = true"):
        build_recipe({"method": "m3d", "vision": {"cls_token": False}}, "toy")


def test_one_batch_is_learned_by_heart(build: Callable, learn_by_heart: Callable) -> None:
    first, last = learn_by_heart(*build("m3d", contrast={"dim": 17, "exp_scale": True}), steps=60)
    assert first["contrast"] > 0.9
    assert last["contrast"] < first["contrast"] / 10


@pytest.mark.parametrize("freeze", [True, False])
def test_every_trained_parameter_has_a_gradient(build: Callable, freeze: bool) -> None:
    objective, batch = build("m3d", **HEAD, text={"freeze": freeze})
    objective.losses(batch)["contrast"].backward()
    for name, parameter in objective.named_parameters():
        assert (parameter.grad is not None) is parameter.requires_grad, name
        assert parameter.requires_grad is not (freeze and name.startswith("text.")), name
    assert not objective.skips_parameters


@pytest.mark.parametrize("size", ["tiny", "paper"])
def test_recipe_differs_from_simcrops_in_nothing_but_the_objective_and_its_text(size: str) -> None:
    ours, simcrop = load_recipe(f"m3d-{size}"), load_recipe(f"simcrop-{size}")
    assert isinstance(ours, M3dSettings)
    for group in set(type(ours).model_fields) - {"method", "claim", "contrast", "text"}:
        assert getattr(ours, group) == getattr(simcrop, group), group
    assert ours.text.freeze is (size == "tiny")
    assert (ours.contrast.dim, ours.contrast.image, ours.contrast.exp_scale) == (768, "cls", False)

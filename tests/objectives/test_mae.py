"""MAE on a toy batch: Eq. 1 alone, the same as SimCroP's, and no report in sight."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import gelu

from simcrop import losses
from simcrop.config import load_recipe
from simcrop.errors import SimcropError
from simcrop.nn.masking import random_mask
from simcrop.objectives.mae import Mae, MaeSettings

MAES_OWN = {"vision_decoder": {"dim": 512, "depth": 8, "heads": 16}, "mim": {"norm_pix": True}}
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


def place(at: tuple[int, int, int], width: int) -> torch.Tensor:
    """Sines, then cosines, of each of three coordinates; what three pairs do not divide stays zero."""
    third = width // 6
    code = []
    for coordinate in at:
        angles = [coordinate / 10000 ** (i / third) for i in range(third)]
        code += [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]
    return torch.tensor(code + [0.0] * (width - len(code)))


def block(x: torch.Tensor, layer: torch.nn.Module, heads: int) -> torch.Tensor:
    """One layer on the tokens `(n, d)` of one scan, head by head."""
    seen, width = layer.norm1(x) @ layer.attn.qkv.weight.T + layer.attn.qkv.bias, x.shape[1]
    found, edge = [], width // heads
    for head in range(heads):
        q, k, v = (seen[:, i * width + head * edge :][:, :edge] for i in range(3))
        found.append((q @ k.T / edge**0.5).softmax(-1) @ v)
    x = x + torch.cat(found, dim=1) @ layer.attn.proj.weight.T + layer.attn.proj.bias
    wide = gelu(layer.norm2(x) @ layer.mlp.fc1.weight.T + layer.mlp.fc1.bias)
    return x + wide @ layer.mlp.fc2.weight.T + layer.mlp.fc2.bias


@torch.no_grad()
def test_with_maes_own_decoder_and_target_it_is_mae_token_by_token(build: Callable) -> None:
    objective, batch = build("mae", **MAES_OWN)
    for parameter in objective.parameters():  # no bias is zero, no norm is one
        parameter += 0.02 * torch.randn_like(parameter)
    mask = random_mask(objective.draw(batch, 7).drawn["patches"], 0.75)
    features, decoder = objective.vision(batch.volume, mask), objective.vision_decoder
    assert len(decoder.transformer.blocks) == 8
    costs = []
    for study in range(2):
        tokens = [decoder.embed(features.cls[study])]  # the class token has no place
        visible = iter(decoder.embed(features.patches[study]))
        for number, hidden in enumerate(mask.masked[study].tolist()):
            token = decoder.mask_token if hidden else next(visible)
            tokens.append(token + place(objective.grid.index(number), 512))
        x = torch.stack(tokens)
        for layer in decoder.transformer.blocks:
            x = block(x, layer, 16)
        painted = decoder.voxels(decoder.transformer.norm(x))[1:]
        for number in mask.masked[study].nonzero()[:, 0].tolist():
            patch = objective.grid.split(batch.volume)[study, number]
            spread = ((patch - patch.mean()).square().sum() / (len(patch) - 1) + 1e-6).sqrt()
            costs.append((painted[number] - (patch - patch.mean()) / spread).square().mean())
    alone = replace(
        batch, ids=batch.ids[:2], volume=batch.volume[:2], seeds=batch.seeds[:2]
    )  # patches are drawn for each sample by itself
    ours = objective.losses(alone, 7)["volume"]
    torch.testing.assert_close(ours, torch.stack(costs).mean(), rtol=1e-4, atol=1e-5)


def test_maes_own_decoder_is_a_matter_of_settings() -> None:
    names = ["dim=512", "depth=8", "heads=16"]
    changed = [f"vision_decoder.{name}" for name in names] + ["mim.norm_pix=true"]
    ours, plain = load_recipe("mae-paper", changed), load_recipe("mae-paper")
    assert isinstance(ours, MaeSettings)
    assert (ours.vision_decoder.dim, ours.vision_decoder.depth, ours.vision_decoder.heads) == (512, 8, 16)
    differing = {name for name in type(ours).model_fields if getattr(ours, name) != getattr(plain, name)}
    assert differing == {"vision_decoder", "mim"}


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

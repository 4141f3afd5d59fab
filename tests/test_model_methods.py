"""What the models of all methods can do, and what each says it cannot.

Axes: b scan, n patch, s sentence, l label, d features; inputs of 24 x 28 x 15 voxels.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import cosine_similarity

from simcrop.config import build_recipe
from simcrop.data.preprocess import preprocess
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.data.volume import Volume
from simcrop.engine.checkpoint import trained_state
from simcrop.errors import SimcropError
from simcrop.model import load
from simcrop.model.folder import describe_model, save_model
from simcrop.nn.text_encoder import read_text_encoder
from simcrop.objectives.method import Objective
from simcrop.objectives.needs import Components

SENTENCES = ["a nodule in the left upper lobe.", "no effusion.", "the lung is clear."]
LABELS = ["nodule", "effusion", "lung", "lobe"]
OWN: dict[str, dict[str, Any]] = {
    "simcrop": {"report_decoder": {"depth": 1, "dim": 20, "heads": 5, "hidden": 44}, "fusion": {"heads": 4}},
    "mae": {"vision_decoder": {"depth": 1, "dim": 30, "heads": 2}},
    "dino": {"head": {"hidden": 19, "bottleneck": 7, "outputs": 11}},
    "mrm": {"report_decoder": {"depth": 1, "dim": 20, "heads": 5, "hidden": 44}},
    "ct-clip": {"contrast": {"dim": 17, "pool": "mean"}},
    "m3d": {"contrast": {"dim": 17, "pool": "mean"}},
    "m3ae": {
        "co_attention": {"depth": 1, "dim": 32, "heads": 4, "hidden": 40},
        "vision_decoder": {"depth": 1, "dim": 30, "heads": 2},
        "m3ae": {"mim_layer": 1},
    },
    "supervised": {"head": {"pool": "max", "labels": LABELS}},
}
Saved = Callable[..., tuple[Objective, Path]]


@pytest.fixture
def saved(toy_tree: dict[str, Any], tiny_bert: Path, tmp_path: Path) -> Saved:
    """An objective whose every tensor was moved, as training would, and its model folder."""

    def make(method: str, **groups: Any) -> tuple[Objective, Path]:
        tree = (
            {name: toy_tree[name] for name in ("input", "vision", "text")} | OWN[method] | {"method": method}
        )
        recipe = build_recipe(tree | {n: {**tree.get(n, {}), **g} for n, g in groups.items()}, "toy")
        text, tokenizer = None, None
        if recipe.text_needs is not None:
            tokenizer = Tokenizer.load(tiny_bert)
            if recipe.text_needs.encoder:
                text = read_text_encoder(tiny_bert, recipe.text.freeze)
        torch.manual_seed(2)
        objective = recipe.build(Components(recipe.input.grid, text, tokenizer, center=torch.randn(24)))
        with torch.no_grad():
            for parameter in objective.parameters():
                if parameter.requires_grad:
                    parameter += 0.05 * torch.randn_like(parameter)
        folder = tmp_path / method
        folder.mkdir()
        save_model(trained_state(objective), recipe, folder)
        describe_model(recipe, text, tokenizer, {"cohort": "toy"}, folder)
        return objective.eval(), folder

    return make


@pytest.fixture
def volume() -> Volume:
    hu = np.random.default_rng(0).normal(-300, 400, (25, 27, 17)).astype(np.float32)
    return Volume(hu, np.diag([-13.0, 12.5, 21.0, 1.0]))


@torch.no_grad()
def features(objective: Objective, volume: Volume) -> torch.Tensor:
    """`(1, n, d)` of all patches, by the objective in training; by its teacher, where it has one."""
    recipe: Any = objective.settings
    vision: Any = objective.teacher["vision"] if recipe.method == "dino" else objective.vision
    tensor, _ = preprocess(volume, recipe.input.spec)
    return vision(tensor[None]).patches


@pytest.mark.parametrize("method", OWN)
def test_every_model_embeds_as_its_encoder_does_and_says_its_method(
    saved: Saved, volume: Volume, method: str
) -> None:
    objective, folder = saved(method)
    model, patches = load(folder), features(objective, volume)[0].numpy()
    np.testing.assert_allclose(model.embed(volume), patches.mean(0), atol=1e-6)
    np.testing.assert_allclose(model.embed(volume, pool="max"), patches.max(0), atol=1e-6)
    assert model.recipe.method == json.loads((folder / "config.json").read_text())["method"] == method


@pytest.mark.parametrize("method", OWN)
def test_scans_in_a_batch_have_the_features_they_have_alone(saved: Saved, method: str) -> None:
    model = load(saved(method)[1])
    volumes = torch.rand(3, 1, 24, 28, 15) * 2 - 1
    together = model.features_of(volumes)
    assert together.shape == (3, 84, 36)
    assert not together.requires_grad
    for i, alone in enumerate(volumes):
        torch.testing.assert_close(model.features_of(alone[None])[0], together[i], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("method", "freeze"), [("ct-clip", True), ("ct-clip", False), ("m3d", True)])
def test_whole_volume_contrast_grounds_by_the_cosine_of_projected_patches_and_sentences(
    saved: Saved, volume: Volume, method: str, freeze: bool
) -> None:
    objective, folder = saved(method, text={"freeze": freeze})
    clip: Any = objective
    tokens = Tokenizer.load(folder / "tokenizer").encode(SENTENCES, 40)
    with torch.no_grad():
        text_features = (
            clip.text.pool(clip.text(tokens.ids, tokens.mask), tokens.mask, "mean") - clip.projection.center
        )
        seen, said = (
            clip.projection.image(features(objective, volume)[0]),
            clip.projection.words(text_features),
        )
        expected = cosine_similarity(said[:, None], seen[None], dim=-1)
    heats = load(folder).ground(volume, SENTENCES)
    for heat, patches in zip(heats, expected.numpy(), strict=True):
        np.testing.assert_allclose(heat.patches.ravel(), patches, atol=1e-5)
        assert len(heat.boxes_mm) == 8  # a tenth of 84 patches


def test_similarity_of_many_scans_is_that_of_each(saved: Saved) -> None:
    model = load(saved("simcrop")[1])
    scans = torch.rand(2, 1, 24, 28, 15) * 2 - 1
    together = model.similarity(scans, SENTENCES)
    assert together.shape == (2, 3, 84)
    torch.testing.assert_close(model.similarity(scans[1:], SENTENCES[2:])[0, 0], together[1, 2])


@pytest.mark.parametrize(("share", "same"), [(0.5, True), (0.0, False)])
def test_sentences_learned_from_lone_patches_are_grounded_in_lone_patches(
    saved: Saved, share: float, same: bool
) -> None:
    scans = torch.rand(2, 1, 24, 28, 15) * 2 - 1
    scans[1, ..., :12, :, :] = scans[0, ..., :12, :, :]  # half of the patches are the same
    model = load(saved("simcrop", align={"cross_image": {"enabled": True, "skip_attention": share}})[1])
    first, second = model.similarity(scans, SENTENCES)
    half = model.grid.count // 2
    assert torch.allclose(first[:, :half], second[:, :half], atol=1e-6) == same
    assert not torch.allclose(first[:, half:], second[:, half:], atol=1e-3)


@pytest.mark.parametrize("method", ["mae", "mrm", "supervised"])
def test_model_that_never_read_a_sentence_says_so_in_one_line(
    saved: Saved, volume: Volume, method: str
) -> None:
    _, folder = saved(method)
    assert {p.name for p in folder.iterdir()} == {"config.json", "model.safetensors"}
    for ask in (lambda m: m.ground(volume, SENTENCES), lambda m: m.encode(SENTENCES)):
        with pytest.raises(SimcropError) as refused:
            ask(load(folder))
        assert refused.value.reason == "no-sentences"
        assert f"a {method} model learns no sentences" in refused.value.sentence
        assert "\n" not in refused.value.sentence


def test_supervised_model_scores_its_labels_by_name(saved: Saved, volume: Volume) -> None:
    objective, folder = saved("supervised")
    supervised: Any = objective
    with torch.no_grad():
        expected = supervised.head(features(objective, volume))[0].sigmoid().tolist()
    assert load(folder).scores(volume) == pytest.approx(dict(zip(LABELS, expected, strict=True)))


@pytest.mark.parametrize("method", ["simcrop", "mae", "ct-clip", "m3d"])
def test_model_without_labels_says_so(saved: Saved, volume: Volume, method: str) -> None:
    with pytest.raises(SimcropError, match=f"a {method} model learns no labels"):
        load(saved(method)[1]).scores(volume)


@pytest.mark.parametrize(
    ("method", "name"), [("ct-clip", "projection.words.weight"), ("supervised", "head.labels.bias")]
)
def test_weights_that_use_needs_must_be_there_and_none_beside_them(
    saved: Saved, method: str, name: str
) -> None:
    _, folder = saved(method)
    path = folder / "model.safetensors"
    state = load_file(path)
    for changed, message in (
        ({k: v for k, v in state.items() if k != name}, name),
        ({**state, "head.odd": torch.zeros(2)}, "head.odd"),
    ):
        save_file(changed, path)
        with pytest.raises(SimcropError, match=message.replace(".", r"\.")):
            load(folder)

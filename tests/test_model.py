"""A model folder: what was trained comes back as it was, and whatever is wrong with the folder is one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import simcrop
from simcrop.config import Recipe, build_recipe
from simcrop.data.preprocess import preprocess
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.data.volume import Volume
from simcrop.engine.checkpoint import trained_state
from simcrop.errors import SimcropError
from simcrop.model import Model, load
from simcrop.model.folder import describe_model, save_model
from simcrop.nn.text_encoder import read_text_encoder
from simcrop.objectives.simcrop import SimCroP

SENTENCES = ["a nodule in the left upper lobe.", "no effusion."]


def trained(recipe: Recipe, bert: Path) -> SimCroP:
    """An objective whose every tensor was moved, as training would."""
    torch.manual_seed(2)
    text, tokenizer = read_text_encoder(bert, recipe.text.freeze), Tokenizer.load(bert)
    objective = SimCroP(recipe, recipe.input.grid, text, tokenizer, center=torch.randn(24))
    with torch.no_grad():
        for parameter in objective.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn_like(parameter)
    return objective.eval()


def save(objective: SimCroP, recipe: Recipe, folder: Path) -> Path:
    folder.mkdir(parents=True)
    save_model(trained_state(objective), recipe, folder)
    describe_model(recipe, objective.text, objective.tokenizer, {"cohort": "toy"}, folder)
    return folder


@pytest.fixture
def recipe(toy_tree: dict[str, Any]) -> Recipe:
    return build_recipe(toy_tree, "toy")


@pytest.fixture
def objective(recipe: Recipe, tiny_bert: Path) -> SimCroP:
    return trained(recipe, tiny_bert)


@pytest.fixture
def folder(objective: SimCroP, recipe: Recipe, tmp_path: Path) -> Path:
    return save(objective, recipe, tmp_path / "run" / "model")


@pytest.fixture
def volume() -> Volume:
    affine = np.diag([-13.0, 12.5, 21.0, 1.0])
    affine[:3, 3] = (150, -170, -160)
    hu = np.random.default_rng(0).normal(-300, 400, (25, 27, 17)).astype(np.float32)
    return Volume(hu, affine)


def refused(path: Path) -> SimcropError:
    with pytest.raises(SimcropError) as refusal:
        load(path)
    assert "\n" not in refusal.value.sentence
    assert str(path) in refusal.value.sentence
    return refusal.value


def test_loaded_model_embeds_as_the_trained_encoder_does(
    objective: SimCroP, folder: Path, volume: Volume, recipe: Recipe
) -> None:
    tensor, _ = preprocess(volume, recipe.input.spec)
    with torch.no_grad():
        expected = objective.vision(tensor[None]).pooled[0].numpy()
    model = load(folder)
    found = model.embed(volume)
    assert found.dtype == np.float32
    assert found.shape == (36,)
    assert not any(module.training for module in model.modules())
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_loaded_model_grounds_as_the_trained_objective_does(
    objective: SimCroP, folder: Path, volume: Volume, recipe: Recipe
) -> None:
    tensor, placement = preprocess(volume, recipe.input.spec)
    tokens = objective.tokenizer.encode(SENTENCES, recipe.text.sentence_length)
    with torch.no_grad():
        text_features = (
            objective.text.pool(objective.text(tokens.ids, tokens.mask), tokens.mask, "cls")
            - objective.projection.center
        )
        seen = objective.projection.vision_proj(objective.vision(tensor[None]).patches)[0]
        cosine = torch.nn.functional.cosine_similarity(text_features[:, None], seen[None], dim=-1)
    expected = cosine.reshape(len(SENTENCES), *objective.grid.shape).numpy()
    heats = load(folder).ground(volume, SENTENCES)
    for heat, patches in zip(heats, expected, strict=True):
        np.testing.assert_allclose(heat.patches, patches, atol=1e-5)
        assert heat.map.shape == volume.shape
        assert heat.map.dtype == np.float32
        np.testing.assert_array_equal(heat.map, placement.to_source(heat.patches))
        assert heat.boxes_mm.shape == (20, 2, 3)  # K = 5 of a quarter of the patches is 20 of all
        best = np.unravel_index(patches.argmax(), patches.shape)
        box = placement.box_mm((int(best[0]), int(best[1]), int(best[2])), recipe.input.patch)
        np.testing.assert_allclose(heat.boxes_mm[0], box)
        assert (np.diff(heat.scores) <= 0).all()
        assert heat.scores[0] == pytest.approx(patches.max(), abs=1e-5)


def test_several_sentences_give_the_same_maps_as_one_by_one(folder: Path, volume: Volume) -> None:
    model = load(folder)
    together = model.ground(volume, SENTENCES, top_k=3)
    for heat, sentence in zip(together, SENTENCES, strict=True):
        alone = model.ground(volume, [sentence], top_k=3)[0]
        np.testing.assert_allclose(alone.map, heat.map, atol=1e-5)
        assert len(alone.boxes_mm) == 3


def test_run_folder_stands_for_its_model_or_its_newest_checkpoint(
    objective: SimCroP, folder: Path, recipe: Recipe
) -> None:
    run = folder.parent
    assert torch.equal(load(run).vision.patch_embed.weight, objective.vision.patch_embed.weight)
    for step, value in ((3, 3.0), (12, 12.0)):
        with torch.no_grad():
            objective.vision.patch_embed.bias.fill_(value)
        checkpoint = save(objective, recipe, run / "checkpoints" / f"step-{step:08d}")
        (checkpoint / "state.json").write_text(f'{{"step": {step}}}')
    shutil.move(folder / "text", run / "checkpoints" / "text")  # which all checkpoints share
    shutil.rmtree(folder)
    assert load(run).vision.patch_embed.bias[0] == 12.0


def test_trained_text_encoder_travels_with_the_model(
    toy_tree: dict[str, Any], tiny_bert: Path, tmp_path: Path
) -> None:
    recipe = build_recipe({**toy_tree, "text": {**toy_tree["text"], "freeze": False}}, "toy")
    objective = trained(recipe, tiny_bert)
    model = load(save(objective, recipe, tmp_path / "model"))
    ours, theirs = objective.text.bert.state_dict(), model.text.bert.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_model_that_uses_minilm_does_not_carry_it(toy_tree: dict[str, Any], tmp_path: Path) -> None:
    from simcrop.weights.embedded import text_encoder_folder

    minilm = text_encoder_folder("minilm")
    recipe = build_recipe({**toy_tree, "text": {"model": "minilm"}}, "toy")
    objective = SimCroP(recipe, recipe.input.grid, read_text_encoder(minilm), Tokenizer.load(minilm))
    folder = save(objective, recipe, tmp_path / "model")
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer"]
    assert load(folder).encode(SENTENCES).shape == (2, 384)


def test_nothing_in_a_model_folder_is_pickled(folder: Path) -> None:
    files = [p for p in folder.rglob("*") if p.is_file()]
    assert {p.suffix for p in files} == {".json", ".safetensors", ".txt"}
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".safetensors":
            length = int.from_bytes(content[:8], "little")
            json.loads(content[8 : 8 + length])
        else:
            content.decode()
    config = json.loads((folder / "config.json").read_text())
    assert config["preprocessing"]["spacing_mm"] == [14, 12, 24]
    assert config["provenance"] == {"cohort": "toy"}
    assert config["method"] == "simcrop"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {k: v for k, v in s.items() if k != "vision.patch_embed.bias"}, "vision.patch_embed.bias"),
        (lambda s: {**s, "vision.blocks.odd": torch.zeros(2)}, "vision.blocks.odd"),
        (lambda s: {**s, "projection.center": torch.zeros(5)}, "projection.center is (5,), expected (24,)"),
    ],
    ids=["missing", "extra", "wrong shape"],
)
def test_weights_that_do_not_fit_are_refused_by_name(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], message: str
) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path)
    error = refused(folder)
    assert error.reason == "weights-mismatch"
    assert message in error.sentence


def test_parts_that_only_training_needs_may_be_left_out(folder: Path, volume: Volume) -> None:
    path = folder / "model.safetensors"
    state = load_file(path)
    before = load(folder).embed(volume)
    save_file({k: v for k, v in state.items() if k.startswith(("vision.", "projection."))}, path)
    np.testing.assert_array_equal(load(folder).embed(volume), before)


@pytest.mark.parametrize("keep", [0, 4, 1000, -1])
def test_damaged_weights_are_refused(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert "damaged" in refused(folder).sentence


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff",
        b'{"format": 1}',
        b'{"format": "new"}',
    ],
)
def test_damaged_config_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    assert refused(folder).reason == "bad-model"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", 3, "reads 2: update simcrop"),
        ("format", 1, "reads 2: train it again"),
        ("architecture", {"vision": {"deep": 3}}, "unknown setting vision.deep"),
        ("architecture", [], "config.json"),
        ("architecture", {"vision": {"dim": 35}}, "vision.dim = 35"),
        ("tokenizer", "0" * 64, "not the one this model was trained with"),
    ],
)
def test_config_of_something_else_is_refused(folder: Path, key: str, value: object, message: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: value}))
    assert message in refused(folder).sentence


def test_changed_tokenizer_is_refused(folder: Path) -> None:
    path = folder / "tokenizer" / "vocab.txt"
    lines = path.read_text().splitlines()
    lines[-1], lines[-2] = lines[-2], lines[-1]
    path.write_text("\n".join(lines) + "\n")
    assert "tokenizer" in refused(folder).sentence
    shutil.rmtree(folder / "tokenizer")
    assert refused(folder).reason == "no-vocabulary"


def test_missing_text_encoder_of_a_model_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "text")
    assert refused(folder).reason == "no-text-encoder"


def test_folder_that_holds_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no model" in refused(tmp_path / "empty").sentence
    assert "no such folder" in refused(tmp_path / "nowhere").sentence
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file")


def test_public_name_gives_the_model(folder: Path) -> None:
    assert isinstance(simcrop.load(folder), Model)


def test_a_scan_that_was_looked_at_is_asked_again_without_a_second_pass(folder: Path, volume: Volume) -> None:
    model, passes = load(folder), []
    model.vision.register_forward_hook(lambda *_: passes.append(1))
    seen = model.look(volume)
    first, second = seen.ground(SENTENCES[:1]), seen.ground(SENTENCES)
    np.testing.assert_allclose(first[0].map, second[0].map, atol=1e-6)
    np.testing.assert_array_equal(seen.embed(), model.look(volume).embed())
    assert len(passes) == 2  # one for each look

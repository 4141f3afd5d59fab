"""The authors' released encoder becomes a model: values by hand, every key accounted for."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from simcrop.config import build_recipe
from simcrop.data.volume import Volume
from simcrop.model import Model, load
from simcrop.model.plain_encoder import encoder
from simcrop.nn.position import sincos_hw
from simcrop.nn.vit import ViT
from simcrop.tasks.training.pretrain import untrained
from simcrop.tasks.weights import import_weights
from simcrop.weights.released import read_released

State = dict[str, Tensor]
SKIPPED = ["bert_encoder", "decoder_blocks", "decoder_embed", "head", "mask_token"]


def write(folder: Path, content: Any) -> Path:
    torch.save(content, folder / "released.pth")
    return folder / "released.pth"


def named(state: State, change: Callable[[str], str]) -> State:
    return {change(name): tensor for name, tensor in state.items()}


def same_weights(one: ViT, other: ViT) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def embedded(model: Model, hu: np.ndarray) -> np.ndarray:
    return model.embed(Volume(hu, np.diag([1.5, 1.5, 3.0, 1.0])))


def scan(model: Model) -> np.ndarray:
    return np.random.default_rng(3).uniform(-990, 990, model.grid.volume).astype(np.float32)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, released: State) -> ViT:
    return read_released(write(tmp_path_factory.mktemp("plain"), {"model": released})).encoder


@pytest.mark.parametrize(("depth", "linear"), [(8, False), (12, True)])
def test_an_imported_model_embeds_what_their_network_gives(
    tmp_path: Path, write_state: Callable, slowly: Callable, depth: int, linear: bool
) -> None:
    state = write_state(depth, patch=(16, 16, 8) if linear else (4, 4, 2))
    stored = dict(state)
    if linear:
        stored["patch_embed.proj.weight"] = state["patch_embed.proj.weight"].flatten(1)
    import_weights("released", write(tmp_path, {"model": stored}), tmp_path / "model")
    model = load(tmp_path / "model", "cpu")
    slow = slowly(state, torch.from_numpy(scan(model) / 1000)).mean(0).numpy()
    np.testing.assert_allclose(embedded(model, scan(model)), slow, atol=2e-6)
    tuned = encoder(tmp_path / "model")
    tokens = tuned(tuned.prepare(Volume(scan(model), np.diag([1.5, 1.5, 3.0, 1.0])))[None])
    np.testing.assert_allclose(tokens[0].mean(0).detach().numpy(), slow, atol=2e-6)
    assert model.recipe.vision.depth == depth
    assert np.abs(slow).max() > 0.1


def test_their_code_is_ours_of_two_axes(plain: ViT, code_by_hand: Callable) -> None:
    shape = (5, 3, 4)
    torch.testing.assert_close(sincos_hw(shape, 128), code_by_hand(shape, 128), atol=1e-6, rtol=0)
    assert plain.settings.pos_embed == "sincos_hw"
    assert plain.grid.volume == (12, 12, 6)


def test_every_key_is_loaded_under_a_name_of_ours_or_named_as_skipped(
    tmp_path: Path, released: State
) -> None:
    line = import_weights("released", write(tmp_path, {"model": released}), tmp_path / "model")
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert set(metrics["renamed"]) | set(metrics["skipped"]) == set(released)
    assert not set(metrics["renamed"]) & set(metrics["skipped"])
    assert all(f"{name} (1)" in line for name in SKIPPED)
    assert "no text side" in line
    model = load(tmp_path / "model", "cpu")
    for theirs, ours in metrics["renamed"].items():
        if theirs != "pos_embed":
            assert torch.equal(model.vision.state_dict()[ours].flatten(), released[theirs].flatten()), theirs
    provenance = json.loads((tmp_path / "model" / "config.json").read_text())["provenance"]
    assert provenance["skipped"] == dict.fromkeys(SKIPPED, 1)
    assert "CC BY-NC-SA" in provenance["data_licence"]
    assert model.recipe.input.spacing_mm == (1.5, 1.5, 3.0)
    assert model.recipe.input.window_hu == (-1000.0, 1000.0)


def beside_text(state: State, prefix: str) -> State:
    return named(state, lambda name: name if name.startswith("bert_encoder") else prefix + name)


SAME: dict[str, Callable[[State], Any]] = {
    "no container": lambda state: state,
    "one container within another": lambda state: {"state_dict": {"model": state}},
    "state_dict": lambda state: {"state_dict": state, "epoch": 139},
    "what a training script saves": lambda state: {
        "model": state,
        "args": argparse.Namespace(lr=1.5e-4, model="mae_vit_base"),
        "loss": np.float64(0.3),
        "epoch": 139,
    },
    "DataParallel": lambda state: {"model": named(state, lambda name: f"module.{name}")},
    "part of a larger model": lambda state: {"model": beside_text(state, "vision_encoder.")},
    "both": lambda state: {"model": named(beside_text(state, "encoder."), lambda name: f"module.{name}")},
    "compiled": lambda state: {"model": named(state, lambda name: f"_orig_mod.{name}")},
    "compiled by block": lambda state: {
        "model": named(state, lambda name: name.replace(".attn.", "._orig_mod.attn."))
    },
    "a linear map without a module of its own": lambda state: {
        "model": named(state, lambda name: name.replace("patch_embed.proj", "patch_embed"))
    },
    "no position of the class token": lambda state: {
        "model": {**state, "pos_embed": state["pos_embed"][:, 1:]}
    },
    "positions on their grid": lambda state: {
        "model": {**state, "pos_embed": state["pos_embed"][:, 1:].reshape(1, 3, 3, 3, 128)}
    },
}


@pytest.mark.parametrize("form", SAME)
def test_the_same_weights_are_found_in_every_form(
    tmp_path: Path, plain: ViT, released: State, form: str
) -> None:
    found = read_released(write(tmp_path, SAME[form](released)))
    assert same_weights(found.encoder, plain)
    assert found.encoder.settings == plain.settings
    assert len(found.renamed) + len(found.skipped) == len(released)
    assert next(iter(found.skipped_groups)) == "bert_encoder"


def test_safetensors_and_old_torch_files_are_read_alike(tmp_path: Path, plain: ViT, released: State) -> None:
    save_file(released, tmp_path / "released.safetensors")
    torch.save({"model": released}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("released.safetensors", "old.pth"):
        assert same_weights(read_released(tmp_path / name).encoder, plain)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_read_and_their_positions_known(
    tmp_path: Path, released: State, kind: torch.dtype
) -> None:
    rounded = {name: tensor.to(kind) for name, tensor in released.items()}
    encoder = read_released(write(tmp_path, {"model": rounded})).encoder
    assert encoder.settings.pos_embed == "sincos_hw"
    assert torch.equal(encoder.patch_embed.bias, rounded["patch_embed.proj.bias"].float())


NOTED: dict[str, tuple[Callable[[Tensor], Tensor], str, str]] = {
    "learned": (lambda codes: codes.flip(2), "learned", "neither their two-axis code"),
    "zero": (lambda codes: codes * 0, "learned", "all zero"),
    "of the class token": (
        lambda codes: torch.cat([torch.linspace(-2, 2, 128).expand(1, 1, -1), codes[:, 1:]], 1),
        "sincos_hw",
        "position of its own",
    ),
}


@pytest.mark.parametrize("case", NOTED)
def test_positions_are_kept_as_they_are_found_and_what_is_odd_is_said(
    tmp_path: Path, released: State, slowly: Callable, case: str
) -> None:
    change, code, note = NOTED[case]
    state = {**released, "pos_embed": change(released["pos_embed"])}
    assert note in import_weights("released", write(tmp_path, {"model": state}), tmp_path / "model")
    model = load(tmp_path / "model", "cpu")
    assert model.recipe.vision.pos_embed == code
    slow = slowly(state, torch.from_numpy(scan(model) / 1000)).mean(0).numpy()
    np.testing.assert_allclose(embedded(model, scan(model)), slow, atol=2e-6)


def test_an_encoder_without_class_token_stays_without(tmp_path: Path, released: State) -> None:
    state = {**released, "pos_embed": released["pos_embed"][:, 1:]}
    del state["cls_token"]
    found = read_released(write(tmp_path, {"model": state}))
    assert found.encoder.cls_token is None
    assert "no class token" in found.notes[0]


def test_a_grid_that_is_no_cube_is_known_by_its_code(tmp_path: Path, write_state: Callable) -> None:
    grid = (2, 5, 3)
    found = read_released(write(tmp_path, {"model": write_state(grid=grid)}))
    assert found.encoder.grid.shape == grid


def test_a_run_starts_from_an_imported_encoder_on_a_grid_of_its_own(
    tmp_path: Path, released: State, toy_cohort: Path
) -> None:
    import_weights("released", write(tmp_path, {"model": released}), tmp_path / "model")
    recipe = build_recipe(
        {
            "method": "mae",
            "input": {"spacing_mm": [14, 12, 24], "shape": [24, 28, 14], "patch": [4, 4, 2]},
            "vision": {"depth": 8, "dim": 128, "heads": 2, "pos_embed": "sincos_hw"},
            "init": {"model": str(tmp_path / "model")},
        },
        "toy",
    )
    vision = load(untrained(toy_cohort, recipe, tmp_path / "start"), "cpu").vision
    for name, tensor in load(tmp_path / "model", "cpu").vision.state_dict().items():
        assert torch.equal(vision.state_dict()[name], tensor), name
    assert torch.equal(vision.position, sincos_hw((6, 7, 7), 128))


def test_at_paper_size_without_positions_the_grid_is_the_paper_s(
    released: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = {128: 768, 384: 2304, 512: 3072}
    state = {
        n: torch.zeros(1).expand([wide.get(size, size) for size in t.shape]) for n, t in released.items()
    }
    state["patch_embed.proj.weight"] = torch.zeros(1).expand(768, 1, 16, 16, 8)
    del state["pos_embed"]
    monkeypatch.setattr("simcrop.weights.released.read_tensors", lambda _: state)
    found = read_released(Path("checkpoint.pth"))
    settings, grid = found.encoder.settings, found.encoder.grid
    assert (settings.depth, settings.dim, settings.heads, settings.mlp_ratio) == (8, 768, 12, 4.0)
    assert (grid.volume, grid.count, grid.patch) == ((224, 224, 112), 2744, (16, 16, 8))
    assert torch.equal(found.encoder.position, sincos_hw((14, 14, 14), 768))
    assert "no pos_embed" in found.notes[0]

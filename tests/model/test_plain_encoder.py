"""The encoder in a loop of one's own: the numbers of the model, a gradient everywhere, and a module like any other.

Axes: b scan, n patch, x y z voxels, d features.
"""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from simcrop.config import build_recipe
from simcrop.errors import SimcropError
from simcrop.model import Model, load
from simcrop.model.folder import describe_model, save_model
from simcrop.model.plain_encoder import Encoder, encoder

VOXELS, FEATURES = (24, 28, 15), 36


def saved(tree: dict[str, Any], folder: Path) -> Path:
    """A model folder of a method without reports, with random weights."""
    recipe = build_recipe(tree, "toy")
    torch.manual_seed(4)
    trained = Model(recipe, None, None).state_dict()
    folder.mkdir(parents=True)
    save_model(trained, recipe, folder)
    describe_model(recipe, None, None, {}, folder)
    return folder


@pytest.fixture
def tree(toy_tree: dict[str, Any]) -> dict[str, Any]:
    return {"method": "mae", "input": toy_tree["input"], "vision": toy_tree["vision"]}


@pytest.fixture
def folder(tree: dict[str, Any], tmp_path: Path) -> Path:
    return saved(tree, tmp_path / "mae")


@pytest.fixture
def plain(folder: Path) -> Encoder:
    return encoder(folder)


@pytest.fixture
def volumes() -> torch.Tensor:
    return torch.rand(2, 1, *VOXELS, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_tokens_are_those_of_the_model_for_a_scan_that_it_prepares(
    plain: Encoder, folder: Path, scan: Callable, save: Callable, tmp_path: Path
) -> None:
    path = save(tmp_path / "ct.nii.gz", scan(1))
    prepared = plain.prepare(path)
    assert (tuple(prepared.shape), prepared.dtype) == ((1, *VOXELS), torch.float32)
    tokens = plain(torch.stack([prepared, plain.prepare(str(path))]))
    assert tokens.shape == (2, plain.grid.count, plain.dim) == (2, 84, FEATURES)
    expected = load(folder, "cpu").tokens(path)
    np.testing.assert_allclose(tokens[1].detach().numpy(), expected.features, atol=1e-6)


@pytest.mark.parametrize("method", ["run", "supervised-cnn"])
def test_a_run_that_reads_reports_and_an_encoder_of_convolutions_serve_alike(
    line: Any, tmp_path: Path, method: str
) -> None:
    cnn = {
        "method": method,
        "input": {"shape": [16, 32, 8], "patch": [8, 4, 2]},
        "head": {"labels": ["Nodule"]},
    }
    path = line.run if method == "run" else saved(cnn, tmp_path / "cnn")
    made = encoder(path)
    tokens = made(torch.zeros(1, 1, *made.grid.volume))
    assert tokens.shape == (1, made.grid.count, made.dim)
    assert tokens.requires_grad


def test_it_is_in_train_mode_and_every_parameter_learns(plain: Encoder, volumes: torch.Tensor) -> None:
    assert all(module.training for module in plain.modules())
    before = copy.deepcopy(plain.state_dict())
    head = nn.Linear(plain.dim, 1)
    optimiser = torch.optim.SGD([*plain.parameters(), *head.parameters()], 0.1)
    loss = (head(plain(volumes).square().mean(1)) - 1).square().mean()
    loss.backward()
    assert [name for name, p in plain.named_parameters() if p.grad is None] == []
    optimiser.step()
    assert not torch.equal(
        plain.state_dict()["vision.patch_embed.weight"], before["vision.patch_embed.weight"]
    )


def test_state_dict_is_named_as_the_weights_of_the_model_and_goes_back_into_it(
    plain: Encoder, folder: Path, volumes: torch.Tensor
) -> None:
    assert set(plain.state_dict()) == set(load_file(folder / "model.safetensors"))
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter += 0.01
    model = load(folder, "cpu")
    model.load_state_dict(plain.state_dict())
    torch.testing.assert_close(model.features_of(volumes), plain(volumes).detach(), rtol=0, atol=1e-6)


def copied(module: Encoder) -> nn.Module:
    return copy.deepcopy(module)


def pickled(module: Encoder) -> nn.Module:
    return pickle.loads(pickle.dumps(module))  # noqa: S301


def in_parallel(module: Encoder) -> nn.Module:
    return nn.DataParallel(module)


def as_a_replica(module: Encoder) -> nn.Module:
    """As `DataParallel` makes them for each card: weights are attributes, and `parameters()` is empty."""
    replicas = {part: part._replicate_for_data_parallel() for part in module.modules()}
    for part, replica in replicas.items():
        for name, child in part.named_children():
            replica._modules[name] = replicas[child]
        for name, parameter in part._parameters.items():
            if parameter is not None:
                replica._parameters.pop(name, None)
                object.__setattr__(replica, name, parameter.detach().clone())
    made = replicas[module]
    assert list(made.parameters()) == []
    return made


@pytest.mark.parametrize("way", [copied, pickled, in_parallel, as_a_replica])
def test_it_does_whatever_modules_do(plain: Encoder, volumes: torch.Tensor, way: Callable) -> None:
    torch.testing.assert_close(way(plain)(volumes), plain(volumes), rtol=0, atol=1e-6)


TRACED = """
import sys, torch, simcrop
plain = simcrop.encoder(sys.argv[1])
volumes = torch.rand(2, 1, *plain.grid.volume)
whole = torch.compile(plain, backend="eager", fullgraph=True)
torch.testing.assert_close(whole(volumes), plain(volumes), rtol=0, atol=1e-6)
with torch.autocast("cpu", torch.bfloat16):
    whole(volumes).float().sum().backward()
assert any(p.grad is not None and p.grad.abs().max() > 0 for p in plain.parameters())
"""


def test_it_is_traced_whole(folder: Path) -> None:
    """By `torch.compile`, without the seconds that machine code takes; in a process that checks no signatures. And as a
    step in bf16 would.
    """
    subprocess.run([sys.executable, "-c", TRACED, folder], check=True)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((2, 1, 24, 15, 28), "reads volumes of (b, 1, 24, 28, 15), got (2, 1, 24, 15, 28)"),
        ((2, 3, 24, 28, 15), "got (2, 3, 24, 28, 15)"),
        ((1, 24, 28, 15), "got (1, 24, 28, 15): one scan wants [None] in front"),
    ],
)
def test_another_shape_is_refused_and_both_are_named(plain: Encoder, shape: tuple, sentence: str) -> None:
    with pytest.raises(SimcropError) as refusal:
        plain(torch.zeros(shape))
    assert refusal.value.reason == "wrong-shape"
    assert sentence in refusal.value.sentence


def test_a_segmentation_and_a_path_that_is_none_are_refused_in_one_line(
    folder: Path, segmenter_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        SimcropError, match=r"segment model, which marks left lung .* simcrop\.load_segmenter"
    ):
        encoder(segmenter_folder)
    with pytest.raises(SimcropError, match="nowhere is not a model or run folder"):
        encoder(tmp_path / "nowhere")
    (tmp_path / "void").mkdir()
    with pytest.raises(SimcropError, match="void holds no model"):
        encoder(str(tmp_path / "void"))
    with pytest.raises(SimcropError, match="'tpu' is no device"):
        encoder(folder, "tpu")

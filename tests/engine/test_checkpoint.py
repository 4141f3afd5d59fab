"""Checkpoints: to the bit and back, whole or not at all."""

import json
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from simcrop.engine.checkpoint import (
    FORMAT,
    checkpoints,
    load_checkpoint,
    load_trained_state,
    save_checkpoint,
    trained_state,
    training_state,
)
from simcrop.engine.optim import OptimSettings, build_optimizer
from simcrop.errors import SimcropError


class Small(nn.Module):
    """A trained layer, a frozen one, a learned token and a buffer."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.trained = nn.Linear(3, 5)
        self.frozen = nn.Linear(5, 5).requires_grad_(False)
        self.token = nn.Parameter(torch.randn(4))
        self.register_buffer("centre", torch.randn(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.frozen(self.trained(x)).sum() * self.token.sum()


def train(module: Small, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    for step in range(first, last):
        optimizer.zero_grad()
        x = torch.randn(2, 3, generator=torch.Generator().manual_seed(step))
        module(x).backward()
        optimizer.step()


def save(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> Path:
    state = training_state(module, optimizer, step)
    return save_checkpoint(folder, state, lambda p: (p / "config.json").write_text("{}") and None)


def test_training_goes_on_from_a_checkpoint_to_the_bit(tmp_path: Path) -> None:
    straight = Small(0)
    straight_optimizer = build_optimizer(straight, OptimSettings())
    train(straight, straight_optimizer, 0, 9)

    first = Small(0)
    optimizer = build_optimizer(first, OptimSettings())
    train(first, optimizer, 0, 4)
    path = save(tmp_path, first, optimizer, 4)
    second = Small(0)
    second.trained.reset_parameters()
    optimizer = build_optimizer(second, OptimSettings())
    assert load_checkpoint(path, second, optimizer) == 4
    train(second, optimizer, 4, 9)
    for name, tensor in straight.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name


def test_frozen_parameters_stay_where_they_came_from() -> None:
    assert sorted(trained_state(Small(0))) == ["centre", "token", "trained.bias", "trained.weight"]
    other = Small(1)
    frozen = other.frozen.weight.clone()
    load_trained_state(other, trained_state(Small(0)))
    assert torch.equal(other.frozen.weight, frozen)
    assert torch.equal(other.trained.weight, Small(0).trained.weight)
    assert torch.equal(other.centre, Small(0).centre)


def test_missing_unknown_or_misshapen_weights_are_refused_by_name() -> None:
    state = trained_state(Small(0))
    for wrong, named in [
        ({k: v for k, v in state.items() if k != "token"}, "token"),
        ({**state, "odd.one": torch.zeros(1)}, "odd.one"),
        ({**state, "token": torch.zeros(3)}, "token"),
    ]:
        with pytest.raises(SimcropError, match=named):
            load_trained_state(Small(1), wrong)


def test_whole_ones_are_listed_oldest_first(tmp_path: Path) -> None:
    module = Small(0)
    optimizer = build_optimizer(module, OptimSettings())
    for step in (100, 5, 10):
        save(tmp_path, module, optimizer, step)
    assert [p.name for p in checkpoints(tmp_path)] == ["step-00000005", "step-00000010", "step-00000100"]
    assert checkpoints(tmp_path / "nowhere") == []


def test_partial_checkpoint_of_a_killed_run_is_ignored_and_replaced(tmp_path: Path) -> None:
    module = Small(0)
    optimizer = build_optimizer(module, OptimSettings())
    save(tmp_path, module, optimizer, 5)
    torn = tmp_path / "step-00000010.partial"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    (tmp_path / "step-00000007").mkdir()  # without state.json: not whole either
    assert [p.name for p in checkpoints(tmp_path)] == ["step-00000005"]
    save(tmp_path, module, optimizer, 10)
    assert not torn.exists()
    assert json.loads((tmp_path / "step-00000010" / "state.json").read_text()) == {
        "step": 10,
        "format": FORMAT,
    }


def test_description_that_fails_leaves_no_checkpoint(tmp_path: Path) -> None:
    module = Small(0)

    def fails(folder: Path) -> None:
        raise OSError(28, "No space left on device", str(folder))

    state = training_state(module, build_optimizer(module, OptimSettings()), 3)
    with pytest.raises(SimcropError, match="No space"):
        save_checkpoint(tmp_path, state, fails)
    assert checkpoints(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_disk_that_takes_no_more_is_one_line_and_keeps_the_old_checkpoint(tmp_path: Path) -> None:
    module = Small(0)
    optimizer = build_optimizer(module, OptimSettings())
    save(tmp_path, module, optimizer, 5)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(SimcropError, match="cannot be written") as refused:
            save(tmp_path, module, optimizer, 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert "\n" not in refused.value.sentence
    assert [p.name for p in checkpoints(tmp_path)] == ["step-00000005"]


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors"])
def test_damaged_checkpoint_is_one_line(tmp_path: Path, name: str) -> None:
    module = Small(0)
    optimizer = build_optimizer(module, OptimSettings())
    train(module, optimizer, 0, 1)
    path = save(tmp_path, module, optimizer, 1)
    (path / name).write_bytes((path / name).read_bytes()[:-3])
    with pytest.raises(SimcropError, match="damaged"):
        load_checkpoint(path, module, optimizer)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state | {"other.exp_avg": torch.zeros(2)},
        lambda state: state | {"other": torch.zeros(2)},
        lambda state: state | {"token.exp_avg": torch.zeros(5)},
        lambda state: {name: tensor for name, tensor in state.items() if name != "token.exp_avg"},
    ],
    ids=["unknown", "no name", "another shape", "in part"],
)
def test_what_the_optimiser_remembers_of_another_network_is_refused_before_anything_changes(
    tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
) -> None:
    module = Small(0)
    optimizer = build_optimizer(module, OptimSettings())
    train(module, optimizer, 0, 1)
    path = save(tmp_path, module, optimizer, 1)
    file = path / "optimizer.safetensors"
    save_file(change(load_file(file)), file)
    again = build_optimizer(module, OptimSettings())
    with pytest.raises(SimcropError, match="damaged"):
        load_checkpoint(path, module, again)
    assert not again.state


def test_parameter_that_was_never_stepped_has_nothing_to_be_remembered(tmp_path: Path) -> None:
    module = Small(0)
    optimizer = build_optimizer(module, OptimSettings())
    module.token.sum().backward()
    optimizer.step()
    path = save(tmp_path, module, optimizer, 1)
    again = build_optimizer(module, OptimSettings())
    assert load_checkpoint(path, module, again) == 1
    assert set(again.state) == {module.token}


def test_checkpoint_of_a_newer_program_is_refused_before_its_files_are_read(tmp_path: Path) -> None:
    module = Small(0)
    optimizer = build_optimizer(module, OptimSettings())
    path = save(tmp_path, module, optimizer, 1)
    (path / "state.json").write_text(json.dumps({"step": 1, "format": FORMAT + 1}))
    (path / "model.safetensors").unlink()
    with pytest.raises(SimcropError, match="update simcrop") as refused:
        load_checkpoint(path, module, optimizer)
    assert str(path) in refused.value.sentence
    assert "\n" not in refused.value.sentence


def test_checkpoint_without_a_format_is_of_the_first(tmp_path: Path) -> None:
    module = Small(0)
    optimizer = build_optimizer(module, OptimSettings())
    path = save(tmp_path, module, optimizer, 7)
    (path / "state.json").write_text('{"step": 7}')
    assert load_checkpoint(path, module, optimizer) == 7


def test_checkpoint_of_another_network_is_one_line_that_names_it(tmp_path: Path) -> None:
    other = nn.Linear(3, 5)
    path = save(tmp_path, other, build_optimizer(other, OptimSettings()), 1)
    module = Small(0)
    with pytest.raises(SimcropError, match="another method") as refused:
        load_checkpoint(path, module, build_optimizer(module, OptimSettings()))
    assert str(path) in refused.value.sentence
    assert "token" in refused.value.sentence

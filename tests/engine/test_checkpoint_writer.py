"""Checkpoints behind the training: what is written is what was asked for, and what fails is told."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
import torch
from torch import nn

from simcrop.engine import checkpoint_writer as writing
from simcrop.engine.checkpoint import TrainingState, checkpoints, load_checkpoint, training_state
from simcrop.engine.checkpoint_writer import checkpoint_writer
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.fit import fit
from simcrop.engine.optim import OptimSettings, build_optimizer
from simcrop.errors import SimcropError

ALONE = DistributedContext(0, 1, torch.device("cpu"))


def describe(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


class Gate:
    """Stands for a slow disk: each checkpoint waits until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.opened, self.inside, self.most = Event(), Event(), 0, 0
        save = writing.save_checkpoint

        def slow(*args) -> Path:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.begun.set()
            assert self.opened.wait(20)
            done = save(*args)
            self.inside -= 1
            return done

        monkeypatch.setattr(writing, "save_checkpoint", slow)


def module_and_optimizer() -> tuple[nn.Module, torch.optim.Optimizer]:
    module = nn.Linear(3, 5)
    optimizer = build_optimizer(module, OptimSettings())
    module(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    return module, optimizer


def test_steps_taken_while_the_disk_works_are_not_in_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, (module, optimizer) = Gate(monkeypatch), module_and_optimizer()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    moments = training_state(module, optimizer, 4).copied_to_cpu().optimizer
    with checkpoint_writer(tmp_path, describe, 2) as writer:
        writer.write(training_state(module, optimizer, 4))
        assert gate.begun.wait(20)
        optimizer.step()  # the training goes on
        assert checkpoints(tmp_path) == []
        gate.opened.set()
    (found,) = checkpoints(tmp_path)
    assert load_checkpoint(found, module, optimizer) == 4
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in before.items())
    again = training_state(module, optimizer, 4).optimizer
    assert all(torch.equal(again[name], tensor) for name, tensor in moments.items())


def test_one_checkpoint_at_most_is_on_its_way_and_the_last_is_waited_for(
    toy: Callable, job: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, run = Gate(monkeypatch), job("a", every=1, steps=9)
    gate.opened.set()
    assert fit(toy(), run, ALONE).finished
    assert gate.most == 1
    names = [path.name for path in checkpoints(run.folder / "checkpoints")]
    assert names == ["step-00000008", "step-00000009"]


def test_what_fails_behind_the_training_stops_it_in_the_same_one_line(
    toy: Callable, job: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> Path:
        state = args[1]
        assert isinstance(state, TrainingState)
        raise SimcropError("write-failed", f"step {state.step} cannot be written")

    run = job("a", every=4, epochs=200)
    done: list[int] = []

    def patient(step: int, total: int, words: str) -> None:
        del total, words
        done.append(step)
        if step > 4:
            time.sleep(0.05)

    monkeypatch.setattr(writing, "save_checkpoint", full)
    with pytest.raises(SimcropError, match="step 4 cannot be written"):
        fit(toy(), run, ALONE, progress=patient)
    assert done[-1] <= 8  # told at the next step, and at the next checkpoint at the latest


def test_error_of_the_training_is_told_before_that_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise SimcropError("write-failed", "no room")

    monkeypatch.setattr(writing, "save_checkpoint", full)

    def train(fails: bool) -> None:
        with checkpoint_writer(tmp_path, describe, 2) as writer:
            writer.write(training_state(*module_and_optimizer(), 4))
            if fails:
                raise ValueError("the training's own")

    with pytest.raises(ValueError, match="the training's own"):
        train(fails=True)
    with pytest.raises(SimcropError, match="no room"):
        train(fails=False)


def test_all_of_a_checkpoint_is_on_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    flush, rename = os.fsync, os.rename

    def flushed(file: int) -> None:
        events.append(Path(f"/proc/self/fd/{file}").readlink().relative_to(tmp_path).as_posix())
        flush(file)

    def renamed(old: Path, new: Path) -> None:
        events.append(f"{Path(new).name}!")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "rename", renamed)
    with checkpoint_writer(tmp_path, describe, 2) as writer:
        writer.write(training_state(*module_and_optimizer(), 3))
    named = events.index("step-00000003!")
    inside = {"model.safetensors", "optimizer.safetensors", "state.json", "config.json"}
    assert {p.name for p in (tmp_path / "step-00000003").iterdir()} == inside
    assert {f"step-00000003.partial/{name}" for name in inside} <= set(events[:named])
    assert events[named - 1] == "step-00000003.partial"
    assert events[named + 1 :] == ["."]

"""Checkpoints behind the training: what is written is what was asked for, and what fails is told."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Condition, Event
from typing import Any

import pytest
import torch
from torch import nn

from simcrop.engine import checkpoint_writer as writing
from simcrop.engine.checkpoint import (
    CheckpointSettings,
    TrainingState,
    checkpoints,
    load_checkpoint,
    training_state,
)
from simcrop.engine.checkpoint_writer import checkpoint_writer
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.fit import fit
from simcrop.engine.journal import read_journal
from simcrop.engine.optim import OptimSettings, build_optimizer
from simcrop.errors import SimcropError

SETTINGS = CheckpointSettings(keep=2)
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
    with checkpoint_writer(tmp_path, describe, SETTINGS) as writer:
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


class FullDisk:
    """Takes no checkpoint of these steps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
        self.asked: list[int] = []
        self.answered = Condition()
        save = writing.save_checkpoint

        def perhaps(folder: Path, state: TrainingState, *rest: Any) -> Path:
            with self.answered:
                self.asked.append(state.step)
                self.answered.notify_all()
            if state.step in steps:
                raise SimcropError("write-failed", f"step {state.step} cannot be written: no space")
            return save(folder, state, *rest)

        monkeypatch.setattr(writing, "save_checkpoint", perhaps)

    def is_awaited(self, done: int, total: int, words: str) -> None:
        """Progress of a run that asks at every fourth step: the disk has refused before many more are done."""
        del total, words
        with self.answered:
            assert self.answered.wait_for(lambda: len(self.asked) >= (done - 1) // 4, 20)
        time.sleep(0.005)  # until it has also been said


def test_run_goes_on_when_the_disk_is_full_says_so_once_and_tries_again(
    toy: Callable, job: Callable, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    disk, run = FullDisk(monkeypatch, 8, 12, 20), job("a", every=4, steps=24, epochs=200)
    whole, disturbed = toy(), toy()
    assert fit(disturbed, run, ALONE, progress=disk.is_awaited).finished
    assert disk.asked == [4, 8, 12, 16, 20, 24]
    told = capfd.readouterr().err.splitlines()
    assert [line.split(";")[0] for line in told] == [
        "step 8 cannot be written: no space",  # and not again for 12
        "step 20 cannot be written: no space",
    ]
    assert all("the run goes on" in line for line in told)
    rows = read_journal(run.folder / "journal.jsonl")
    failed = [row["checkpoint_failed"] for row in rows if "checkpoint_failed" in row]
    assert failed == [{f"step-{step:08d}": "write-failed"} for step in (8, 12, 20)]
    assert [path.name for path in checkpoints(run.folder / "checkpoints")] == [
        "step-00000016",
        "step-00000024",
    ]
    monkeypatch.undo()
    fit(whole, job("whole", steps=24, epochs=200), ALONE)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), disturbed.parameters(), strict=True))


@pytest.mark.parametrize("stopped", [False, True])
def test_checkpoint_that_is_the_last_must_be_written(
    toy: Callable, job: Callable, stop_at: Callable, stopped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch, 6, 8)
    run = job("a", every=4, steps=8, epochs=200)
    progress = stop_at(6) if stopped else disk.is_awaited
    with pytest.raises(SimcropError, match=rf"step {6 if stopped else 8} .*no space; .*--resume"):
        fit(toy(), run, ALONE, progress=progress)
    assert [path.name for path in checkpoints(run.folder / "checkpoints")] == ["step-00000004"]


def test_checkpoint_is_due_by_the_clock_as_well(
    toy: Callable, job: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    run = job("a", every=1000, steps=6, epochs=200)
    settings = CheckpointSettings(every=5, minutes=0.05 / 60)

    def slow(done: int, total: int, words: str) -> None:
        del total, words
        time.sleep(0.06 if done == 2 else 0)

    fit(toy(), replace(run, checkpoint=settings), ALONE, progress=slow)
    assert {2, 5, 6} <= set(disk.asked)


def test_error_of_the_training_is_told_before_that_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise SimcropError("write-failed", "no room")

    monkeypatch.setattr(writing, "save_checkpoint", full)

    def train(fails: bool) -> None:
        with checkpoint_writer(tmp_path, describe, SETTINGS) as writer:
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
    with checkpoint_writer(tmp_path, describe, SETTINGS) as writer:
        writer.write(training_state(*module_and_optimizer(), 3))
    named = events.index("step-00000003!")
    inside = {"model.safetensors", "optimizer.safetensors", "state.json", "config.json"}
    assert {p.name for p in (tmp_path / "step-00000003").iterdir()} == inside
    assert {f"step-00000003.partial/{name}" for name in inside} <= set(events[:named])
    assert events[named - 1] == "step-00000003.partial"
    assert events[named + 1 :] == ["."]

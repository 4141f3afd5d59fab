"""kill -9 at twenty moments, on one process and on two: in the end everything is as in a run that nothing disturbed.

The moments are drawn from a seed: at any file that the run opens, renames or removes, also within a checkpoint and its
rotation; at the start of a step; and some milliseconds after it. By forks of this process, which need no imports.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from ranks import codes, lines, ranks
from torch import Tensor, nn

from simcrop.engine import company
from simcrop.engine.checkpoint import CheckpointSettings, checkpoints, load_checkpoint, training_state
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.fit import fit
from simcrop.engine.job import Job
from simcrop.engine.journal import read_journal
from simcrop.engine.optim import build_optimizer
from simcrop.engine.speed import TIMINGS

pytestmark = pytest.mark.limit(600)
ALONE = DistributedContext(0, 1, torch.device("cpu"))
KILLS, STEPS, SEED = 20, 90, 16
FILES = {"open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "shutil.rmtree"}
Toy = Callable[..., nn.Module]


@dataclass
class Death:
    """Of the process `rank`, at the `count`-th time that something of this `kind` happens to it, or `delay` seconds
    later.
    """

    rank: int
    kind: str
    count: int
    delay: float

    def listen(self, event: str, args: tuple[Any, ...]) -> None:
        """What Python says of each file that is touched; those that are not of the run, modules above all, are no
        event.
        """
        if event in FILES and "/run/" in str(args[0]):
            self.happens("file")

    def happens(self, kind: str) -> None:
        if kind == self.kind:
            self.count -= 1
            if self.count == 0:
                Thread(target=self.come, daemon=True).start() if self.delay else self.come()

    def come(self) -> None:
        time.sleep(self.delay)
        os.kill(os.getpid(), signal.SIGKILL)


def death(chance: random.Random, world: int) -> Death:
    """A journal is opened at once, and a checkpoint of every second step touches some twenty files."""
    kind = chance.choice(["file", "file", "step"])
    rank = 0 if kind == "file" else chance.randrange(world)
    delay = chance.choice([0.0, chance.uniform(0, 0.02)])
    return Death(rank, kind, chance.randrange(1, 60 if kind == "file" else 6), delay)


class Noted(nn.Module):
    """The toy, that writes down what it is given, step by step, and says when a step begins."""

    def __init__(self, inner: nn.Module, order: Path, hears: Callable[[], None]) -> None:
        super().__init__()
        self.inner, self.order, self.hears = inner, order, hears

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def draw(self, batch: Any, seed: int, first: int) -> Any:
        with self.order.open("a") as file:
            file.write(f"{seed} {first} {' '.join(batch.ids)} {batch.x.sum().item()}\n")
        self.hears()
        return self.inner.draw(batch, seed, first)

    def forward(self, batch: Any) -> dict[str, Tensor]:
        return self.inner(batch)


def work(toy: Toy, run: Job, end: Death | None = None) -> Callable[[DistributedContext], bool]:
    """A life of a run, up to `end`."""

    def live(context: DistributedContext) -> bool:
        mine = end if end and end.rank == context.rank else Death(0, "", 0, 0)
        if mine.kind == "file":
            sys.addaudithook(mine.listen)
        order = run.folder / f"order-{context.rank}.txt"
        return fit(
            Noted(toy(shaky=True), order, lambda: mine.happens("step")), run, context, resume=True
        ).finished

    return live


@dataclass(frozen=True)
class Left:
    """What a run leaves: weights and optimiser by name, the journal but for its timing, and what was read for what."""

    tensors: dict[str, Tensor]
    rows: list[dict[str, Any]]
    order: list[set[str]]


def left_by(toy: Toy, run: Job, world: int) -> Left:
    module = Noted(toy(shaky=True), run.folder, lambda: None)
    optimizer = build_optimizer(module, run.optim)
    assert load_checkpoint(checkpoints(run.folder / "checkpoints")[-1], module, optimizer) == STEPS
    state = training_state(module, optimizer, STEPS)
    rows = [
        {name: value for name, value in row.items() if name not in TIMINGS}
        for row in read_journal(run.folder / "journal.jsonl")
    ]
    order = [set((run.folder / f"order-{rank}.txt").read_text().splitlines()) for rank in range(world)]
    return Left({**state.weights, **{f"optimizer {k}": v for k, v in state.optimizer.items()}}, rows, order)


def lasting(run: Job) -> Job:
    return replace(run, checkpoint=CheckpointSettings(every=2, keep=2, keep_every=10))


@pytest.mark.parametrize("world", [1, 2])
def test_run_that_is_killed_twenty_times_ends_as_one_that_nothing_disturbed(
    toy: Toy, job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: int
) -> None:
    monkeypatch.setattr(company, "BEAT_S", 0.02)
    settings = {"steps": STEPS, "epochs": 100}
    straight, run = (lasting(job(name, **settings)) for name in ("straight", "run"))
    with ranks(world, work(toy, straight), tmp_path) as processes:
        assert codes(processes, 120) == [0] * world, lines(tmp_path)

    chance, ends, torn = random.Random(SEED + world), [], 0
    for kills in range(KILLS):
        ends.append(death(chance, world))
        what = f"seed {SEED + world}, {kills} kills so far, the last lives: {ends[-3:]}"
        said = tmp_path / f"life-{len(ends)}"
        said.mkdir()
        with ranks(world, work(toy, run, replace(ends[-1])), said) as processes:
            code = codes(processes, 60)
        assert code[ends[-1].rank] == -signal.SIGKILL, f"{what}: {code}, {lines(said)}"
        torn += any((run.folder / "checkpoints").glob("step-*.*"))
        if world == 2:
            assert code[1 - ends[-1].rank] == 2, f"{what}: {code}, {lines(said)}"
            (line,) = lines(said)
            assert line.startswith(f"error: rank {ends[-1].rank} of 2 ended without a word"), what
    assert torn > 2, "the seed meets no checkpoint that is being written or dropped"
    with ranks(world, work(toy, run), tmp_path) as processes:
        assert codes(processes, 120) == [0] * world, lines(tmp_path)

    expected, found = (left_by(toy, one, world) for one in (straight, run))
    assert expected.tensors.keys() == found.tensors.keys()
    differ = [
        name for name, tensor in expected.tensors.items() if not torch.equal(tensor, found.tensors[name])
    ]
    assert differ == [], f"seed {SEED + world}: {ends}"
    other = [(a, b) for a, b in zip(found.rows, expected.rows, strict=True) if a != b]
    assert other == [], f"seed {SEED + world}: {ends}"
    assert [row["step"] for row in found.rows] == list(range(1, STEPS + 1))
    assert found.order == expected.order, f"seed {SEED + world}: {ends}"
    assert [len(seen) for seen in found.order] == [STEPS] * world
    names = [sorted(path.name for path in (one.folder / "checkpoints").iterdir()) for one in (straight, run)]
    kept = [*range(10, STEPS, 10), STEPS - 2, STEPS]
    assert names[0] == names[1] == [f"step-{step:08d}" for step in kept]


def test_run_goes_on_with_another_number_of_processes_to_tolerance(
    toy: Toy, job: Callable[..., Job], stop_at: Callable, tmp_path: Path
) -> None:
    whole, alone, run = toy(), toy(), job("run")
    fit(whole, job("whole"), ALONE)
    stopping = stop_at(8, signal.SIGTERM)
    with ranks(2, lambda context: fit(toy(), run, context, progress=stopping).finished, tmp_path) as both:
        assert codes(both) == [130, 130]
    assert fit(alone, run, ALONE, resume=True).finished
    for a, b in zip(whole.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    rows = [read_journal(job(name).folder / "journal.jsonl") for name in ("run", "whole")]
    for a, b in zip(*rows, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-3)

"""Two processes: whatever ends one ends both, in one line that names the rank; a step that hangs shows its stacks."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import codes, lines, ranks
from torch import nn

from simcrop.engine import checkpoint_writer, company
from simcrop.engine.checkpoint import checkpoints
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.fit import fit
from simcrop.engine.job import Job
from simcrop.engine.journal import read_journal
from simcrop.errors import SimcropError

pytestmark = pytest.mark.limit(120)
Build = Callable[..., Job]
Toy = Callable[..., nn.Module]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(company, "BEAT_S", 0.1)


class Faulty(nn.Module):
    """Does something else in the third look at a batch that rank 1 takes."""

    def __init__(self, inner: nn.Module, rank: int, act: Callable[[], None]) -> None:
        super().__init__()
        self.inner, self.act, self.left = inner, act, 3 if rank == 1 else -1

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def forward(self, batch: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            self.act()
        return self.inner(batch)


def trained(toy: Toy, run: Job, act: Callable[[], None]) -> Callable[[DistributedContext], bool]:
    return lambda context: fit(Faulty(toy(), context.rank, act), run, context).finished


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


FAULTS = {
    "scan": (
        SimcropError("corrupt-volume", "study line-3: damaged"),
        "error: rank 1 of 2: study line-3: damaged",
    ),
    "memory": (
        torch.OutOfMemoryError("CUDA out of memory"),
        "error: rank 1 of 2: out of memory: lower engine.micro_batch (3 now) or set engine.recompute=true; "
        "--resume then goes on from the newest checkpoint",
    ),
    "system": (
        OSError(5, "Input/output error", "/scans/3"),
        "error: rank 1 of 2: /scans/3: Input/output error",
    ),
    "fault": (
        KeyError("words of a report"),
        "error: rank 1 of 2: a fault in simcrop, KeyError; --debug shows the trace, which may quote your data",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_error_in_one_ends_both_in_one_line_that_names_the_rank(
    toy: Toy, job: Build, tmp_path: Path, name: str
) -> None:
    error, line = FAULTS[name]
    with ranks(2, trained(toy, job("a", every=1), raising(error)), tmp_path) as both:
        assert codes(both) == [2, 2]
    assert lines(tmp_path) == [line]
    assert checkpoints(tmp_path / "a" / "checkpoints")[-1].name == "step-00000002"


def test_scan_that_rank_1_cannot_read_is_told_once_with_rank_and_study(
    toy: Toy, job: Build, tmp_path: Path
) -> None:
    run = job("a")
    lost = run.order.draws(1)[-1].index  # the last of a batch is read by the last rank

    def collate(samples: list[Any]) -> Any:
        if f"line-{lost}" in [name for name, _ in samples]:
            return SimcropError("missing-file", f"study line-{lost}: gone")
        return run.collate(samples)

    work = trained(toy, replace(run, collate=collate), lambda: None)
    with ranks(2, work, tmp_path) as both:
        assert codes(both) == [2, 2]
    rank = next(
        r for s in range(9) for r in (0, 1) if lost in [d.index for d in run.order.draws(s)][3 * r :][:3]
    )
    assert lines(tmp_path) == [f"error: rank {rank} of 2: study line-{lost}: gone"]


@dataclass(frozen=True)
class Gone:
    """A line that cannot be read, and is replaced."""

    id: str
    error: SimcropError


@pytest.mark.parametrize("allowed", [1 / 11, 0.0])
def test_scan_that_rank_1_replaces_is_in_the_journal_or_ends_both_above_the_share(
    toy: Toy, job: Build, tmp_path: Path, allowed: float
) -> None:
    run = job("a")
    lost = f"line-{run.order.draws(0)[-1].index}"
    gone = Gone(f"other-{lost}", SimcropError("corrupt-volume", f"study other-{lost}: damaged"))

    def collate(samples: list[Any]) -> Any:
        batch = run.collate(samples)
        object.__setattr__(batch, "unread", (gone,) if lost in batch.ids else ())
        return batch

    work = trained(toy, replace(run, collate=collate, unreadable=allowed), lambda: None)
    with ranks(2, work, tmp_path) as both:
        assert codes(both) == ([0, 0] if allowed else [2, 2])
    if allowed:
        assert read_journal(run.folder / "journal.jsonl")[0]["unread"] == {gone.id: "corrupt-volume"}
        assert lines(tmp_path) == []
    else:
        (line,) = lines(tmp_path)
        assert line.startswith(f"error: rank 1 of 2: study other-{lost}: damaged; 1 of 11 cannot be read")


def test_loss_that_is_not_finite_is_told_once(toy: Toy, job: Build, tmp_path: Path) -> None:
    broken = job("a", batch=2).order.draws(0)[1].index
    with ranks(2, trained(toy, job("a", (broken,), batch=2), lambda: None), tmp_path) as both:
        assert codes(both) == [2, 2]
    (line,) = lines(tmp_path)
    assert line.startswith("error: step 1: the loss is not finite")
    assert f"on rank 1 of 2, studies line-{broken};" in line


def test_last_checkpoint_that_cannot_be_written_ends_both(
    toy: Toy, job: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise SimcropError("write-failed", "step-00000003: the checkpoint cannot be written: no space")

    monkeypatch.setattr(checkpoint_writer, "save_checkpoint", full)
    with ranks(2, trained(toy, job("a", every=2, steps=3), lambda: None), tmp_path) as both:
        assert codes(both) == [2, 2]
    goes_on, last = lines(tmp_path)
    assert "the run goes on" in goes_on
    assert last.startswith("error: rank 0 of 2: step-00000003: the checkpoint cannot be written: no space;")


def test_setting_that_all_refuse_is_told_once_and_blames_no_rank(
    toy: Toy, job: Build, tmp_path: Path
) -> None:
    with ranks(2, trained(toy, job("a", batch=7), lambda: None), tmp_path) as both:
        assert codes(both) == [2, 2]
    assert lines(tmp_path) == ["error: optim.batch = 7 cannot be shared by 2 processes in micro-batches of 3"]


def seconds_of_life(run: Job) -> None:
    """Until the first rows are written."""
    deadline = time.monotonic() + 30
    while not (run.folder / "journal.jsonl").exists() or not (run.folder / "journal.jsonl").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("rank", [0, 1])
def test_rank_that_is_killed_is_named_by_the_other(toy: Toy, job: Build, tmp_path: Path, rank: int) -> None:
    run = job("a", epochs=100_000)
    with ranks(2, trained(toy, run, lambda: None), tmp_path) as both:
        seconds_of_life(run)
        assert both[rank].pid is not None
        os.kill(both[rank].pid, signal.SIGKILL)
        assert codes(both)[1 - rank] == 2
    (line,) = lines(tmp_path)
    assert line.startswith(
        f"error: rank {rank} of 2 ended without a word, killed perhaps or for lack of memory"
    )
    assert "--resume" in line


@pytest.mark.parametrize("rank", [0, 1])
def test_rank_that_is_killed_is_named_by_one_that_waits_without_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    """As for a card that waits for another, which no signal and no lost connection cuts short."""
    monkeypatch.setattr(company, "PATIENCE_S", 0.3)

    def work(context: DistributedContext) -> bool:
        (tmp_path / str(context.rank)).touch()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(100)
        return True

    with ranks(2, work, tmp_path) as both:
        deadline = time.monotonic() + 30
        while not all((tmp_path / str(one)).exists() for one in (0, 1)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.5)  # some signs of life
        assert both[rank].pid is not None
        os.kill(both[rank].pid, signal.SIGKILL)
        both[rank].join()  # as torchrun's agent does: until then it is not gone
        assert codes(both)[1 - rank] == 2
    (line,) = lines(tmp_path)
    assert line.startswith(f"error: rank {rank} of 2 ended without a word")


def test_rank_that_has_gone_its_way_is_not_missed(tmp_path: Path) -> None:
    def work(context: DistributedContext) -> bool:
        time.sleep(0.3 if context.rank else 1.5)
        return True

    with ranks(2, work, tmp_path) as both:
        both[1].join()
        assert codes(both) == [0, 0]
    assert lines(tmp_path) == []


def test_rank_that_never_asks_for_the_others_is_ended_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "PATIENCE_S", 0.3)

    def work(context: DistributedContext) -> bool:
        if context.rank == 1:
            raise SimcropError("missing-file", "study line-4: gone")
        time.sleep(100)
        return True

    with ranks(2, work, tmp_path) as both:
        assert codes(both) == [2, 2]
    assert lines(tmp_path) == ["error: rank 1 of 2: study line-4: gone"]


def test_interrupt_of_one_before_the_first_step_is_one_of_both(tmp_path: Path) -> None:
    def work(context: DistributedContext) -> bool:
        if context.rank == 1:
            raise KeyboardInterrupt
        context.barrier()
        return True

    with ranks(2, work, tmp_path) as both:
        assert codes(both) == [130, 130]
    assert lines(tmp_path) == []


def test_step_that_hangs_shows_the_stacks_of_both_and_may_still_go_on(
    toy: Toy, job: Build, tmp_path: Path
) -> None:
    stacks = [tmp_path / "a" / f"stacks-{rank}.txt" for rank in (0, 1)]

    def hang_in_the_file_server() -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if all(path.exists() and "most recent call first" in path.read_text() for path in stacks):
                time.sleep(0.2)
                return
            time.sleep(0.01)

    run = job("a")
    engine = run.engine.model_copy(update={"stalled_minutes": 0.5 / 60})
    with ranks(2, trained(toy, replace(run, engine=engine), hang_in_the_file_server), tmp_path) as both:
        assert codes(both) == [0, 0]
    (line,) = lines(tmp_path)
    assert line.startswith("no step for 0.00833333 minutes after step 2; where each process is")
    assert str(tmp_path / "a") in line
    waits, hangs = (path.read_text() for path in stacks)
    assert "in hang_in_the_file_server" in hangs
    assert "in hang_in_the_file_server" not in waits
    assert "in backward" in waits  # it waits for the gradient of the other

"""What a run may live with, in itself and over its resumes; and what ends it, in all processes at once."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from simcrop.engine.checkpoint import CheckpointSettings, checkpoints
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.fit import fit, restore
from simcrop.engine.incidents import Incidents, agree_on_unread, earlier_incidents
from simcrop.engine.job import Job
from simcrop.engine.journal import read_journal
from simcrop.engine.optim import build_optimizer
from simcrop.errors import AgreedError, SimcropError

pytestmark = pytest.mark.limit(300)
Build = Callable[..., Job]
Toy = Callable[..., nn.Module]
ALONE = DistributedContext(0, 1, torch.device("cpu"))


@dataclass(frozen=True)
class Gone:
    """A line that cannot be read."""

    id: str
    error: SimcropError


def gone(name: str) -> Gone:
    return Gone(name, SimcropError("corrupt-volume", f"study {name}: damaged"))


def tolerant(run: Job, steps: int) -> Job:
    engine = run.engine.model_copy(update={"skip_non_finite": steps})
    return replace(run, engine=engine, checkpoint=CheckpointSettings(every=1, keep=100))


def rows_of(run: Job) -> list[dict[str, Any]]:
    return read_journal(run.folder / "journal.jsonl")


def test_step_that_is_not_finite_is_skipped_as_often_as_allowed(toy: Toy, job: Build) -> None:
    run = tolerant(job("a", broken=(5,), batch=3), 2)
    with pytest.raises(SimcropError, match=r"not finite.*line-5"):
        fit(toy(), run, ALONE)
    skipped = [row for row in rows_of(run) if "skipped" in row]
    assert len(skipped) == 2
    for row in skipped:
        assert "line-5" in row["skipped"]
        assert len(row["skipped"]) == 3
        assert "loss" not in row
    saved = {int(path.name[5:]): path for path in checkpoints(run.folder / "checkpoints")}
    after = skipped[0]["step"]
    for name in ("model", "optimizer"):  # neither has noticed
        before, since = (saved[step] / f"{name}.safetensors" for step in (after - 1, after))
        assert before.read_bytes() == since.read_bytes()


def test_resumed_run_counts_what_it_skipped_before(toy: Toy, job: Build) -> None:
    run = job("a", broken=(5,), batch=3)
    known = 0
    for allowed, goes_on in ((1, True), (1, False), (2, True)):
        with pytest.raises(SimcropError, match="not finite"):
            fit(toy(), tolerant(run, allowed), ALONE, resume=True)
        assert (len(rows_of(run)) > known) == goes_on
        known = len(rows_of(run))
    assert sum("skipped" in row for row in rows_of(run)) == 2


def losing(run: Job, lost: Sequence[str]) -> Job:
    """A job whose batches tell that these of their lines stand in for others that cannot be read."""

    def collate(samples: list[tuple[str, Tensor]]) -> Any:
        batch = run.collate(samples)
        unread = tuple(gone(f"other-{name}") for name in batch.ids if name in lost)
        object.__setattr__(batch, "unread", unread)
        return batch

    return replace(run, collate=collate)


def test_few_unread_samples_are_named_in_the_journal_and_change_nothing_else(toy: Toy, job: Build) -> None:
    whole, losses = toy(), toy()
    fit(whole, job("whole"), ALONE)
    run = replace(losing(job("a"), ["line-2", "line-7"]), unreadable=2 / 11)  # of eleven, each in every epoch
    assert fit(losses, run, ALONE).finished
    named = [row["unread"] for row in rows_of(run) if "unread" in row]
    assert len(named) > 2
    assert {name for unread in named for name in unread} == {"other-line-2", "other-line-7"}
    assert {reason for unread in named for reason in unread.values()} == {"corrupt-volume"}
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), losses.parameters(), strict=True))


def test_more_unread_samples_than_allowed_end_the_run_even_over_resumes(toy: Toy, job: Build) -> None:
    steps = job("a").steps
    few = replace(losing(job("a"), ["line-2"]), unreadable=1 / 11)
    fit(
        toy(),
        replace(few, checkpoint=CheckpointSettings(every=steps)),
        ALONE,
        progress=stop_after_unread(few),
    )
    more = losing(few, ["line-7"])
    with pytest.raises(
        SimcropError, match=r"study other-line-7: damaged; 2 of 11 cannot be read.*data\.unreadable"
    ):
        fit(toy(), more, ALONE, resume=True)


def test_where_a_study_gives_several_samples_the_share_is_that_of_studies(toy: Toy, job: Build) -> None:
    few, fewer = (
        replace(losing(job(f"of-{studies}"), ["line-2"]), unreadable=2 / 11, studies=studies)
        for studies in (6, 5)
    )
    assert fit(toy(), few, ALONE).finished
    with pytest.raises(SimcropError, match="1 of 5 cannot be read"):
        fit(toy(), fewer, ALONE)


def stop_after_unread(run: Job) -> Callable[[int, int, str], None]:
    """Progress that interrupts once the journal names a line."""

    def look(done: int, total: int, words: str) -> None:
        del done, total, words
        if any("unread" in row for row in rows_of(run)):
            os.kill(os.getpid(), signal.SIGTERM)

    return look


@dataclass(frozen=True)
class Two(DistributedContext):
    """This process and another, which has something to tell whenever this one asks; its lists, one after the other."""

    theirs: Iterator[list[Any]] = field(default_factory=lambda: iter(()))

    def any_rank(self, flag: bool) -> bool:
        del flag
        return True

    def all_gather(self, mine: list[Any]) -> list[Any]:
        return mine + next(self.theirs)


def two(*theirs: list[Any]) -> Two:
    return Two(0, 2, torch.device("cpu"), theirs=iter(theirs))


def test_what_happens_in_another_process_counts_here_and_is_told_with_its_rank() -> None:
    told = agree_on_unread([], Incidents(), 11, 0.5, two([], [(1, gone("a"))]))
    assert told == {"unread": {"a": "corrupt-volume"}}
    with pytest.raises(AgreedError, match="rank 1 of 2: study b: damaged; 2 of 11"):
        agree_on_unread([], Incidents({"a"}), 11, 0.1, two([], [(1, gone("b"))]))
    with pytest.raises(AgreedError, match="rank 1 of 2: no setting"):
        agree_on_unread([], Incidents(), 11, 1.0, two([(1, SimcropError("bad-setting", "no setting"))], []))
    assert earlier_incidents([{"step": 1, "skipped": ["a"]}], two([])).skipped == 1


def test_processes_that_see_other_checkpoints_end_at_once(toy: Toy, job: Build) -> None:
    run = job("a", steps=4)
    fit(toy(), run, ALONE)
    optimizer = build_optimizer(toy(), run.optim)
    with pytest.raises(SimcropError, match=r"different checkpoints here \(none, step-00000004\)") as stopped:
        restore(toy(), optimizer, run, True, two(["none"]))
    assert stopped.value.reason == "other-checkpoints"

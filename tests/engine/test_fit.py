"""The one loop on a toy: it learns, resumes to the bit, accumulates, and stops when told or when numbers break."""

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from simcrop.engine.checkpoint import checkpoints
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.fit import fit
from simcrop.engine.job import Job
from simcrop.engine.journal import read_journal
from simcrop.engine.speed import TIMINGS
from simcrop.errors import SimcropError

Build = Callable[..., Job]
Toy = Callable[..., nn.Module]
ALONE = DistributedContext(0, 1, torch.device("cpu"))


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


class Killed(BaseException):
    """Stands for a process that ends without a word."""


def test_loss_falls_and_every_step_is_in_the_journal(toy: Toy, job: Build) -> None:
    run = job("a", steps=200, epochs=200)
    fitted = fit(toy(), run, ALONE)
    rows = read_journal(run.folder / "journal.jsonl")
    assert fitted.finished
    assert [row["step"] for row in rows] == list(range(1, 201))
    assert rows[-1]["epoch"] == pytest.approx(200 * 6 / 11, abs=1e-4)
    assert sum(r["guess"] for r in rows[-20:]) < sum(r["guess"] for r in rows[:20]) / 3
    for row in rows:
        assert row["loss"] == pytest.approx(2.0 * row["guess"] + 0.5 * row["small"], rel=1e-5)
        assert row["volumes_per_s"] > 0
        assert 0 <= row["data_wait"] <= 1


def test_run_ends_with_its_epochs_or_earlier_when_steps_say_so(job: Build) -> None:
    assert job("a").steps == 21  # 11 epochs of 11 samples in batches of 6, rounded up
    assert job("a", steps=5).steps == 5
    beyond = job("a", steps=500)
    assert beyond.steps == 21
    assert "optim.epochs = 11 ends the run after step 21, before optim.steps = 500" in beyond.cut_short
    assert (job("a").cut_short, job("a", steps=5).cut_short, job("a", steps=21).cut_short) == ("", "", "")


def test_interrupted_run_ends_with_the_weights_of_an_undisturbed_one(toy: Toy, job: Build) -> None:
    whole, broken = toy(shaky=True), toy(shaky=True)
    fit(whole, job("whole"), ALONE)

    def die(done: int, total: int, words: str) -> None:
        del total, words
        if done == 10:
            raise Killed

    run = job("broken")
    with pytest.raises(Killed):
        fit(broken, run, ALONE, progress=die)
    assert [p.name for p in checkpoints(run.folder / "checkpoints")] == ["step-00000004", "step-00000008"]
    torch.manual_seed(99)  # a new process has another global generator
    resumed = toy(shaky=True)
    assert fit(resumed, run, ALONE, resume=True).finished
    assert same(resumed, whole)
    rows, straight = (read_journal(run.folder.parent / n / "journal.jsonl") for n in ("broken", "whole"))
    times = dict.fromkeys(TIMINGS, 0)
    assert [{**row, **times} for row in rows] == [{**row, **times} for row in straight]


def test_resuming_a_finished_run_changes_nothing(toy: Toy, job: Build) -> None:
    first, again = toy(), toy()
    run = job("a")
    fit(first, run, ALONE)
    fitted = fit(again, run, ALONE, resume=True)
    assert (fitted.steps, fitted.finished) == (21, True)
    assert same(first, again)
    assert len(read_journal(run.folder / "journal.jsonl")) == 21


@pytest.mark.parametrize("micro", [1, 2, 3])
def test_micro_batches_add_up_to_the_whole_batch(toy: Toy, job: Build, micro: int) -> None:
    whole, parts = toy(), toy()
    fit(whole, job("whole"), ALONE)
    fit(parts, job("parts", micro=micro), ALONE)
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    rows = [read_journal(job(name).folder / "journal.jsonl") for name in ("whole", "parts")]
    for a, b in zip(*rows, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-3)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-2)


def test_batch_that_cannot_be_shared_is_refused(toy: Toy, job: Build) -> None:
    with pytest.raises(SimcropError, match=r"optim\.batch = 6 .* micro-batches of 4"):
        fit(toy(), job("a", micro=4), ALONE)
    with pytest.raises(SimcropError, match="4 processes"):
        job("a").share(DistributedContext(0, 4, torch.device("cpu")))


def test_loss_that_is_not_finite_stops_with_the_studies_and_an_intact_checkpoint(
    stop_at: Callable, toy: Toy, job: Build
) -> None:
    run = job("a", every=1, batch=3)
    broken = {draw.index for draw in run.order.draws(2)} - {
        draw.index for step in (0, 1) for draw in run.order.draws(step)
    }
    assert broken  # a line that is drawn in the third step and not before
    objective, good = toy(), toy()
    run = job("a", every=1, broken=tuple(broken), batch=3)
    with pytest.raises(SimcropError) as stopped:
        fit(objective, run, ALONE)
    assert stopped.value.reason == "non-finite-loss"
    assert "step 3" in stopped.value.sentence
    assert "\n" not in stopped.value.sentence
    for index in broken:
        assert f"line-{index}" in stopped.value.sentence
    assert checkpoints(run.folder / "checkpoints")[-1].name == "step-00000002"
    fit(good, job("good", batch=3), ALONE, progress=stop_at(2))
    assert same(objective, good)  # the broken step moved nothing


def test_error_of_a_loading_process_keeps_its_sentence(toy: Toy, job: Build) -> None:
    def collate(samples: list[tuple[str, Tensor]]) -> SimcropError:
        return SimcropError("missing-file", f"study {samples[0][0]}: gone")

    with pytest.raises(SimcropError, match="study line-") as stopped:
        fit(toy(), replace(job("a"), collate=collate, workers=1), ALONE)
    assert stopped.value.reason == "missing-file"
    assert multiprocessing.active_children() == []


def test_clipping_bounds_the_step_and_the_journal_keeps_the_true_norm(toy: Toy, job: Build) -> None:
    free, clipped = toy(), toy()
    fit(free, job("free", steps=1), ALONE)
    fit(clipped, job("clipped", steps=1, clip_grad=1e-4), ALONE)
    rows = [read_journal(job(name).folder / "journal.jsonl") for name in ("free", "clipped")]
    assert rows[0][0]["grad_norm"] == rows[1][0]["grad_norm"] > 1e-4
    norm = torch.nn.utils.get_total_norm([p.grad for p in clipped.parameters() if p.grad is not None])
    assert float(norm) == pytest.approx(1e-4, rel=1e-2)


def test_bf16_computes_otherwise_but_keeps_weights_in_single_precision(
    toy: Toy, job: Build, tmp_path: Path
) -> None:
    run = job("a", steps=3)
    half = replace(run, engine=run.engine.model_copy(update={"precision": "bf16"}), folder=tmp_path / "half")
    half.folder.mkdir()
    single, mixed = toy(), toy()
    fit(single, run, ALONE)
    fit(mixed, half, ALONE)
    assert not same(single, mixed)
    assert all(p.dtype == torch.float32 for p in mixed.parameters())


class Nosy:
    """A monitor that asks for randomness, and remembers how it found the model."""

    def __init__(self, objective: nn.Module) -> None:
        self.objective, self.modes = objective, []

    def __call__(self) -> dict[str, float]:
        self.modes.append((self.objective.training, torch.is_grad_enabled()))
        torch.manual_seed(77)
        return {"drawn": float(torch.rand(())), "first": float(next(self.objective.parameters()).sum())}


def test_monitoring_a_run_changes_nothing_in_it(toy: Toy, job: Build) -> None:
    plain, watched = toy(shaky=True), toy(shaky=True)
    fit(plain, job("plain"), ALONE)
    nosy = Nosy(watched)
    fit(watched, replace(job("watched"), monitor=nosy), ALONE)
    assert same(plain, watched)
    assert nosy.modes == [(False, False)] * 5
    assert watched.training
    rows, straight = (read_journal(job(name).folder / "journal.jsonl") for name in ("watched", "plain"))
    assert [row["step"] for row in rows if "monitored" in row] == [4, 8, 13, 17, 21]
    assert [row["loss"] for row in rows] == [row["loss"] for row in straight]
    assert rows[-1]["monitored"]["first"] == float(next(watched.parameters()).detach().sum())


def test_resumed_run_is_monitored_where_an_undisturbed_one_is(
    stop_at: Callable, toy: Toy, job: Build
) -> None:
    whole, broken, resumed = toy(shaky=True), toy(shaky=True), toy(shaky=True)
    fit(whole, replace(job("whole"), monitor=Nosy(whole)), ALONE)
    run = replace(job("broken"), monitor=Nosy(broken))
    fit(broken, run, ALONE, progress=stop_at(8))
    fit(resumed, replace(run, monitor=Nosy(resumed)), ALONE, resume=True)
    assert same(resumed, whole)
    rows, straight = (read_journal(job(name).folder / "journal.jsonl") for name in ("broken", "whole"))
    assert [row.get("monitored") for row in rows] == [row.get("monitored") for row in straight]

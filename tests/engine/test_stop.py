"""Signals, lost and hanging loading processes: the step in hand is finished and saved, and nobody is left behind."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from simcrop.engine.checkpoint import checkpoints
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.fit import fit
from simcrop.engine.job import Job
from simcrop.engine.journal import read_journal
from simcrop.engine.order import SampleDraw
from simcrop.engine.stop import STOP_SIGNALS, stop_requests
from simcrop.errors import SimcropError

pytestmark = pytest.mark.limit(240)
Build = Callable[..., Job]
Toy = Callable[..., nn.Module]
ALONE = DistributedContext(0, 1, torch.device("cpu"))


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_signal_finishes_the_step_saves_and_can_be_resumed(
    stop_at: Callable, toy: Toy, job: Build, number: int
) -> None:
    run = job("a")
    before = signal.getsignal(number)
    fitted = fit(toy(), run, ALONE, progress=stop_at(7, number))
    assert (fitted.steps, fitted.finished) == (7, False)
    assert checkpoints(run.folder / "checkpoints")[-1].name == "step-00000007"
    assert signal.getsignal(number) is before
    resumed, whole = toy(), toy()
    assert fit(resumed, run, ALONE, resume=True).finished
    fit(whole, job("whole"), ALONE)
    assert same(resumed, whole)


def test_signal_in_the_last_step_is_a_finished_run(stop_at: Callable, toy: Toy, job: Build) -> None:
    assert fit(toy(), job("a", steps=5), ALONE, progress=stop_at(5)).finished


class Again:
    """Progress that sends a signal twice after three steps."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, done: int, total: int, words: str) -> None:
        del total, words
        if done == 3:
            os.kill(os.getpid(), self.number)
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ("number", "patience"), [(signal.SIGINT, 60), (signal.SIGTERM, 0), (signal.SIGUSR1, 0)]
)
def test_echo_of_a_signal_does_no_harm(
    toy: Toy, job: Build, number: int, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simcrop.engine.stop.AGAIN_S", patience)
    assert fit(toy(), job("a"), ALONE, progress=Again(number)).steps == 3
    assert checkpoints(job("a").folder / "checkpoints")[-1].name == "step-00000003"


def test_second_interrupt_ends_at_once(toy: Toy, job: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simcrop.engine.stop.AGAIN_S", 0)
    with pytest.raises(KeyboardInterrupt):
        fit(toy(), job("a"), ALONE, progress=Again(signal.SIGINT))


def test_signal_before_the_first_step_ends_at_once_and_only_once() -> None:
    with stop_requests() as asked, stop_requests() as inner:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # while it cleans up
        assert inner is asked


def test_what_nohup_started_outlives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_requests() as asked:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not asked.stop
            assert signal.getsignal(signal.SIGTERM) is asked
    finally:
        signal.signal(signal.SIGHUP, before)


def test_processes_whose_torchrun_died_save_and_end(
    toy: Toy, job: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")

    def orphan(done: int, total: int, words: str) -> None:
        del total, words
        if done == 3:
            monkeypatch.setattr(os, "getppid", lambda: 1)

    assert fit(toy(), job("a"), ALONE, progress=orphan).steps == 3


class SignalToWorkers:
    """Progress that sends a signal to both loading processes after five steps."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, done: int, total: int, words: str) -> None:
        del total, words
        if done == 5:
            workers = multiprocessing.active_children()
            assert len(workers) == 2
            for worker in workers:
                assert worker.pid is not None
                os.kill(worker.pid, self.number)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_signal_to_a_whole_group_does_no_harm_to_loading(toy: Toy, job: Build, number: int) -> None:
    loaded, plain = toy(), toy()
    run = replace(job("loaded"), workers=2)
    assert fit(loaded, run, ALONE, progress=SignalToWorkers(number)).finished
    fit(plain, job("plain"), ALONE)
    assert same(loaded, plain)


# torch opens files to count the free ones as the next process's death interrupts it
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_killed_loading_process_is_one_line_and_the_run_goes_on_from_its_checkpoint(
    toy: Toy, job: Build
) -> None:
    run, again, whole = replace(job("a", epochs=30), workers=2), toy(), toy()
    with pytest.raises(SimcropError) as stopped:
        fit(toy(), run, ALONE, progress=SignalToWorkers(signal.SIGKILL))
    assert stopped.value.reason == "loading-process-lost"
    assert len(str(stopped.value).splitlines()) == 1
    assert "loading process ended" in str(stopped.value)
    assert "lower data.workers" in str(stopped.value)
    assert multiprocessing.active_children() == []
    done, saved = read_journal(run.folder / "journal.jsonl"), checkpoints(run.folder / "checkpoints")
    assert 5 <= len(done) < run.steps
    assert int(saved[-1].name.removeprefix("step-")) == len(done) // 4 * 4
    assert fit(again, replace(run, workers=0), ALONE, resume=True).finished
    fit(whole, job("whole", epochs=30), ALONE)
    assert same(again, whole)


class Hanging(Dataset):
    """Lines of which those that are not in `known` never come."""

    def __init__(self, known: set[SampleDraw]) -> None:
        self.known = known

    def __len__(self) -> int:
        return 11

    def __getitem__(self, draw: SampleDraw) -> tuple[str, Tensor]:
        if draw not in self.known:
            time.sleep(60)
        return f"line-{draw.index}", torch.zeros(4)


def test_loading_process_that_hangs_is_ended(
    stop_at: Callable, toy: Toy, job: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simcrop.engine.loading.PATIENCE_S", 0.2)
    run = replace(job("a"), workers=1)
    hanging = replace(run, dataset=Hanging(set(run.order.draws(0))))
    started = time.monotonic()
    assert fit(toy(), hanging, ALONE, progress=stop_at(1)).steps == 1
    assert time.monotonic() - started < 4
    assert multiprocessing.active_children() == []

"""Trainings side by side: the models are those of one after the other, and whatever ends one is heard.

The first process of the first test is started afresh, as users start all; the others are forks of a server that has
imported everything, since an import takes seconds.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

from simcrop.engine.checkpoint import checkpoints
from simcrop.errors import SimcropError
from simcrop.experiments.arms import MAE, RANDOM
from simcrop.experiments.side_by_side import Training, run_all

pytestmark = pytest.mark.limit(600)
SMALL = (
    "input.spacing_mm=[14, 12, 24]",
    "input.shape=[24, 28, 15]",
    "input.patch=[6, 4, 5]",
    "vision.dim=36",
    "vision.depth=1",
    "optim.batch=2",
    "optim.steps=3",
)
LONG = (*SMALL, "optim.steps=100000", "optim.epochs=100000", "checkpoint.every=100000")

Build = Callable[..., Training]


def say_nothing(_: str) -> None:
    pass


def server() -> BaseContext:
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["simcrop.experiments.side_by_side"])
    return found


@pytest.fixture
def first_afresh(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ways in which processes were asked to be started; only the first is taken at its word."""
    forking, real, asked = server(), multiprocessing.get_context, []

    def context(way: str) -> BaseContext:
        asked.append(way)
        return real(way) if len(asked) == 1 else forking

    monkeypatch.setattr("simcrop.experiments.side_by_side.multiprocessing.get_context", context)
    return asked


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    forking = server()
    monkeypatch.setattr("simcrop.experiments.side_by_side.multiprocessing.get_context", lambda _: forking)


@pytest.fixture
def training(toy_cohort: Path, tmp_path: Path) -> Build:
    return lambda name, seed=1, arm=MAE, common=SMALL: Training(
        arm, toy_cohort, tmp_path / name, seed, common
    )


def has_begun(journal: Path) -> bool:
    return journal.exists() and journal.stat().st_size > 0


def weights(training: Training) -> bytes:
    return (training.folder / "model/model.safetensors").read_bytes()


def test_models_do_not_depend_on_how_many_are_trained_at_once(
    training: Build, first_afresh: list[str]
) -> None:
    several = [training("a"), training("b", 2), training("c", arm=RANDOM)]
    messages: list[str] = []
    run_all(several, 2, messages.append)
    assert messages == [one.name for one in several]
    assert first_afresh == ["spawn"] * 3
    one_by_one = [
        replace(one, folder=one.folder.with_name(f"{one.folder.name}-one_by_one")) for one in several
    ]
    run_all(one_by_one, 1, say_nothing)  # in this process, which has one thread as well
    assert [weights(one) for one in several] == [weights(one) for one in one_by_one]
    run_all(several, 2, messages.append)
    assert len(messages) == 3, "what was trained is trained again"


@pytest.mark.usefixtures("forked")
def test_an_error_of_one_is_raised_and_stops_the_others(training: Build) -> None:
    bad = training("bad", common=(*SMALL, "optim.lr=1e30", "optim.warmup_epochs=0", "optim.steps=50"))
    with pytest.raises(SimcropError, match="the loss is not finite"):
        run_all([bad, training("long", common=LONG)], 2, say_nothing)
    assert not (training("long").folder / "model").exists()


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_trainings_are_saved(training: Build, number: int) -> None:
    """The processes hear of it from this one; what they hear themselves comes on top."""
    first, second = training("a", common=LONG), training("b", 2, common=LONG)
    before = signal.getsignal(number)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as under nohup, from where processes inherit it

    def interrupt() -> None:
        journals = [one.folder / "journal.jsonl" for one in (first, second)]
        deadline = time.monotonic() + 120
        while not all(journal.exists() and journal.stat().st_size for journal in journals):
            if (
                time.monotonic() > deadline
            ):  # the trainings end, too, and the test says that nobody was interrupted
                break
            time.sleep(0.05)
        os.kill(os.getpid(), number)
        for child in multiprocessing.active_children():
            child.terminate()

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_all([first, second], 2, say_nothing)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert signal.getsignal(number) is before
    assert not multiprocessing.active_children()
    for one in (first, second):
        assert checkpoints(one.folder / "checkpoints")
        assert not one.done


@pytest.mark.usefixtures("forked")
def test_a_killed_process_is_one_line(training: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    from simcrop.experiments import side_by_side

    real = side_by_side.start

    def start_and_kill(training: Training):
        link, process = real(training)
        process.kill()
        return link, process

    monkeypatch.setattr(side_by_side, "start", start_and_kill)
    with pytest.raises(SimcropError, match="MAE, seed 1: its process was killed") as caught:
        run_all([training("a")], 2, say_nothing)
    assert caught.value.reason == "worker-died"

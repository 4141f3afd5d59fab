"""Every signal, to the process and to its group, with and without loading processes: the step in hand is saved, and a
resumed run ends with the weights of an undisturbed one. By forks of this process, which need no imports.
"""

import multiprocessing
import multiprocessing.process
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import product
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import torch
from ranks import codes, lines, ranks
from torch import nn

from simcrop.engine.checkpoint import checkpoints
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.fit import fit
from simcrop.engine.job import Job
from simcrop.engine.stop import STOP_SIGNALS

pytestmark = pytest.mark.limit(400)
PATIENCE = 90  # seconds for what takes a moment where nothing else runs
ALONE = DistributedContext(0, 1, torch.device("cpu"))
MEETS = 3  # the step in hand when the signal comes


def train(build: Callable[..., nn.Module], job: Job, begun: Event, sent: Event) -> None:
    """In a process that leads a group of its own, and in which a step lasts until the signal is there."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def meet(done: int, total: int, words: str) -> None:
        del total, words
        if done == MEETS:
            begun.set()
            assert sent.wait(PATIENCE)

    fitted = fit(build(), job, ALONE, progress=meet)
    sys.stdout.flush()
    os._exit(0 if fitted.finished else 130)


def end(process: multiprocessing.process.BaseProcess) -> None:
    """One that does not heed its signal, with its loading processes: whoever started it would wait for it."""
    if process.exitcode is None:
        assert process.pid is not None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()


@pytest.fixture(scope="module")
def whole() -> dict[str, torch.Tensor]:
    """Filled by the first case: the weights of an undisturbed run."""
    return {}


@pytest.mark.parametrize(("number", "group", "workers"), list(product(STOP_SIGNALS, (False, True), (0, 2))))
def test_a_signal_ends_a_run_after_the_step_in_hand_and_costs_nothing(
    toy: Callable[..., nn.Module],
    job: Callable[..., Job],
    whole: dict[str, torch.Tensor],
    number: int,
    group: bool,
    workers: int,
) -> None:
    run = replace(job("stopped", every=100), workers=workers)
    fork = multiprocessing.get_context("fork")
    begun, sent = fork.Event(), fork.Event()
    process = fork.Process(target=train, args=(toy, run, begun, sent))
    process.start()
    assert process.pid is not None
    try:
        assert begun.wait(PATIENCE), "the run does not begin"
        (os.killpg if group else os.kill)(process.pid, number)
        sent.set()
        process.join(PATIENCE)
    finally:
        end(process)
    assert process.exitcode == 130
    saved = checkpoints(run.folder / "checkpoints")
    assert len(saved) == 1
    assert MEETS <= int(saved[0].name.removeprefix("step-")) < run.steps

    again = toy()
    assert fit(again, replace(run, workers=0), ALONE, resume=True).finished
    if not whole:
        plain = toy()
        fit(plain, job("plain"), ALONE)
        whole |= plain.state_dict()
    assert all(torch.equal(tensor, whole[name]) for name, tensor in again.state_dict().items())


def test_ctrl_c_at_two_processes_saves_once_and_costs_nothing(
    toy: Callable[..., nn.Module], job: Callable[..., Job], tmp_path: Path
) -> None:
    """To each with all that it has started, as torchrun passes on what a terminal sends."""
    run, straight = replace(job("stopped", every=100), workers=1), job("straight", every=100)

    fork = multiprocessing.get_context("fork")
    begun, sent = fork.Semaphore(0), fork.Event()

    def meeting(context: DistributedContext) -> bool:
        def meet(done: int, total: int, words: str) -> None:
            del total, words
            if done == MEETS:
                begun.release()
                assert sent.wait(PATIENCE)

        return fit(toy(), run, context, progress=meet).finished

    with ranks(2, meeting, tmp_path) as both:
        assert all(begun.acquire(timeout=PATIENCE) for _ in both), "the run does not begin"
        for process in both:
            assert process.pid is not None
            os.killpg(process.pid, signal.SIGINT)
        sent.set()
        assert codes(both) == [130, 130], lines(tmp_path)
    (saved,) = checkpoints(run.folder / "checkpoints")
    assert MEETS <= int(saved.name.removeprefix("step-")) < run.steps

    def to_the_end(context: DistributedContext) -> bool:
        jobs = (straight, replace(run, workers=0))
        return all(fit(toy(), one, context, resume=True).finished for one in jobs)

    with ranks(2, to_the_end, tmp_path) as both:
        assert codes(both) == [0, 0], lines(tmp_path)
    last = [checkpoints(one.folder / "checkpoints")[-1] for one in (run, straight)]
    assert last[0].name == last[1].name
    for name in ("model.safetensors", "optimizer.safetensors"):
        first, second = (path / name for path in last)
        assert first.read_bytes() == second.read_bytes()

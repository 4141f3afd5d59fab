"""The figures of a journal's row: a share of a measured limit, peak memory, time left; never a guess."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from simcrop.engine import speed
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.fit import fit
from simcrop.engine.job import Job
from simcrop.engine.journal import read_journal
from simcrop.engine.speed import TIMINGS, Speed, flops_per_s, in_words, peak_bytes

CPU = torch.device("cpu")
ALONE = DistributedContext(0, 1, CPU)


def test_share_of_the_limit_is_flops_over_seconds_and_all_devices(
    job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "flops_per_s", lambda *_: 2e12)
    run = replace(job("a"), flops=5e11)  # batch 6
    figures = Speed(run, ALONE).figures(3, 3.0, 0.6)
    assert tuple(figures) == TIMINGS
    assert figures["of_limit"] == pytest.approx(5e11 * 6 / 3.0 / 2e12)
    assert (figures["volumes_per_s"], figures["data_wait"]) == (2.0, 0.2)
    two = Speed(run, DistributedContext(0, 2, CPU)).figures(3, 3.0, 0.6)
    assert two["of_limit"] == figures["of_limit"] / 2


def test_time_left_is_that_of_the_steps_of_this_process(job: Callable[..., Job]) -> None:
    figures = Speed(job("a"), ALONE)  # 21 steps
    times = iter([104.0, 108.0])
    figures.pace.clock, figures.pace.started = lambda: next(times), 100.0
    assert figures.figures(11, 4.0, 0.0)["left_s"] == 40.0
    assert figures.figures(12, 4.0, 0.0)["left_s"] == 36.0


def test_what_nobody_counted_or_measured_is_null_and_not_guessed(job: Callable[..., Job]) -> None:
    assert Speed(job("a"), ALONE).figures(1, 1.0, 0.0)["of_limit"] is None
    assert flops_per_s(torch.device("mps"), "fp32") is None
    other = DistributedContext(0, 1, torch.device("meta"))
    assert Speed(replace(job("a"), flops=1.0), other).figures(1, 1.0, 0.0)["of_limit"] is None


def test_the_limit_of_a_processor_is_that_of_a_product_and_draws_nothing() -> None:
    state = torch.get_rng_state()
    flops_per_s.cache_clear()
    assert 1e8 < flops_per_s(CPU, "fp32") < 1e14
    assert torch.equal(torch.get_rng_state(), state)


def test_peak_memory_holds_what_was_allocated_and_given_back() -> None:
    before = peak_bytes(CPU)
    size = before + 50_000_000
    block = torch.ones(size // 4)
    assert peak_bytes(CPU) >= size > before
    del block
    assert peak_bytes(CPU) >= size, "it is the peak, and not what is held now"


def test_a_run_with_a_count_learns_the_same_to_the_bit(
    toy: Callable[..., nn.Module], job: Callable[..., Job]
) -> None:
    plain, counted = toy(shaky=True), toy(shaky=True)
    fit(plain, job("plain"), ALONE)
    flops_per_s.cache_clear()  # so that it is measured between the start and the first step
    run = replace(job("counted"), flops=1e6)
    fit(counted, run, ALONE)
    assert all(map(torch.equal, plain.parameters(), counted.parameters()))
    assert all(row["of_limit"] > 0 for row in read_journal(run.folder / "journal.jsonl"))


def test_a_person_reads_the_same_figures() -> None:
    row = {"loss": 1.5, "volumes_per_s": 2.0, "data_wait": 0.05, "of_limit": 0.42, "left_s": 3909.4}
    assert in_words(row) == "loss 1.500  2.00 volumes/s  42% of the device  waiting for data 5%  1:05:09 left"
    assert "of the device" not in in_words({**row, "of_limit": None})
    assert in_words({key: row[key] for key in row if key != "loss"}).startswith("skipped: loss not finite")

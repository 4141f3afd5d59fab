"""`benchmarks/methods.py`: a row for each method, whose figures follow from one another."""

from collections.abc import Callable
from typing import Any

import pytest


def test_a_method_in_its_own_process_is_measured_as_in_this_one(
    script: Callable, report_of: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = script("methods")

    def here(name: str) -> dict[str, Any]:
        chosen = benchmark.arguments()
        return benchmark.step_of(name, chosen, benchmark.Clock(benchmark.choose_device("cpu")))

    monkeypatch.setattr(benchmark, "in_own_process", here)
    words = ("--size", "tiny", "--scans", "2", "--repeats", "1", "--threads", "1", "--device", "cpu")
    report = report_of("methods", "--methods", "mae", *words)
    assert report["setting"] == {"size": "tiny", "scans": 2, "repeats": 1, "clock": "wall"}
    row = report["methods"]["mae"]
    assert row["recipe"] == "mae-tiny"
    # What runs is what is counted, by another counter.
    assert row["product_gflop_per_scan"] == row["gflop_per_scan"] == pytest.approx(5.63, abs=0.01)
    share = row["product_limit_seconds_per_scan"] / row["seconds_per_scan"]
    assert row["share_of_product_limit"]["ratio"] == pytest.approx(share, rel=0.05)
    assert row["peak_gib"] > row["counted_gib"] > 0.04  # libraries come on top


def test_a_process_is_told_whose_step_to_take(script: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark, started = script("methods"), []

    class Done:
        returncode, stdout = 0, '{"seconds_per_scan": 2.0}'

    def run(words: list[str], **_: object) -> Done:
        started.append(words)
        return Done()

    monkeypatch.setattr(benchmark.subprocess, "run", run)
    monkeypatch.setattr("sys.argv", ["methods.py", "--size", "tiny"])
    assert benchmark.in_own_process("mae") == {"seconds_per_scan": 2.0}
    assert started[0][2:] == ["--size", "tiny", "--alone", "mae"]
    Done.returncode = 1
    assert benchmark.in_own_process("mae") == {"failed": "exit 1"}


def test_an_unknown_method_is_refused(
    script: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["methods.py", "--methods", "mae,segment"])
    with pytest.raises(SystemExit):
        script("methods").arguments()
    assert "no method 'segment'" in capsys.readouterr().err

"""`benchmarks/train.py` at toy size: one run for each codec, and the journal's figures of the steps that count."""

from collections.abc import Callable
from typing import Any


def test_a_run_for_each_codec(report_of: Callable[..., dict[str, Any]]) -> None:
    words = ("--size", "tiny", "--patients", "6", "--steps", "4", "--first", "2", "--workers", "1")
    report = report_of("train", *words, "--makers", "1", "--set", "optim.batch=2", "--set", "vision.depth=1")
    assert [row["codec"] for row in report["runs"]] == ["lz4", "raw"]
    assert report["setting"]["recipe"] == "simcrop-tiny"
    for row in report["runs"]:
        assert row["steps"] == len(row["volumes_per_s_by_step"]) == 4
        assert row["command_s"] > 0
        assert row["volumes_per_s"]["min"] <= row["volumes_per_s"]["mean"] <= row["volumes_per_s"]["max"]
        assert 0 <= row["data_wait"]["mean"] <= 1

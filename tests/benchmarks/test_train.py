"""`benchmarks/train.py` at toy size: a run for each way, and the journal's figures of the steps that count."""

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest

from simcrop.cli.app import main


def here(*words: object) -> float:
    """A command in this process."""
    with redirect_stdout(StringIO()), pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert not ended.value.code
    return 1.0


def test_a_run_for_each_way(
    script: Callable, report_of: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = script("train")
    monkeypatch.setattr(benchmark, "simcrop", here)
    monkeypatch.setitem(benchmark.WAYS, "again", ())
    words = ("--size", "tiny", "--patients", "4", "--steps", "3", "--first", "1", "--workers", "0")
    small = ("--set", "optim.batch=2", "--set", "vision.depth=1", "--set", "vision.dim=48")
    report = report_of("train", *words, "--makers", "1", "--codecs", "raw", "--ways", "plain,again", *small)
    assert [(row["codec"], row["way"]) for row in report["runs"]] == [("raw", "plain"), ("raw", "again")]
    assert report["setting"]["recipe"] == "simcrop-tiny"
    for row in report["runs"]:
        assert row["steps"] == len(row["volumes_per_s_by_step"]) == 3
        assert row["command_s"] == 1
        assert row["volumes_per_s"]["min"] <= row["volumes_per_s"]["mean"] <= row["volumes_per_s"]["max"]
        assert 0 <= row["data_wait"]["mean"] <= 1


def test_a_command_that_fails_ends_it(script: Callable) -> None:
    with pytest.raises(SystemExit, match="simcrop ingest ended with 2:\nerror: "):
        script("train").simcrop("ingest", "nowhere", "--out", "cohort")

"""`benchmarks/start.py`: its index is a cohort with reports as many and as different as asked for. No axes."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from simcrop.data.report import Report
from simcrop.data.store.cohort import open_cohort


def test_made_up_index_is_a_cohort_whose_sentences_are_those_that_were_counted(
    script: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    distinct = script("start").write_index(tmp_path / "cohort", 200)
    cohort = open_cohort(tmp_path / "cohort")
    split = [Report(study.findings, study.impression).sentences for study in cohort]
    assert len(split) == 200
    assert len({sentence for report in split for sentence in report}) == distinct
    assert sum(map(len, split)) / 200 == pytest.approx(16.3, abs=1)
    assert distinct / sum(map(len, split)) == pytest.approx(1 / 7.9, rel=0.15)


def test_command_that_ends_otherwise_than_for_want_of_a_scan_is_no_measurement(
    script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = script("start")
    monkeypatch.setattr(start.sys, "executable", "true")
    with pytest.raises(AssertionError, match="nothing was printed"):
        start.started(["cohort"], 1)

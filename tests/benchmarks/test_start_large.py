"""`benchmarks/start_large.py`: what a first start keeps, and what loading processes hold. No axes; memory in MiB."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def test_a_first_start_keeps_what_the_next_one_opens_and_both_say_what_their_processes_hold(
    report_of: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    words = "--studies", "120", "--batches", "1", "--folder", str(tmp_path / "large")
    report = report_of("start_large", *words)
    kept = {path.name.split("-")[0] for path in (tmp_path / "large" / "cohort" / "sentences").iterdir()}
    assert {"bank", "index", "split"} <= kept
    assert report["distinct_sentences"] > 120
    for run in report["runs"].values():
        stages = {"imports", "open_cohort", "choose_studies", "texts", "samples", "first_batch", "all"}
        assert set(run["seconds"]) == stages
        assert len(run["workers"]) == 2
        for of_one in run["workers"]:
            assert 0 < of_one["private"] < of_one["pss"]
            assert of_one["over_imports"] < 400


def test_all_but_the_work_of_the_text_encoder_is_forgotten_before_a_first_start(
    script: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = script("start_large")
    monkeypatch.setattr("sys.argv", ["start_large.py", "--studies", "20"])
    chosen = large.arguments()
    distinct = large.make_index(tmp_path, chosen)
    folder = tmp_path / "cohort" / "sentences"
    (vectors,) = folder.iterdir()
    for name in ("bank-a-b.safetensors", "index-a-b.safetensors", "split-a.parquet"):
        (folder / name).touch()
    assert large.make_index(tmp_path, chosen) == distinct
    assert list(folder.iterdir()) == [vectors]
    vectors.rename(folder / "of-another-encoder.vectors")
    assert large.make_index(tmp_path, chosen) == distinct
    assert list(folder.iterdir()) == [vectors]
    assert vectors.stat().st_size == 16 + distinct * (16 + 4 * 384 + 4)

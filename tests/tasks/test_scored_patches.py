"""How many patches are said to score a sentence is how many did. No axes or units."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from simcrop.model import load
from simcrop.tasks.scored_patches import scored_patches


@pytest.mark.parametrize(
    "words", [("zero-shot", "--protocol", "ct-clip"), ("retrieve",), ("audit",), ("ground-eval",)]
)
def test_more_patches_than_a_scan_has_are_refused(
    simcrop: Callable, line, tmp_path: Path, words: tuple[str, ...]
) -> None:
    verb, *others = words
    patches = load(line.run).grid.count
    cohort = tmp_path / "cohort"
    shutil.copytree(line.cohort, cohort, ignore=shutil.ignore_patterns("features", "sentences"))
    table = pl.read_parquet(cohort / "studies.parquet")
    first = pl.col("patient") == table["patient"][0]
    split = pl.when(first).then(pl.lit("train")).otherwise(pl.lit("valid")).alias("split")
    table.with_columns(split).write_parquet(cohort / "studies.parquet")
    asked = (verb, line.run, cohort, *others, "--out", tmp_path / "out", "--top-k", patches + 1)
    refused = f"--top-k {patches + 1}: this model cuts a scan into {patches} patches"
    assert refused in simcrop(*asked).refusal
    assert not (tmp_path / "out").exists()


def test_a_usual_number_is_at_most_all_patches(line) -> None:
    model = load(line.run)
    every = model.grid.count
    assert [scored_patches(model, asked, usual=2 * every) for asked in (None, 3, every)] == [every, 3, every]
    assert scored_patches(model, None, usual=5) == 5

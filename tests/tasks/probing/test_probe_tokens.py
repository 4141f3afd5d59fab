"""`simcrop probe --head attention` on a model's own tokens: kept once, half as wide, refused where there is no room."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from simcrop.data.store.cohort import open_cohort
from simcrop.model import Model
from simcrop.tasks.features.cohort_tokens import kept_tokens

QUICK = "{batch: 16, lr: 1.0e-2, steps: 40, warmup: 4, patience: 5}"


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_attention_reads_a_models_tokens_that_are_kept_once(
    simcrop: Callable, line: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half precision, only of scans that are needed, said before it starts; a killed run goes on."""
    cohort = tmp_path / "cohort"
    shutil.copytree(line.cohort, cohort, ignore=shutil.ignore_patterns("features", "sentences"))
    index = pl.read_parquet(cohort / "studies.parquet")
    number = pl.col("patient").rank("dense") - 1
    index.with_columns(
        pl.when(number % 4 == 3)
        .then(pl.lit("unused"))
        .when(number % 2 == 0)
        .then(pl.lit("train"))
        .otherwise(pl.lit("valid"))
        .alias("split"),
        (number % 3 == 0).cast(pl.Int8).alias("label:Cardiomegaly"),
    ).drop(
        name for name in index.columns if name.startswith("label:") and "Cardio" not in name
    ).write_parquet(cohort / "studies.parquet")
    passes, real = list[int](), Model.features_of

    def stop_at_second(self: Model, volumes: torch.Tensor) -> torch.Tensor:
        passes.append(len(volumes))
        if len(passes) == 2:
            raise KeyboardInterrupt
        return real(self, volumes)

    monkeypatch.setattr("simcrop.tasks.features.cohort_tokens.AT_ONCE", 3)
    monkeypatch.setattr(Model, "features_of", stop_at_second)
    (tmp_path / "quick.yaml").write_text(QUICK)
    words = (
        "probe",
        line.run / "model",
        cohort,
        "--head",
        "attention",
        "--settings",
        tmp_path / "quick.yaml",
    )
    broken = simcrop(*words, "--no-baselines", "--out", tmp_path / "out")
    assert broken.code == 130
    used = open_cohort(cohort).index.filter(pl.col("split") != "unused").height
    assert f"keeping the tokens of {used} scans" in broken.err
    assert "GB in" in broken.err
    assert simcrop(*words, "--no-baselines", "--out", tmp_path / "out").code == 0
    assert sum(passes) == used + 3  # the pass that was interrupted, twice
    assert simcrop(*words, "--out", tmp_path / "both").code == 0
    assert sum(passes) == 2 * used + 3  # the random start's own, and no other
    assert list(read(tmp_path / "both/metrics.json")["baselines"]) == ["label frequency", "random start"]
    monkeypatch.setattr(Model, "features_of", real)
    studies = open_cohort(cohort)
    row = next(i for i in range(len(studies)) if studies[i].split == "valid")
    tokens = kept_tokens(line.run / "model", studies, np.array([row])).read(row)
    from simcrop.evaluation.features import volumes_of
    from simcrop.model import load

    model = load(line.run / "model")
    again = model.features_of(volumes_of([studies[row]], model.spec))[0].numpy()
    assert tokens.dtype == np.float16
    np.testing.assert_allclose(tokens, again, atol=5e-3)


def test_tokens_that_do_not_fit_on_the_disk_are_refused_before_anything_is_encoded(
    line: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))  # pyright: ignore
    monkeypatch.setattr(Model, "features_of", lambda *_: pytest.fail("encoded"))
    cohort = tmp_path / "cohort"
    shutil.copytree(line.cohort, cohort, ignore=shutil.ignore_patterns("features", "sentences"))
    with pytest.raises(Exception, match="has 0 GB free and the tokens take"):
        kept_tokens(line.run / "model", open_cohort(cohort), np.arange(3))
    assert not list(cohort.rglob("*.tokens"))

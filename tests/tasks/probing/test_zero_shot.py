"""`simcrop zero-shot` on the toy line: scores against a slow reading, volumes, thresholds of others, refusals."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from simcrop.data.samples.dataset import cut
from simcrop.data.store.cohort import open_cohort
from simcrop.evaluation.wording.protocol import read_protocol
from simcrop.metrics import auroc, best_threshold
from simcrop.model import Model, load

LABEL = "Cardiomegaly"


@pytest.fixture
def cohort(line, tmp_path: Path) -> Path:
    """Half the patients to develop on, half to test on, two labels; every second scan is a second volume of its
    patient.
    """
    folder = tmp_path / "cohort"
    shutil.copytree(line.cohort, folder, ignore=shutil.ignore_patterns("features", "sentences"))
    table = pl.read_parquet(folder / "studies.parquet").sort("id")
    row = pl.int_range(pl.len())
    named = [name for name in table.columns if name.startswith("label:")]
    table.drop(named).with_columns(
        pl.concat_str(pl.lit("p"), (row // 2).cast(pl.String)).alias("patient"),
        pl.concat_str(pl.lit("s"), (row // 2).cast(pl.String)).alias("scan"),
        pl.when(row // 2 % 2 == 0).then(pl.lit("train")).otherwise(pl.lit("valid")).alias("split"),
        (row // 4 % 2).cast(pl.Int8).alias(f"label:{LABEL}"),
        (row % 2).cast(pl.Int8).alias("label:Emphysema"),
    ).write_parquet(folder / "studies.parquet")
    return folder


def read(path: Path) -> dict[str, Any]:
    return json.loads((path / "metrics.json").read_text())


def slow_scores(model: Model, cohort: Path, pairs: list[tuple[str, str]], k: int) -> np.ndarray:
    """Sentence by sentence and scan by scan: the mean of the k nearest patches, yes minus no of the averaged pair."""
    sides = []
    for side in (0, 1):
        each = [model.encode([pair[side]])[0] for pair in pairs]
        mean = torch.stack([vector / vector.norm() for vector in each]).mean(0)
        sides.append(mean / mean.norm())
    scores = []
    for study in open_cohort(cohort):
        seen = model.regions_of(torch.from_numpy(cut(study, model.spec, None))[None, None])[0]
        yes, no = (np.sort((seen @ side).numpy())[-k:].mean() for side in sides)
        scores.append(yes - no)
    return np.array(scores)


@pytest.mark.parametrize(("protocol", "kept"), [("ct-clip", "all"), ("radfinder", "first")])
def test_scores_are_those_of_a_slow_reading(
    simcrop: Callable, line, cohort: Path, tmp_path: Path, protocol: str, kept: str
) -> None:
    words = ("--protocol", protocol, "--top-k", "3", "--develop", "train")
    ran = simcrop("zero-shot", line.run, cohort, *words, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    metrics, index = read(tmp_path / "out"), pl.read_parquet(cohort / "studies.parquet")
    expected = slow_scores(load(line.run), cohort, list(read_protocol(protocol).pairs_of(LABEL)), 3)
    of = index.with_columns(pl.Series("score", expected))
    if kept == "first":
        first = of.sort(pl.col("id").str.len_chars(), "id").unique("patient", keep="first")["id"]
        assert 0 < len(first) < len(of)
        of = of.filter(pl.col("id").is_in(first.implode()))
    testing, developing = of.filter(split="valid"), of.filter(split="train")
    table = pl.read_parquet(tmp_path / "out/predictions.parquet").filter(label=LABEL)
    assert table["id"].to_list() == testing["id"].to_list()
    np.testing.assert_allclose(table["score"], testing["score"], atol=1e-5)
    truth = testing[f"label:{LABEL}"].to_numpy()
    found = metrics["labels"][LABEL]
    if 0 < truth.sum() < len(truth):
        assert found["auroc"] == pytest.approx(auroc(testing["score"].to_numpy(), truth))
    threshold = best_threshold(developing["score"].to_numpy(), developing[f"label:{LABEL}"].to_numpy())
    assert found["threshold"] == pytest.approx(threshold, abs=1e-5, nan_ok=True)
    assert found["brier"] is None  # a difference of cosines is no probability


def test_spread_over_wordings_is_said(simcrop: Callable, line, cohort: Path, tmp_path: Path) -> None:
    ran = simcrop("zero-shot", line.run, cohort, "--protocol", "radfinder", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    templates = read(tmp_path / "out")["templates"]
    assert len(templates["macro_auroc"]) == 7
    assert templates["lowest"] == min(templates["macro_auroc"])
    page = (tmp_path / "out/report.html").read_text()
    assert "Findings are compatible with {label}." in page
    assert "single templates" in page
    assert (
        "F1" not in page.partition("Label by label")[2].partition("The words")[0]
    )  # without thresholds no decisions


@pytest.mark.parametrize("words", [("zero-shot", "--protocol", "ct-clip"), ("probe", "--no-baselines")])
def test_scans_of_other_splits_are_not_looked_at(
    simcrop: Callable, line, cohort: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    table, third = pl.read_parquet(cohort / "studies.parquet"), pl.int_range(pl.len()) % 8 < 2
    split = pl.when(third).then(pl.lit("aside")).otherwise("split").alias("split")
    table.with_columns(split).write_parquet(cohort / "studies.parquet")
    asked = (words[0], line.run, cohort, *words[1:], "--out")
    ran = simcrop(*asked, tmp_path / "one")
    assert ran.code == 0, ran.err
    shutil.rmtree(cohort / "features")
    for study in open_cohort(cohort).select("aside"):
        study.path.write_bytes(b"torn")
    assert simcrop(*asked, tmp_path / "two").code == 0
    assert read(tmp_path / "one")["macro_auroc"] == read(tmp_path / "two")["macro_auroc"]


def test_all_scans_are_judged_where_all_are_asked_for(
    simcrop: Callable, line, cohort: Path, tmp_path: Path
) -> None:
    """As others judge by RAD-ChestCT; nobody is left then to choose thresholds on."""
    words = ("zero-shot", line.run, cohort, "--protocol", "ct-clip", "--test", "all", "--out")
    ran = simcrop(*words, tmp_path / "out")
    assert ran.code == 0, ran.err
    ids = pl.read_parquet(tmp_path / "out/predictions.parquet")["id"]
    assert set(ids) == set(open_cohort(cohort).index["id"])
    assert "splits 'train' and 'all' share" in simcrop(*words, tmp_path / "two", "--develop", "train").refusal


def test_a_split_that_is_called_all_is_judged_alone(
    simcrop: Callable, line, cohort: Path, tmp_path: Path
) -> None:
    table = pl.read_parquet(cohort / "studies.parquet")
    table.with_columns(pl.col("split").replace("valid", "all")).write_parquet(cohort / "studies.parquet")
    words = ("--protocol", "ct-clip", "--test", "all", "--out", tmp_path / "out")
    ran = simcrop("zero-shot", line.run, cohort, *words)
    assert ran.code == 0, ran.err
    assert read(tmp_path / "out")["scans"] == {"test": len(open_cohort(cohort).select("all"))}


def test_sentences_are_asked_once_per_scan(
    simcrop: Callable, line, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("zero-shot", line.run, cohort, "--protocol", "ct-clip", "--out")
    assert simcrop(*words, tmp_path / "one").code == 0
    monkeypatch.setattr(Model, "regions_of", lambda *_: pytest.fail("looked again"))
    assert simcrop(*words, tmp_path / "two").code == 0
    assert read(tmp_path / "one")["macro_auroc"] == read(tmp_path / "two")["macro_auroc"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--protocol", "ct-klip"), "did you mean ct-clip"),
        (("--protocol", "ct-clip", "--develop", "valid"), "splits 'valid' and 'valid' share"),
        (("--protocol", "ct-clip", "--test", "nowhere"), "no study in split 'nowhere'"),
        (("--protocol", "ct-clip", "--map", "ct-rate-to-rad-chestct"), "asks the cohort for 'Atelectasis'"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    simcrop: Callable, line, cohort: Path, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in simcrop("zero-shot", line.run, cohort, *words, "--out", tmp_path / "out").refusal
    assert not (tmp_path / "out").exists()

"""`simcrop retrieve`: fits against a slow reading, chance from scores that say nothing, all from planted ones."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from simcrop.data.report import sentences
from simcrop.data.samples.dataset import cut
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.evaluation.reports import read_reports
from simcrop.model import Model, load
from simcrop.tasks.features.kept_scores import kept_scores
from simcrop.tasks.labelled import first_of_each
from simcrop.tasks.retrieval.retrieve import between, scans_alike, texts_of


@pytest.fixture
def cohort(line, tmp_path: Path) -> Path:
    """All scans in one split, every second one another volume of the examination before it."""
    folder = tmp_path / "cohort"
    shutil.copytree(line.cohort, folder, ignore=shutil.ignore_patterns("features", "sentences"))
    table, row = pl.read_parquet(folder / "studies.parquet").sort("id"), pl.int_range(pl.len())
    table.with_columns(
        pl.lit("valid").alias("split"),
        *(
            pl.concat_str(pl.lit(name[0]), (row // 2).cast(pl.String)).alias(name)
            for name in ("patient", "scan")
        ),
    ).write_parquet(folder / "studies.parquet")
    return folder


def test_fit_of_report_and_scan_is_that_of_a_slow_reading(line, cohort: Path) -> None:
    model, studies = load(line.run), open_cohort(cohort)
    texts = texts_of(studies, "findings")
    reports = read_reports(model, texts)
    found = kept_scores(model, "digest", studies, reports.vectors, 3, reports.scores)
    assert found.shape == (len(studies), len(texts))
    for scan in (0, 5):
        seen = model.regions_of(torch.from_numpy(cut(studies[scan], model.spec, None))[None, None])[0]
        for report in (0, 3, 5):
            each = [
                np.sort((seen @ model.encode([sentence])[0]).numpy())[-3:].mean()
                for sentence in dict.fromkeys(sentences(texts[report]))
            ]
            assert found[scan, report] == pytest.approx(np.mean(each), abs=1e-5)


def test_every_direction_and_pool_is_told_and_nothing_is_looked_at_twice(
    simcrop: Callable, line, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("retrieve", line.run, cohort, "--out")
    ran = simcrop(*words, tmp_path / "out")
    assert ran.code == 0, ran.err
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    scans = len(open_cohort(cohort))
    pools = {one["pool"]: one["candidates"] for one in metrics["retrieval"]}
    assert 1 < pools.pop("finest volume per study, no text twice") <= scans // 2
    assert pools == {"all volumes": scans, "first volume per study": scans // 2}
    assert {one["direction"] for one in metrics["retrieval"]} >= {"report -> scan", "scan -> report"}
    page = (tmp_path / "out/report.html").read_text()
    assert "R@5" in page
    assert "by chance" in page
    monkeypatch.setattr(Model, "regions_of", lambda *_: pytest.fail("looked again"))
    assert simcrop(*words, tmp_path / "again").code == 0
    assert json.loads((tmp_path / "again/metrics.json").read_text()) == metrics


def test_what_cannot_be_asked_is_refused(simcrop: Callable, line, cohort: Path, tmp_path: Path) -> None:
    words = ("retrieve", line.run, cohort, "--out", tmp_path / "out")
    assert "no study in split 'nowhere'; it has valid" in simcrop(*words, "--split", "nowhere").refusal
    studies = pl.read_parquet(cohort / "studies.parquet")
    studies.with_columns(pl.lit("").alias("impression")).write_parquet(cohort / "studies.parquet")
    assert "fewer than two studies with impression" in simcrop(*words, "--text", "impression").refusal
    assert "--text wants findings" in simcrop(*words, "--text", "all").refusal
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def ct_rate(real_data: Path) -> Cohort:
    """The real validation texts and labels of CT-RATE: every volume of the split, without any scan."""
    folder = real_data / "ctrate"
    reports = pl.read_csv(next(folder.rglob("validation_reports.csv")))
    labels = pl.read_csv(next(folder.rglob("valid_predicted_labels.csv")))
    table = reports.join(labels, on="VolumeName")
    name = pl.col("VolumeName").str.strip_suffix(".nii.gz")
    index = table.select(
        name.alias("id"),
        name.str.extract(r"(valid_\d+)_").alias("patient"),
        name.str.extract(r"valid_\d+_([a-z]+)_").alias("scan"),
        pl.col("Findings_EN").fill_null("").alias("findings"),
        pl.col("Impressions_EN").fill_null("").alias("impression"),
        pl.lit(np.eye(4).ravel().tolist()).alias("source_affine"),
        *(pl.col(column).alias(f"label:{column}") for column in labels.columns if column != "VolumeName"),
    )
    return Cohort(folder, (1.5, 1.5, 3.0), (-1000.0, 1000.0), index, index)


def test_scores_that_say_nothing_find_by_chance_among_the_real_reports(ct_rate: Cohort) -> None:
    """R@10 at .33 % of all volumes and .64 % of studies, within the interval; planted scores find everything."""
    texts = texts_of(ct_rate, "findings")
    assert len(texts) > 3000
    noise = np.random.default_rng(0).normal(size=(len(texts), len(texts))).astype(np.float32)
    found = {(one.direction, one.pool): one for one in between(noise, ct_rate, texts, 0)}
    for pool, chance in (("all volumes", 0.0033), ("first volume per study", 0.0064)):
        one = found["report -> scan", pool]
        assert one.chance[10] == pytest.approx(chance, abs=5e-5)
        assert one.recall[10].low <= one.chance[10] <= one.recall[10].high
        alike = found["report -> scan, any of the same text", pool]
        assert alike.chance[10] > one.chance[10]
        assert alike.recall[10].low <= alike.chance[10] <= alike.recall[10].high
    pooled = found["scan -> report", "pools of 64"]
    assert pooled.recall[8].value == pytest.approx(8 / 64, abs=0.02)
    noise[np.arange(len(texts)), np.arange(len(texts))] = 9
    for one in between(noise, ct_rate, texts, 0):
        assert {found.value for found in one.recall.values()} == {1.0}
        assert one.median_rank == 1


def test_scans_of_like_labels_are_found_by_planted_features_and_not_by_others(ct_rate: Cohort) -> None:
    columns = [name for name in ct_rate.index.columns if name.startswith("label:")]
    labels = ct_rate.index.select(columns).to_numpy().astype(np.float32)
    rng = np.random.default_rng(0)
    directions = {row.tobytes(): rng.normal(size=64) for row in labels}
    planted = np.stack([directions[row.tobytes()] for row in labels]) + 0.01 * rng.normal(
        size=(len(labels), 64)
    )
    found = scans_alike(planted, ct_rate)[0]
    assert found.name == "identical labels, over what could be found (SPECTRE)"
    assert found.precision[5].value == pytest.approx(1.0, abs=1e-3)
    for one in scans_alike(rng.normal(size=planted.shape), ct_rate):
        assert one.precision[50].value == pytest.approx(one.chance[50], rel=0.1)


def test_first_volume_of_each_study_is_the_one_that_others_take(ct_rate: Cohort) -> None:
    """1,564 of 3,039; names that end in _1, but where a study has none."""
    first = ct_rate.index["id"][first_of_each(ct_rate).tolist()]
    assert len(first) == 1564
    assert sum(name.endswith("_1") for name in first) / len(first) > 0.99

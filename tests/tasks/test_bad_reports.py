"""Reports that are missing, empty, short or in the wrong table, from the CSV to the loss and the heat map."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest


def journal(run: Path) -> list[dict[str, float]]:
    return [json.loads(row) for row in (run / "journal.jsonl").read_text().splitlines()]


@pytest.fixture
def raw(line, tmp_path: Path) -> Path:
    """Three phantom scans without reports, in the folder layout."""
    for i, scan in enumerate(sorted(line.raw.glob("dataset/*/*/*/*.nii.gz"))[:3]):
        (tmp_path / "raw").mkdir(exist_ok=True)
        shutil.copy(scan, tmp_path / f"raw/ct{i}.nii.gz")
    return tmp_path / "raw"


def ingest(simcrop: Callable, raw: Path, out: Path):
    return simcrop("ingest", raw, "--out", out, "--spacing", "5.5,5.5,10")


def test_table_without_its_columns_is_named_with_them(simcrop: Callable, raw: Path, tmp_path: Path) -> None:
    (raw / "reports.csv").write_text("who,words\nct0,A nodule.\n")
    refusal = ingest(simcrop, raw, tmp_path / "c").refusal
    assert str(raw / "reports.csv") in refusal
    assert "id, volumename, file" in refusal
    assert not (tmp_path / "c").exists()


def test_ct_rate_table_without_its_columns_is_named_with_them(
    simcrop: Callable, line, tmp_path: Path
) -> None:
    shutil.copytree(line.raw, tmp_path / "raw")
    table = tmp_path / "raw/radiology_text_reports/train_reports.csv"
    table.write_text("Volume,Text\na,b\n")
    refusal = simcrop("ingest", tmp_path / "raw", "--layout", "ct-rate", "--out", tmp_path / "c").refusal
    assert f"{table}: no column VolumeName, Findings_EN, Impressions_EN" in refusal


def test_damaged_table_is_refused_before_an_older_cohort_is_cleared(
    simcrop: Callable, raw: Path, tmp_path: Path
) -> None:
    assert ingest(simcrop, raw, tmp_path / "c").code == 0
    before = {p: p.read_bytes() for p in sorted((tmp_path / "c").rglob("*")) if p.is_file()}
    (raw / "reports.csv").write_text("who,words\nct0,A nodule.\n")
    words = ("ingest", raw, "--out", tmp_path / "c", "--overwrite", "--spacing", "4,4,4")
    assert "reports.csv" in simcrop(*words).refusal
    assert {p: p.read_bytes() for p in sorted((tmp_path / "c").rglob("*")) if p.is_file()} == before


def test_a_label_that_is_not_named_as_one_is_said(simcrop: Callable, raw: Path, tmp_path: Path) -> None:
    (raw / "reports.csv").write_text("id,findings,Nodule\nct0,A nodule.,1\nct1,Clear.,0\nct2,Clear.,\n")
    ran = ingest(simcrop, raw, tmp_path / "c")
    assert ran.code == 0
    assert "not read: columns of 0 and 1 (nodule); a label's column is label:NAME\n" in ran.err
    assert not [name for name in pl.read_parquet(tmp_path / "c/studies.parquet").columns if "odule" in name]


def test_row_for_an_unknown_volume_is_a_ledger_entry(simcrop: Callable, raw: Path, tmp_path: Path) -> None:
    (raw / "reports.csv").write_text("id,findings\nct0,A nodule.\nct9,Clear lungs.\n")
    ran = ingest(simcrop, raw, tmp_path / "c")
    assert (ran.code, ran.out.split(":")[0]) == (1, "3 taken, 1 refused")
    ledger = pl.read_parquet(tmp_path / "c/ledger.parquet")
    assert ledger.filter(pl.col("id") == "ct9")["reason"].to_list() == ["no-volume"]


@pytest.mark.parametrize(("text", "words"), [("", "is empty"), (" \n\t\n", "is empty"), ("...\n", "")])
def test_report_without_a_sentence_is_one_line(
    simcrop: Callable, line, text: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "report.txt").write_text(text)
    refusal = simcrop(
        *("ground", line.run, line.scan, "--report", tmp_path / "report.txt", "--out", tmp_path / "out")
    ).refusal
    assert str(tmp_path / "report.txt") in refusal
    assert words in refusal
    assert not (tmp_path / "out").exists()


def test_nothing_to_look_for_is_one_line(simcrop: Callable, line, tmp_path: Path) -> None:
    assert "--sentence" in simcrop("ground", line.run, line.scan, "--out", tmp_path / "out").refusal
    refusal = simcrop("ground", line.run, line.scan, "--sentence", " ", "--out", tmp_path / "out").refusal
    assert "--sentence is empty" in refusal


def test_reports_of_one_sentence_or_none_train_without_alignment_and_ground(
    simcrop: Callable, line, raw: Path, tmp_path: Path
) -> None:
    (raw / "reports.csv").write_text("id,findings\nct0,A nodule in the left lung.\nct1,Clear lungs.\n")
    assert ingest(simcrop, raw, tmp_path / "c").code == 0
    settings = [word for setting in line.SETTINGS for word in ("--set", setting)]
    more = ("--set", "optim.batch=3", "--set", "optim.steps=2", "--recipe", "simcrop-tiny")
    ran = simcrop("pretrain", tmp_path / "c", "--out", tmp_path / "run", *settings, *more)
    assert ran.code == 0, ran.err
    assert [row["align"] for row in journal(tmp_path / "run")] == [0, 0]
    assert all(row["volume"] > 0 and row["report"] > 0 for row in journal(tmp_path / "run"))

    (tmp_path / "one.txt").write_text("Findings: A nodule in the left lung.")
    ran = simcrop(
        "ground",
        tmp_path / "run",
        raw / "ct2.nii.gz",
        "--report",
        tmp_path / "one.txt",
        "--out",
        tmp_path / "g",
    )
    assert ran.code == 0, ran.err
    assert list(json.loads((tmp_path / "g/boxes.json").read_text())) == ["sentence_01"]


def test_cohort_without_a_single_report_says_where_reports_belong(
    simcrop: Callable, line, raw: Path, tmp_path: Path
) -> None:
    assert ingest(simcrop, raw, tmp_path / "c").code == 0
    settings = [word for setting in line.SETTINGS for word in ("--set", setting)]
    more = ("--set", "optim.batch=3", "--set", "optim.steps=1", "--recipe", "simcrop-tiny")
    ran = simcrop("pretrain", tmp_path / "c", "--out", tmp_path / "run", *settings, *more)
    assert "reports.csv" in ran.refusal
    assert not (tmp_path / "run").exists()

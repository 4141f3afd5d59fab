"""A scan that cannot be used: one line and exit 2 from the verbs that take one scan, a ledger entry from ingest."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest


@pytest.mark.parametrize("verb", ["ground", "embed"])
def test_unusable_scan_is_one_line_and_leaves_nothing(
    simcrop: Callable, line, broken: tuple[Path, str], verb: str, tmp_path: Path
) -> None:
    scan, words = broken
    more = ["--sentence", "A nodule."] if verb == "ground" else []
    refusal = simcrop(verb, line.run, scan, "--out", tmp_path / "out", *more).refusal
    assert str(scan) in refusal
    assert words in refusal
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["ground", "embed", "ingest"])
def test_missing_scan_is_named(simcrop: Callable, line, verb: str, tmp_path: Path) -> None:
    words = {
        "ground": [line.run, tmp_path / "no.nii.gz", "--sentence", "A nodule."],
        "embed": [line.run, tmp_path / "no.nii.gz"],
        "ingest": [tmp_path / "no.nii.gz"],
    }[verb]
    refusal = simcrop(verb, *words, "--out", tmp_path / "out").refusal
    assert refusal == f"{tmp_path}/no.nii.gz: no such file or folder"
    assert not (tmp_path / "out").exists()


def test_ingest_takes_the_good_scan_and_says_why_not_the_others(
    simcrop: Callable, broken_folder: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    raw, reasons = broken_folder
    reasons = reasons | {"text/ct.txt": "stray-report"}  # the report of no scan, by its name
    ran = simcrop("ingest", raw, "--out", tmp_path / "c", "--spacing", "4,5,6")
    assert ran.code == 1
    assert ran.out.startswith(f"1 taken, {len(reasons)} refused")
    ledger = pl.read_parquet(tmp_path / "c/ledger.parquet")
    refused = ledger.filter(pl.col("status") == "refused")
    assert {row["id"].split("__")[0]: row["reason"] for row in refused.to_dicts()} == reasons
    assert all(row["path"] in row["sentence"] for row in refused.to_dicts())
    assert [p.name for p in (tmp_path / "c/volumes").iterdir()] == ["good.b2nd"]

    before = (tmp_path / "c/volumes/good.b2nd").stat().st_mtime_ns
    again = simcrop("ingest", raw, "--out", tmp_path / "c", "--spacing", "4,5,6")
    assert (again.code, again.out) == (1, ran.out)
    assert (tmp_path / "c/volumes/good.b2nd").stat().st_mtime_ns == before


def test_ingest_of_nothing_but_refusals_says_so(simcrop: Callable, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/ct.nii").write_bytes(b"")
    ran = simcrop("ingest", tmp_path / "raw", "--out", tmp_path / "c")
    assert ran.code == 1
    assert "nothing could be taken" in ran.out


@pytest.mark.parametrize("layout", ["folder", "ct-rate"])
def test_folder_without_scans_is_one_line_and_no_cohort(
    simcrop: Callable, layout: str, tmp_path: Path
) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/notes.txt").write_text("hello")
    refusal = simcrop("ingest", tmp_path / "raw", "--layout", layout, "--out", tmp_path / "c").refusal
    assert str(tmp_path / "raw") in refusal
    assert not (tmp_path / "c").exists()

"""Reports are split once per cohort and again under other rules. No axes."""

from pathlib import Path

import polars as pl
import pytest

from simcrop.data import report
from simcrop.data.samples.split_reports import RULES, split_reports
from simcrop.files.whole import StoreError

FINDINGS = ["A nodule. No effusion.", "", "Clear.", "A nodule. No effusion."]
SENTENCES = [["A nodule.", "No effusion."], [], ["Clear."], ["A nodule.", "No effusion."]]


def test_only_what_is_new_is_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[int, int]] = []
    found = split_reports(FINDINGS, tmp_path / "kept", tell=lambda *words: heard.append(words))
    assert found == SENTENCES
    assert heard[-1] == (4, 4)
    monkeypatch.setattr(report, "sentences", lambda text: [f"new: {text}"])
    again = split_reports([*FINDINGS[1:], "A cyst."], tmp_path / "kept")
    assert again == [*SENTENCES[1:], ["new: A cyst."]]
    assert split_reports(["A cyst.", FINDINGS[0]], tmp_path / "kept") == [["new: A cyst."], SENTENCES[0]]
    monkeypatch.setattr("simcrop.data.samples.split_reports.digest_of_files", lambda *_: "f" * 64)
    assert split_reports(["Clear."], tmp_path / "kept") == [["new: Clear."]]


def test_all_files_that_decide_where_a_sentence_ends_are_rules() -> None:
    assert {"report.py", "stops.py", "marks.py", "letters.py"} <= {path.name for path in RULES}


def test_what_cannot_be_kept_is_split_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    assert split_reports(FINDINGS, tmp_path / "file") == SENTENCES
    assert split_reports(FINDINGS, None) == SENTENCES
    assert split_reports(FINDINGS, tmp_path / "none", write=False) == SENTENCES
    assert not (tmp_path / "none").exists()

    def full(path: Path, table: pl.DataFrame) -> None:
        raise StoreError("disk-full", f"{path}: {len(table)} rows do not fit")

    monkeypatch.setattr("simcrop.data.samples.split_reports.write_parquet", full)
    assert split_reports(FINDINGS, tmp_path / "full") == SENTENCES


def test_damaged_file_is_made_anew(tmp_path: Path) -> None:
    split_reports(FINDINGS, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:50])
    assert split_reports(FINDINGS, tmp_path) == SENTENCES
    assert len(path.read_bytes()) > 50

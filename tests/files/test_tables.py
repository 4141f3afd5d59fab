"""Tables are whole or absent, and read back as they were."""

import csv
import os
from pathlib import Path

import polars as pl
import pytest

from simcrop.files.tables import write_csv, write_parquet
from simcrop.files.whole import StoreError


def test_a_csv_is_read_back_with_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    rows = [("a,b", 'say "so"', None), ("two\nlines", "", 0.5)]
    write_csv(tmp_path / "t.csv", ("one", "two", "three"), rows)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["one", "two", "three"],
            ["a,b", 'say "so"', ""],
            ["two\nlines", "", "0.5"],
        ]
    assert b"\r" not in (tmp_path / "t.csv").read_bytes()


def test_a_name_that_is_no_utf_8_keeps_its_bytes(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", ("scan",), [(os.fsdecode(b"M\xfcller"),)])
    assert (tmp_path / "t.csv").read_bytes() == b"scan\nM\xfcller\n"


def test_a_table_that_cannot_be_made_leaves_the_old_one(tmp_path: Path) -> None:
    def torn() -> list[tuple[int]]:
        raise KeyboardInterrupt

    write_csv(tmp_path / "t.csv", ("n",), [(1,)])
    with pytest.raises(KeyboardInterrupt):
        write_csv(tmp_path / "t.csv", ("n",), (row for row in torn()))
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "n\n1\n"


def test_parquet_is_read_back(tmp_path: Path) -> None:
    table = pl.DataFrame({"id": ["a", None], "of": [[1, 2], []]})
    write_parquet(tmp_path / "t.parquet", table)
    assert pl.read_parquet(tmp_path / "t.parquet").equals(table)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        write_parquet(tmp_path / "file" / "t.parquet", table)

"""Tables as spreadsheets of many countries save them. No axes or units."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from simcrop.data.store.cohort import open_cohort
from simcrop.errors import SimcropError
from simcrop.tasks.columns import column_of
from simcrop.tasks.grounding.listed import rows_of


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_a_column_is_joined_by_id_whatever_divides_the_columns(
    toy_cohort: Path, tmp_path: Path, between: str
) -> None:
    cohort = open_cohort(toy_cohort)
    ids = cohort.index["id"].to_list()
    rows = [["id", "sex"], *([id, "F" if n % 2 else "M"] for n, id in enumerate(ids))]
    (tmp_path / "table.csv").write_text("".join(between.join(row) + "\n" for row in rows))
    assert column_of(cohort, "sex", tmp_path / "table.csv").to_list() == [row[1] for row in rows[1:]]


def test_ids_of_digits_keep_their_noughts_and_a_column_of_lists_tells_nobody_apart(
    toy_cohort: Path, tmp_path: Path
) -> None:
    cohort = open_cohort(toy_cohort).keep([0, 1, 2])
    ids = pl.Series("id", ["001", "100", "1"])
    cohort = replace(cohort, index=cohort.index.with_columns(ids))
    (tmp_path / "table.csv").write_text("id,sex\n001,F\n100,M\n")
    assert column_of(cohort, "sex", tmp_path / "table.csv").to_list() == ["F", "M", None]
    with pytest.raises(SimcropError, match="--by shape: holds several values for each scan"):
        column_of(cohort, "shape", None)


def test_a_table_without_the_column_is_one_line(toy_cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("id;age\nx;3\n")
    with pytest.raises(SimcropError, match=r"--by sex: no such column in the cohort or .*table\.csv"):
        column_of(open_cohort(toy_cohort), "sex", tmp_path / "table.csv")


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_pairs_of_scan_and_sentence_are_read_whatever_divides_them(tmp_path: Path, between: str) -> None:
    jobs = tmp_path / "jobs.csv"
    jobs.write_text(f'Scan{between}Sentence\na/ct.nii.gz{between}"A nodule, right; or left."\n')
    assert rows_of(jobs) == [(2, "a/ct.nii.gz", "A nodule, right; or left.")]


def test_a_cohort_is_no_scan_and_is_called_by_its_name(simcrop: Callable, line, tmp_path: Path) -> None:
    said = simcrop("ground", line.run, line.cohort, "--sentence", "A nodule.", "--out", tmp_path / "out")
    assert "it is a cohort: give one of the scans that it was made of" in said.refusal
    assert not (tmp_path / "out").exists()

"""Tables as spreadsheets of many countries save them. No axes or units."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from simcrop.data.store.cohort import Cohort, open_cohort
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


@pytest.mark.parametrize(
    "name", ["id", "patient", "scan", "findings", "impression", "source_path", "mask_path", "checksum"]
)
def test_a_column_of_the_cohort_that_tells_a_patient_makes_no_groups(toy_cohort: Path, name: str) -> None:
    """Each value is written into `metrics.json` and on the page."""
    cohort = open_cohort(toy_cohort)
    with pytest.raises(SimcropError, match=f"--by {name}: tells single patients") as caught:
        column_of(cohort, name, None)
    assert not any(str(value) in caught.value.sentence for value in cohort.index[name].drop_nulls())
    assert column_of(cohort, "split", None).to_list() == cohort.index["split"].to_list()
    label = f"label:{cohort.labels[0]}"
    assert column_of(cohort, label, None).to_list() == cohort.index[label].to_list()


def table_of(cohort: Cohort, folder: Path, **columns: list) -> Path:
    """A CSV of these columns, joined by id."""
    pl.DataFrame({"id": cohort.index["id"], **columns}).write_csv(folder / "table.csv")
    return folder / "table.csv"


def test_a_column_of_a_table_that_tells_a_patient_makes_no_groups(toy_cohort: Path, tmp_path: Path) -> None:
    cohort = open_cohort(toy_cohort).keep([0, 1, 2])
    private = (
        "PatientName",
        "patient_id",
        "StudyInstanceUID",
        "AccessionNo",
        "Findings_EN",
        "VolumeName",
        "MRN",
    )
    groups = (
        "PatientSex",
        "PatientAge",
        "ManufacturerModelName",
        "ConvolutionKernel",
        "site_id",
        "no_finding",
    )
    values = ["Miller", "Miller", "Smith"]
    kept = {name: [1, 1, 0] if name == "no_finding" else values for name in groups}
    long = ["A nodule of 8 mm in the right upper lobe, unchanged since the examination before this one."] * 3
    table = table_of(cohort, tmp_path, **dict.fromkeys(private, values), **kept, told=long)
    for name in (*private, "told", "id"):
        with pytest.raises(SimcropError, match=f"--by {name}: tells single patients") as caught:
            column_of(cohort, name, table)
        assert not any(word in caught.value.sentence for word in ("Miller", "nodule"))
    for name in groups:
        assert column_of(cohort, name, table).to_list() == kept[name]


def test_texts_that_nearly_every_scan_has_another_of_are_no_groups(toy_cohort: Path, tmp_path: Path) -> None:
    cohort = open_cohort(toy_cohort)
    cohort = cohort.keep([row % len(cohort) for row in range(22)])
    ids = [f"s{row}" for row in range(22)]
    cohort = replace(cohort, index=cohort.index.with_columns(pl.Series("id", ids)))
    table = table_of(
        cohort,
        tmp_path,
        protocol=[f"protocol {row % 21}" for row in range(22)],
        kernel=[f"B{row % 20}f" for row in range(22)],
        age=[20.5 + row for row in range(22)],
    )
    with pytest.raises(SimcropError, match="--by protocol: holds 21 different texts for 22 scans") as caught:
        column_of(cohort, "protocol", table)
    assert "protocol 1" not in caught.value.sentence
    assert column_of(cohort, "kernel", table).n_unique() == 20
    assert column_of(cohort, "age", table).n_unique() == 22


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_pairs_of_scan_and_sentence_are_read_whatever_divides_them(tmp_path: Path, between: str) -> None:
    jobs = tmp_path / "jobs.csv"
    jobs.write_text(f'Scan{between}Sentence\na/ct.nii.gz{between}"A nodule, right; or left."\n')
    assert rows_of(jobs) == [(2, "a/ct.nii.gz", "A nodule, right; or left.")]


def test_a_cohort_is_no_scan_and_is_called_by_its_name(simcrop: Callable, line, tmp_path: Path) -> None:
    said = simcrop("ground", line.run, line.cohort, "--sentence", "A nodule.", "--out", tmp_path / "out")
    assert "it is a cohort: give one of the scans that it was made of" in said.refusal
    assert not (tmp_path / "out").exists()

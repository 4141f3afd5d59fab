"""A column by which scans are told apart: of the cohort's own index, or of a CSV that has a column `id`."""

import re
from pathlib import Path

import polars as pl

from simcrop.data.layouts.dialect import COMMA, delimiter_of
from simcrop.data.store.cohort import Cohort
from simcrop.data.store.schema import STUDY_SCHEMA
from simcrop.errors import SimcropError

MOST_TEXTS, LONGEST = 20, 80  # different texts in a column, characters in one of them
OF_GROUPS = ("split", "status", "sentences")  # of the columns that every cohort has
ONE = "patient|subject|participant|person|study|series|exam|examination|accession|scan|volume|case|image|file|record"
WHO = re.compile(
    rf"(({ONE})s?(instance)?)?(id|ids|uid|name)|({ONE})s?(number|no|nr|code|key)?|mrn|ssn|dob|noteaccdeid"
    r"|.*(birth|address|phone|mail).*|.*paths?"
)
SAID = re.compile("report|finding|impression|comment|remark|conclusion")


def column_of(studies: Cohort, name: str, table: Path | None) -> pl.Series:
    """One value per study, null where the table does not have it. What tells a single patient is refused, since every
    value is written into the results.
    """
    if name in studies.index.columns:
        column = studies.index[name]
        if column.dtype.is_nested():
            raise SimcropError("bad-setting", f"--by {name}: holds several values for each scan")
        if name in STUDY_SCHEMA and name not in OF_GROUPS:
            raise no_groups(name)
        return column
    where = f"{studies.path}/studies.parquet" if table is None else f"the cohort or {table}"
    if table is not None and (column := joined(studies, name, table)) is not None:
        refuse_single_patients(column)
        return column
    raise SimcropError("bad-setting", f"--by {name}: no such column in {where}")


def joined(studies: Cohort, name: str, table: Path) -> pl.Series | None:
    """The column of a CSV in the order of the studies, joined by id; None where it has no such column."""
    try:
        kinds = {"id": pl.String}  # 001 is not 1
        rows = pl.read_csv(
            table, infer_schema_length=None, separator=separator_of(table), schema_overrides=kinds
        )
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise SimcropError("bad-table", f"{table} cannot be read as a CSV table") from error
    if "id" not in rows.columns:
        raise SimcropError("bad-table", f"{table} has no column `id` to join it with the cohort by")
    if rows["id"].is_duplicated().any():
        raise SimcropError("bad-table", f"{table} has several rows for one id")
    if name not in rows.columns:
        return None
    ids = studies.index.select(pl.col("id").cast(pl.String))
    found = ids.join(rows, on="id", how="left", maintain_order="left")
    if found[name].null_count() == len(found):
        raise SimcropError("bad-table", f"{table} has a {name!r} for none of the scans that are judged")
    return found[name]


def refuse_single_patients(column: pl.Series) -> None:
    """Names and numbers of patients by what the column is called; reports and other free text by their words."""
    name, texts = re.sub("[^a-z]", "", column.name.lower()), column.dtype == pl.String
    if WHO.fullmatch(name) or (texts and SAID.search(name)):
        raise no_groups(column.name)
    if not texts:
        return
    distinct = column.str.strip_chars().drop_nulls().unique()
    if len(distinct) > MOST_TEXTS:
        raise SimcropError(
            "bad-setting",
            f"--by {column.name}: holds {len(distinct)} different texts for {len(column)} scans, which are no groups: "
            f"at most {MOST_TEXTS}",
        )
    if (distinct.str.len_chars() > LONGEST).any():
        raise no_groups(column.name)


def no_groups(name: str) -> SimcropError:
    """Said without a value of the column."""
    return SimcropError(
        "bad-setting",
        f"--by {name}: tells single patients or holds text of theirs, and results may be shared",
    )


def separator_of(table: Path) -> str:
    """Spreadsheets of many countries save semicolons."""
    with table.open(encoding="utf-8-sig") as file:
        first = next((line for line in file if line.strip()), "")
    return delimiter_of([first], COMMA, lambda names: "id" in names)

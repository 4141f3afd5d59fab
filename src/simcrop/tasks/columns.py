"""A column by which scans are told apart: of the cohort's own index, or of a CSV that has a column `id`."""

from pathlib import Path

import polars as pl

from simcrop.data.layouts.dialect import COMMA, delimiter_of
from simcrop.data.store.cohort import Cohort
from simcrop.errors import SimcropError


def column_of(studies: Cohort, name: str, table: Path | None) -> pl.Series:
    """One value per study, null where the table does not have it."""
    if name in studies.index.columns:
        if studies.index[name].dtype.is_nested():
            raise SimcropError("bad-setting", f"--by {name}: holds several values for each scan")
        return studies.index[name]
    where = f"{studies.path}/studies.parquet" if table is None else f"the cohort or {table}"
    if table is not None:
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
        if name in rows.columns:
            ids = studies.index.select(pl.col("id").cast(pl.String))
            found = ids.join(rows, on="id", how="left", maintain_order="left")
            if found[name].null_count() == len(found):
                raise SimcropError(
                    "bad-table", f"{table} has a {name!r} for none of the scans that are judged"
                )
            return found[name]
    raise SimcropError("bad-setting", f"--by {name}: no such column in {where}")


def separator_of(table: Path) -> str:
    """Spreadsheets of many countries save semicolons."""
    with table.open(encoding="utf-8-sig") as file:
        first = next((line for line in file if line.strip()), "")
    return delimiter_of([first], COMMA, lambda names: "id" in names)

"""Tables on disk, each whole or not at all: Parquet for programs, CSV for people too. No axes or units."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from simcrop.files.whole import write_whole


def write_parquet(path: Path, table: pl.DataFrame) -> None:
    """Raises StoreError where it cannot be written."""
    content = io.BytesIO()
    table.write_parquet(content)
    write_whole(path, content.getvalue())


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A line of names, then a line per row; nothing for None. Names of files may hold bytes that are no UTF-8: kept."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue().encode(errors="surrogateescape")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Raises StoreError where it cannot be written."""
    write_whole(path, csv_bytes(columns, rows))

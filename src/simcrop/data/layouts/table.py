"""A CSV from outside as rows of text, proved to be whole before anybody believes it.

No axes or units. Every column is text; the columns asked for must be there. Tabs divide a `.tsv`, commas all others.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from simcrop.errors import SimcropError

LONGEST_FIELD = 10_000_000  # characters; a report is text, not a book
LONGEST_LINE = 20_000_000  # characters; real tables have up to 4,368 columns

COLUMN_NAME = re.compile(
    r"[\w:*. -]{0,60}(?<!\.)"
)  # what may be quoted in an error; the text of a report may not

Row = dict[str, str]


def read_table(path: Path, needed: Iterable[str] = ()) -> list[Row]:
    """The rows of a UTF-8 CSV with a head line; refuses missing columns and lines of the wrong length."""
    return list(each_row(path, needed))


def each_row(path: Path, needed: Iterable[str] = ()) -> Iterator[Row]:
    """The same row by row, for tables of thousands of columns."""
    csv.field_size_limit(LONGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
            lines = csv.reader(lines_of(path, file), delimiter=delimiter, strict=True)
            head = [name.strip() for name in next(lines, [])]
            check_head(path, head, needed)
            for line in lines:
                if line:
                    yield dict(zip(head, checked(path, lines.line_num, head, line), strict=True))
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    except csv.Error as error:
        raise SimcropError("bad-csv", f"{path}: not a sound CSV: {error}") from error
    except OSError as error:
        raise SimcropError("unreadable", f"{path}: cannot be read: {error.strerror or error}") from error


def lines_of(path: Path, file: TextIO) -> Iterator[str]:
    """Line by line, none of them endless."""
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise SimcropError(
                "bad-csv", f"{path}: a line of {LONGEST_LINE} characters or more, expected a table"
            )
        yield line


def not_utf8(path: Path) -> SimcropError:
    """Names the first byte that is no UTF-8 text, its place, counted from 0, and its line, counted from 1."""
    start = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                at = start + error.start
                where = f"byte 0x{line[error.start]:02x} at {at}, in line {number},"
                return SimcropError("not-utf8", f"{path}: {where} is not UTF-8 text, save it as UTF-8")
            start += len(line)
    return SimcropError("not-utf8", f"{path}: is not UTF-8 text, save it as UTF-8")


def check_head(path: Path, head: list[str], needed: Iterable[str]) -> None:
    """Every needed column, and no name twice."""
    needed = list(needed)
    missing = [name for name in needed if name not in head]
    if missing:
        # A table without a head line begins with a patient's report, which no error may quote.
        known = len(missing) < len(needed)
        found = "none of them is there, is the head line missing?"
        if known and all(COLUMN_NAME.fullmatch(name) for name in head):
            found = f"the columns found are {', '.join(head[:30])}"
        elif known:
            found = f"found {len(head)} columns, some with names that look like the text of a row"
        raise SimcropError("missing-columns", f"{path}: no column {', '.join(missing)}; {found}")
    twice = next((name for name in head if name and head.count(name) > 1), None)
    if twice is not None:
        first = head.index(twice)
        places = f"as number {first + 1} and {head.index(twice, first + 1) + 1}"
        raise SimcropError("bad-csv", f"{path}: one column stands twice, {places}")


def checked(path: Path, number: int, head: list[str], line: list[str]) -> list[str]:
    """A comma in an unquoted report would shift every column after it."""
    if len(line) != len(head):
        raise SimcropError(
            "bad-csv",
            f"{path}: the row that ends in line {number} has {len(line)} fields, expected {len(head)}",
        )
    return line


def label_of(path: Path, name: str, text: str) -> int | None:
    """0 or 1, also written 0.0 or 1.0; empty and -1 mean unknown."""
    known = {"0": 0, "0.0": 0, "1": 1, "1.0": 1, "": None, "-1": None, "-1.0": None}
    if text.strip() not in known:
        raise SimcropError(
            "bad-label", f"{path}: the column {name} holds something else than 0, 1 or nothing"
        )
    return known[text.strip()]

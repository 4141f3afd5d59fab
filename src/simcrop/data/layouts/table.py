"""A CSV from outside as rows of text, proved to be whole before anybody believes it.

No axes or units. Every column is text; the columns asked for must be there. See `dialect` for what divides them.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from itertools import chain
from pathlib import Path

from simcrop.data.layouts.dialect import COMMA, TAB, delimiter_of, encoding_of, stated_delimiter
from simcrop.errors import SimcropError

LONGEST_FIELD = 10_000_000  # characters; a report is text, not a book
LONGEST_HEAD = 20  # lines; a name in quotes may go over several
LONGEST_LINE = 20_000_000  # characters; real tables have up to 4,368 columns

COLUMN_NAME = re.compile(
    r"[\w:*. -]{0,60}(?<!\.)"
)  # what may be quoted in an error; the text of a report may not

Row = dict[str, str]
Names = tuple[str, ...]


def read_table(path: Path, needed: Iterable[str] = (), one_of: Iterable[Names] = ()) -> list[Row]:
    """The rows of a table with a head line; refuses missing columns and lines of the wrong length.

    `needed`: columns that must be there; `one_of`: groups of lower-case names, of each of which one must be there.
    """
    return list(each_row(path, needed, one_of))


def each_row(path: Path, needed: Iterable[str] = (), one_of: Iterable[Names] = ()) -> Iterator[Row]:
    """The same row by row, for tables of thousands of columns."""
    csv.field_size_limit(LONGEST_FIELD)
    needed, one_of = tuple(needed), tuple(one_of)
    encoding = "utf-8"
    try:
        with path.open("rb") as raw:
            encoding = encoding_of(raw)
            with TextIOWrapper(raw, encoding, newline="") as file:
                yield from rows_in(path, file, needed, one_of)
    except UnicodeDecodeError as error:
        raise (not_utf8(path) if encoding == "utf-8-sig" else not_sound(path, encoding)) from error
    except csv.Error as error:
        raise SimcropError("bad-csv", f"{path}: not a sound CSV: {error}") from error
    except OSError as error:
        raise SimcropError("unreadable", f"{path}: cannot be read: {error.strerror or error}") from error


def rows_in(path: Path, file: TextIOWrapper, needed: Names, one_of: tuple[Names, ...]) -> Iterator[Row]:
    """Row by row, once the head line has said what divides the columns."""

    def fits(names: list[str]) -> bool:
        lower = {name.lower() for name in names}
        return set(needed) <= set(names) and all(lower.intersection(group) for group in one_of)

    lines = lines_of(path, file)
    top = [next((line for line in lines if line.strip()), "")]
    while "".join(top).count('"') % 2 and len(top) < LONGEST_HEAD and (more := next(lines, "")):
        top.append(more)
    usual = TAB if path.suffix.lower() in (".tsv", ".tab") else COMMA
    delimiter = stated_delimiter(top[0])
    if delimiter is None:
        delimiter, lines = delimiter_of(top, usual, fits), chain(top, lines)
    records = csv.reader(lines, delimiter=delimiter, strict=True)
    head = [name.strip() for name in next(records, [])]
    check_head(path, head, needed, one_of)
    for record in records:
        # Rows of delimiters alone stand at the end of what spreadsheets save.
        if any(cell.strip() for cell in record):
            yield dict(zip(head, checked(path, records.line_num, head, record), strict=True))


def lines_of(path: Path, file: TextIOWrapper) -> Iterator[str]:
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


def not_sound(path: Path, encoding: str) -> SimcropError:
    name = encoding.upper()[:6]
    return SimcropError("not-utf8", f"{path}: begins as {name} text and is none to its end, save it as UTF-8")


def check_head(path: Path, head: list[str], needed: Names, one_of: tuple[Names, ...] = ()) -> None:
    """Every needed column, one of each group, and no name twice."""
    lone = "; all is one column, expected commas, semicolons or tabs between them" if len(head) == 1 else ""
    missing = [name for name in needed if name not in head]
    if missing:
        # A table without a head line begins with a patient's report, which no error may quote.
        known = len(missing) < len(needed)
        found = "none of them is there, is the head line missing?"
        if known and all(COLUMN_NAME.fullmatch(name) for name in head):
            found = f"the columns found are {', '.join(head[:30])}"
        elif known:
            found = f"found {len(head)} columns, some with names that look like the text of a row"
        raise SimcropError("missing-columns", f"{path}: no column {', '.join(missing)}; {found}{lone}")
    for group in one_of:
        if not any(name.lower() in group for name in head):
            message = f"{path}: expected one of the columns {', '.join(group)}{lone}"
            raise SimcropError("missing-columns", message)
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
    """0 or 1, also written 0.0, 1.0 or 1,0; empty and -1 mean unknown."""
    known = {"0": 0, "0.0": 0, "1": 1, "1.0": 1, "": None, "-1": None, "-1.0": None}
    text = text.strip().replace(",", ".")
    if text not in known:
        raise SimcropError(
            "bad-label", f"{path}: the column {name} holds something else than 0, 1 or nothing"
        )
    return known[text]

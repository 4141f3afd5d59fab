"""A hospital's reports as rows of text: from CSV, TSV, JSON, Parquet, or a folder with one text file per study.

No axes or units. Column names are in lower case, but for what follows `label:`. A JSON text is a list of objects,
or one object whose keys name the studies; its values are objects, or the findings as plain text.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from simcrop.data.layouts.raw import Refusal
from simcrop.data.layouts.table import Row, not_utf8, read_table
from simcrop.data.report import LARGEST_FILE, read_report_text
from simcrop.data.reports.leavings import clean_cell, clean_name
from simcrop.errors import SimcropError

SPREADSHEETS = (".xls", ".xlsx", ".xlsm", ".xlsb", ".ods", ".numbers")
FORMATS = (".csv", ".tsv", ".json", ".parquet")
KEYS = ("id", "volumename", "file")
FINDINGS = ("findings", "findings_en")
IMPRESSION = ("impression", "impressions_en")
WHOLE = ("report", "report_text")  # all of it in one, with or without heads
WORDS = frozenset(FINDINGS + IMPRESSION + WHOLE)
LABEL = "label:"
LARGEST_JSON = 1 << 30  # bytes; CT-RATE's 50,188 reports take a tenth of it
Values = Mapping[str, object]


def find_table(root: Path, documents: Iterable[Path]) -> Path | None:
    """The one table named reports at the root, if there is one; capitals matter only where they tell two apart."""
    names = [f"reports{ending}" for ending in FORMATS]
    found = sorted(path for path in documents if path.parent == root and path.name.lower() in names)
    found = [path for path in found if path.name in names] or found
    if len(found) > 1:
        listed = " and ".join(path.name for path in found)
        raise SimcropError("bad-setting", f"{root}: {listed} lie together, expected one table of reports")
    return found[0] if found else None


def read_rows(path: Path, key: str | None) -> tuple[list[Row], list[Refusal]]:
    """Every row, checked for a column that names the study and one with words; texts that cannot be read."""
    ending, refusals = path.suffix.lower(), list[Refusal]()
    if path.is_dir():
        rows, refusals = read_texts(path, key or KEYS[0])
    elif not path.is_file():  # nor a pipe, which might never end
        raise SimcropError("missing-file", f"{path}: no such file or folder, expected the reports")
    elif ending in (".csv", ".tsv", ".tab", ".txt"):
        rows = [lowered(path, row) for row in read_table(path, one_of=wanted_columns(key)[:1])]
    elif ending == ".json":
        rows = as_text(path, read_json(path, key or KEYS[0]), key)
    elif ending == ".parquet":
        rows = as_text(path, read_parquet(path), key)
    else:
        how = "from the spreadsheet as CSV UTF-8, in Excel by File, Save As" if ending in SPREADSHEETS else ""
        how = f"; save it {how}" if how else ""
        raise SimcropError(
            "unknown-format", f"{path}: expected reports as {', '.join(FORMATS)} or a folder of .txt{how}"
        )
    check_columns(path, rows, key)
    refusals += [refused for number, row in enumerate(rows, 1) for refused in too_long(path, number, row)]
    return [cleaned(row) for row in rows], refusals


def too_long(path: Path, number: int, row: Row) -> Iterator[Refusal]:
    """Cells that are no report by their size, as of a text file: `cleaned` leaves their words out."""
    for name in sorted(WORDS.intersection(row)):
        if len(row[name]) > LARGEST_FILE:
            where = f"{path.name} row {number}"
            why = f"{where} holds {len(row[name])} characters in {name}, expected a report of {LARGEST_FILE} at most"
            yield Refusal(where, None, "not-text", f"{why}: its words are not read")


def cleaned(row: Row) -> Row:
    """Without what an export left in the cells: the one place where this is done."""
    return {name: words_of(text) if name in WORDS else clean_name(text) for name, text in row.items()}


def words_of(cell: str) -> str:
    return clean_cell(cell) if len(cell) <= LARGEST_FILE else ""


def check_columns(path: Path, rows: list[Row], key: str | None) -> None:
    """Labels alone are enough of a table, as they are for what learns from labels."""
    names = list(rows[0]) if rows else []
    scan, words = wanted_columns(key)
    for wanted in (scan, *([] if any(name.startswith(LABEL) for name in names) else [words])):
        if names and not any(name in names for name in wanted):
            raise SimcropError("missing-columns", f"{path}: expected one of the columns {', '.join(wanted)}")


def wanted_columns(key: str | None) -> tuple[tuple[str, ...], ...]:
    """Groups of names, one of each of which a table must have."""
    return (key.lower(),) if key else KEYS, FINDINGS + IMPRESSION + WHOLE


def lowered(path: Path, row: Values) -> dict[str, Any]:
    """Capitals do not matter, but two columns may not differ in them alone; nor does a blank after `label:`."""
    names = [
        f"{LABEL}{name[len(LABEL) :].strip()}" if name.lower().startswith(LABEL) else name.lower()
        for name in row
    ]
    if len(set(names)) < len(names):
        raise SimcropError("bad-csv", f"{path}: two columns differ only in their capitals")
    return dict(zip(names, row.values(), strict=True))


def read_texts(folder: Path, column: str) -> tuple[list[Row], list[Refusal]]:
    """One row per `NAME.txt` in the folder, named by NAME."""
    rows, refusals = list[Row](), list[Refusal]()
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() == ".txt"):
        try:
            text = read_report_text(path)
        except SimcropError as error:
            refusals.append(Refusal(path.name, path, error.reason, error.sentence))
            continue
        rows.append({column.lower(): path.stem, WHOLE[0]: text})
    return rows, refusals


def read_json(path: Path, column: str) -> list[dict[str, Any]]:
    """The objects inside; where their own keys name them, the name stands in `column`."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise SimcropError("absurd-size", f"{path}: expected at most {LARGEST_JSON} bytes of JSON")
        content = json.loads(path.read_bytes(), object_pairs_hook=each_once)
    except OSError as error:
        raise SimcropError("unreadable", f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    except (ValueError, RecursionError) as error:
        raise SimcropError("bad-json", f"{path}: not a sound JSON text, or one name stands twice") from error
    if isinstance(content, dict):
        content = [named(column, name, value) for name, value in content.items()]
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise SimcropError("bad-json", f"{path}: expected a list of objects, or an object of them")
    return content


def named(column: str, name: str, value: object) -> dict[str, Any]:
    """One value of an object of studies, with its name beside it unless it knows one itself."""
    inner = value if isinstance(value, dict) else {FINDINGS[0]: value}
    return inner if any(key.lower() == column.lower() for key in inner) else {column: name, **inner}


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that stands twice would hide a report."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def read_parquet(path: Path) -> list[dict[str, Any]]:
    import polars as pl

    try:
        with path.open("rb") as file:
            return pl.read_parquet(file).to_dicts()
    except OSError as error:
        raise SimcropError("unreadable", f"{path}: cannot be read: {error.strerror or error}") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        raise SimcropError("bad-parquet", f"{path}: not a sound Parquet table") from error


def as_text(path: Path, rows: Iterable[Values], key: str | None) -> list[Row]:
    """Every value as a CSV would have it, every row with every column; lists of sentences are joined by lines."""
    lower = [lowered(path, row) for row in rows]
    columns = dict.fromkeys(name for row in lower for name in row)
    needed = {*KEYS, *FINDINGS, *IMPRESSION, *WHOLE, "patient", "split", (key or "").lower()}
    made = []
    for number, row in enumerate(lower, 1):
        texts = {name: text_of(row.get(name)) for name in columns}
        for name, text in texts.items():
            if text is None and (name in needed or name.startswith(LABEL)):
                raise SimcropError(
                    "bad-json", f"{path}: row {number} holds something else than text in {name}"
                )
        made.append({name: text or "" for name, text in texts.items()})
    return made


def text_of(value: object) -> str | None:
    """None for what no cell of a table could hold."""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = "\n".join(value)
    if isinstance(value, str):
        # A JSON text can spell half a character, which no file could store.
        return None if any("\ud800" <= letter <= "\udfff" for letter in value) else value
    if value is None or value != value:  # not a number
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return None if isinstance(value, (list, dict, bytes)) else str(value)

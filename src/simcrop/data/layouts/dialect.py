"""How a table was saved: its letters, and what divides its columns. Told from its first bytes and its first line.

No axes or units. Spreadsheets of many countries save semicolons or tabs under the name of commas, and UTF-16.
"""

import codecs
import csv
import re
from collections.abc import Callable
from io import BufferedReader

COMMA, TAB = ",", "\t"
DELIMITERS = (COMMA, ";", TAB, "|")
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SEEN = 64  # first bytes; UTF-16 without its mark has a zero in every other one of a head line
STATED = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # a first line by which Excel is told the delimiter


def encoding_of(file: BufferedReader) -> str:
    """Of the text that begins here; nothing is taken from the file."""
    start = file.peek(SEEN)[:SEEN]
    for mark, name in MARKS.items():
        if start.startswith(mark):
            return name
    first, second = start[: len(start) // 2 * 2 : 2], start[1::2]
    if len(start) > 1 and not any(second) and all(first):
        return "utf-16-le"
    if len(start) > 1 and not any(first) and all(second):
        return "utf-16-be"
    return "utf-8-sig"


def stated_delimiter(line: str) -> str | None:
    """Where the first line is `sep=;` and no head line."""
    found = STATED.fullmatch(line)
    return found[1] if found else None


def delimiter_of(head: list[str], usual: str, fits: Callable[[list[str]], bool]) -> str:
    """The `usual` one wherever the lines of the head make sense with it; else another one that makes sense; else the
    one that makes the most columns, so that a refusal can name them.
    """
    names = {delimiter: split(head, delimiter) for delimiter in (usual, *DELIMITERS)}
    for delimiter, columns in names.items():
        if fits(columns):
            return delimiter
    return usual if len(names[usual]) > 1 else max(names, key=lambda delimiter: len(names[delimiter]))


def split(head: list[str], delimiter: str) -> list[str]:
    """The names of columns; none where the quotes do not allow it."""
    try:
        return [name.strip() for name in next(csv.reader(head, delimiter=delimiter, strict=True), [])]
    except csv.Error:
        return []

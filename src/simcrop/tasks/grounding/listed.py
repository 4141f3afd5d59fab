"""Which sentences are sought in which scans: a table of both, the report of each scan, or the same ones in all.

No axes or units. Refusals name files and lines, and never what stands there.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simcrop.data.layouts.dialect import COMMA, TAB, delimiter_of
from simcrop.data.layouts.folder import list_folder
from simcrop.data.layouts.raw import ListingOptions, stem
from simcrop.data.readers.disc import is_disc
from simcrop.data.readers.find import is_directory
from simcrop.data.readers.slices import holds_slices
from simcrop.data.report import Report
from simcrop.errors import SimcropError
from simcrop.tasks.scans import Scan, Unread, scans_at

SCAN, SENTENCE = "scan", "sentence"


@dataclass(frozen=True)
class Pairs:
    """Scans, each with its sentences, and what there is no scan or no sentence for."""

    scans: tuple[tuple[Scan, tuple[str, ...]], ...]
    refused: tuple[Unread, ...]


def asks_many(source: Path, report: Path | None, jobs: Path | None, out: Path) -> bool:
    """Whether more than one scan is meant: there is a table, reports of many, or a folder of scans."""
    if jobs is not None or (report is not None and not is_one_report(report)):
        return True
    if is_directory(source) or not source.is_dir() or is_disc(source) or holds_slices(source):
        return False
    try:
        return len(scans_at(source, out)[0]) > 1
    except SimcropError:
        return False


def is_one_report(report: Path) -> bool:
    return not report.is_dir() and report.suffix.lower() not in (".csv", ".tsv", ".json", ".parquet")


def pairs_of(
    source: Path, sentences: Sequence[str], report: Path | None, jobs: Path | None, out: Path
) -> Pairs:
    """Raises SimcropError where nothing at all is asked, or a table cannot be read."""
    if jobs is not None:
        if report is not None:
            raise SimcropError(
                "bad-setting", "--jobs and --report both say what to look for: give one of them"
            )
        return of_table(source, sentences, jobs, out)
    if report is not None:
        return of_reports(source, sentences, report, out)
    if not sentences:
        raise SimcropError("empty-sentence", "nothing to look for: give --jobs, --sentence or --report")
    scans, left = scans_at(source, out)
    return Pairs(tuple((scan, tuple(sentences)) for scan in scans), tuple(left))


def of_reports(source: Path, sentences: Sequence[str], report: Path, out: Path) -> Pairs:
    """Each scan's own Findings, found as `simcrop ingest` does it: in the table, or the text beside the scan."""
    if is_one_report(report):
        raise SimcropError(
            "bad-setting",
            f"{report} is one report, and {source} holds several scans: --report wants a table, or the folder of texts",
        )
    if not report.exists():
        raise SimcropError("missing-file", f"{report}: no such file or folder")
    same = report.resolve() == source.resolve()
    listing = list_folder(source, ListingOptions(reports=None if same else report))
    known = {scan.path.resolve() for scan in scans_at(source, out)[0]}
    asked, refused = [], [Unread(one.name, one.reason, one.sentence) for one in listing.refusals]
    for study in (one for one in listing.studies if one.path.resolve() in known):
        own = [*sentences, *Report(study.findings, study.impression).sentences]
        if own:
            asked.append((Scan(study.id, study.path), tuple(own)))
        else:
            refused.append(Unread(study.id, "no-report", f"{study.path}: no sentence to look for"))
    return Pairs(tuple(asked), tuple(refused))


def of_table(source: Path, sentences: Sequence[str], jobs: Path, out: Path) -> Pairs:
    """Those of the table in its order, after the ones that are asked of every scan."""
    scans, left = scans_at(source, out)
    found, refused = names_of(source, scans), list(left)
    asked: dict[Scan, list[str]] = {}
    for line, name, sentence in rows_of(jobs):
        scan = found.get(name) or found.get(Path(name).as_posix())
        if scan is None:
            words = f"{jobs}, line {line}: names no scan below {source}, or more than one"
            refused.append(Unread(f"line {line}", "missing-file", words))
        else:
            asked.setdefault(scan, list(sentences)).append(sentence)
    return Pairs(tuple((scan, tuple(asked[scan])) for scan in scans if scan in asked), tuple(refused))


def names_of(source: Path, scans: Sequence[Scan]) -> dict[str, Scan | None]:
    """By id, path and path below the folder, by the name alone, and all of it without an ending; None where two have
    one name.
    """
    named: dict[str, Scan | None] = {}
    root = source if source.is_dir() else source.parent
    for scan in scans:
        below = scan.path.relative_to(root).as_posix() if scan.path.is_relative_to(root) else scan.path.name
        whole = {below, scan.path.name, str(scan.path), str(scan.path.resolve())}
        for name in whole | {stem(name) for name in whole}:
            named[name] = scan if name not in named else None
    return named | {scan.id: scan for scan in scans}


def has_both(head: list[str]) -> bool:
    return {SCAN, SENTENCE} <= {name.strip().lower() for name in head}


def rows_of(jobs: Path) -> list[tuple[int, str, str]]:
    """Line, scan and sentence of each row that is not empty."""
    try:
        text = jobs.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise SimcropError("missing-file", f"{jobs}: cannot be read: {what}") from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    usual = TAB if jobs.suffix == ".tsv" else COMMA
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of([first], usual, has_both))
    head = [name.strip().lower() for name in next(table, [])]
    if not has_both(head):
        raise SimcropError(
            "bad-table", f"{jobs}: expected a head with the columns {SCAN} and {SENTENCE} in its first line"
        )
    rows = []
    for row in table:
        if not any(cell.strip() for cell in row):
            continue
        cells = dict(zip(head, row, strict=False))
        name, sentence = cells.get(SCAN, "").strip(), " ".join(cells.get(SENTENCE, "").split())
        if not name or not sentence or len(row) > len(head):
            raise SimcropError(
                "bad-table",
                f"{jobs}, line {table.line_num}: expected a scan and a sentence, in quotes if it has a comma",
            )
        rows.append((table.line_num, name, sentence))
    if not rows:
        raise SimcropError("bad-table", f"{jobs}: no row below its head")
    return rows

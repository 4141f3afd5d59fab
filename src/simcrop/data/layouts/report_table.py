"""Reports joined to scans by a stated key: each row goes to one scan or one examination, or is listed as refused.

No axes or units. What a row says to name its scan is tried in this order:

1. the value of that name in the scan's DICOM header, where the key is one of `header_names.KEYWORDS`
2. the scan's id, or its path below the root, with or without its ending
3. a file name that one scan alone has
4. the name of a folder above it
5. its path from the root's name on, or its whole path

and then all over again as a path that is written plainly: `./p01//ct.nii` and `p01\\ct.nii` mean `p01/ct.nii`.
Where several of `KEYS` are columns, a row means the scan that all of them mean which mean any: a number in `id` may be
that of the row, and by chance the name of a folder.
Where any row names a header's value, headers are the key: what a row says is then no name of a file or folder of a scan
whose header says another value. Several scans share a row where their headers say that they are series of one
examination.
"""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from simcrop.data.layouts.raw import Refusal, brief, stem
from simcrop.data.layouts.report_rows import FINDINGS, IMPRESSION, KEYS, LABEL, WHOLE, WORDS, read_rows
from simcrop.data.layouts.table import Row, label_of
from simcrop.data.readers.header_names import SERIES, HeaderNames, header_names, keyword_of
from simcrop.data.report import Report
from simcrop.data.report_columns import report_in_columns

Identify = Callable[[Path], HeaderNames | None]


@dataclass(frozen=True)
class Scan:
    """One scan of the listing: where it lies, also below the root, and the id that ingest gives it."""

    path: Path
    place: Path
    id: str


@dataclass(frozen=True)
class Joined:
    """Scan id -> the number of its row; scan id -> the ids of all scans that share its row; what matched nothing."""

    row_of: dict[str, int]
    sharing: dict[str, tuple[str, ...]]
    refusals: list[Refusal]


@dataclass(frozen=True)
class ReportTable:
    """Rows from outside; `key` is the column that names the scan, or None for one of `KEYS`."""

    path: Path
    rows: list[Row]
    key: str | None = None
    unread: tuple[Refusal, ...] = ()

    @classmethod
    def read(cls, path: Path, key: str | None = None) -> "ReportTable":
        rows, unread = read_rows(path, key)
        return cls(path, rows, key, tuple(unread))

    @property
    def shows_names(self) -> bool:
        """Whether a refusal may repeat what a row says: not where the key may identify a patient."""
        return self.key is None or self.key.lower() in KEYS

    def names(self, row: Row) -> dict[str, str]:
        """Column -> what it says to name the scan, of each that says anything."""
        said = {column: row.get(column, "").strip() for column in ((self.key.lower(),) if self.key else KEYS)}
        return {column: name for column, name in said.items() if name}

    def name(self, row: Row) -> str:
        return next(iter(self.names(row).values()), "")

    def report(self, number: int) -> Report:
        row = self.rows[number]
        return report_in_columns(*(first_of(row, names) for names in (FINDINGS, IMPRESSION, WHOLE)))

    def labels(self, number: int) -> dict[str, int | None]:
        row = self.rows[number]
        return {k[len(LABEL) :]: label_of(self.path, k, v) for k, v in row.items() if k.startswith(LABEL)}

    def likely_labels(self) -> tuple[str, ...]:
        """Columns that hold 0 and 1 alone, as labels do, and are not named as labels."""
        read = {*KEYS, *WORDS, "patient", "split", (self.key or "").lower()}
        names = [name for name in (self.rows[0] if self.rows else ()) if not name.startswith(LABEL)]
        held = {name: {row[name].strip() for row in self.rows} for name in names if name not in read}
        return tuple(brief(name) for name, cells in held.items() if {"0", "1"} <= cells <= {"0", "1", ""})

    def cell(self, number: int, column: str) -> str:
        return self.rows[number].get(column, "").strip()

    def join(self, scans: list[Scan]) -> Joined:
        """Every row to its scan. Of two different rows for one scan neither is taken: nobody can say which is right."""
        keyword = keyword_of(self.key)
        identify = once(partial(header_names, every=keyword == SERIES))
        names = [name for row in self.rows for name in self.names(row).values()]
        tiers = tiers_of(scans, keyword, identify, [n for name in names for n in spellings(name)])
        elsewhere = by_end(names, tiers[-1])
        paths = {scan.id: scan.path for scan in scans}
        claims, sharing, refusals = dict[str, list[int]](), dict[str, tuple[str, ...]](), list(self.unread)
        for number, row in enumerate(self.rows):
            meant = {
                column: ids_of(name, tiers) or elsewhere.get(name, ())
                for column, name in self.names(row).items()
            }
            ids, other = meant_by_all(meant)
            if other:
                why = f"which is another scan than its column {other} names; --key {other} reads that column alone"
                refusals.append(self.refusal(number, why))
            elif len(ids) > 1 and not one_examination(identify(paths[id]) for id in ids):
                refusals.append(self.refusal(number, f"which {len(ids)} scans share"))
            elif not ids:
                refusals.append(self.refusal(number, "which is no one scan below the folder"))
            else:
                for id in ids:
                    claims.setdefault(id, []).append(number)
                sharing |= dict.fromkeys(ids, ids)
        said = [{name: text.strip() for name, text in row.items()} for row in self.rows]
        unsure = {id for id, rows in claims.items() if any(said[n] != said[rows[0]] for n in rows)}
        refusals += [self.contradiction(claims[id]) for id in sorted(unsure)]
        sure = {id: rows[0] for id, rows in claims.items() if id not in unsure}
        # A row that stands twice is one refusal where it can be told by its name.
        return Joined(sure, {id: sharing[id] for id in sure}, list(dict.fromkeys(refusals)))

    def contradiction(self, numbers: list[int]) -> Refusal:
        rows = f"{self.path.name} rows {', '.join(str(number + 1) for number in numbers)}"
        return Refusal(
            rows,
            None,
            "duplicate-row",
            f"{rows} name one scan and differ, neither is taken: expected one row each",
        )

    def refusal(self, number: int, why: str) -> Refusal:
        name = brief(self.name(self.rows[number]))
        if name and self.shows_names:
            return Refusal(name, None, "no-volume", f"{self.path.name} names {name!r}, {why}")
        row = f"{self.path.name} row {number + 1}"
        return Refusal(row, None, "no-volume", f"{row} names its scan in {self.key or 'no column'}, {why}")


def first_of(row: Row, names: tuple[str, ...]) -> str:
    return next((row[name] for name in names if row.get(name)), "")


def ids_of(name: str, tiers: list[dict[str, list[str]]]) -> tuple[str, ...]:
    return tuple(next((tier[n] for n in spellings(name) for tier in tiers if n in tier), ()))


def meant_by_all(meant: dict[str, tuple[str, ...]]) -> tuple[tuple[str, ...], str]:
    """The scans that every column means which means any; and the first that means none of those before it, or ""."""
    ids = tuple[str, ...]()
    for column, others in meant.items():
        both = tuple(id for id in ids if id in others)
        if ids and others and not both:
            return (), column
        ids = both or ids or others
    return ids, ""


def spellings(name: str) -> list[str]:
    """What a row says, and the same as a plain path, as other systems and `find` write it; accents as `composed`."""
    name = composed(name)
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    start = "/" if name.startswith("/") else ""
    return [one for one in dict.fromkeys((name, start + "/".join(parts))) if one]


def composed(name: str) -> str:
    """With accents in one with their letters, whichever way a Mac or a table has written them."""
    return unicodedata.normalize("NFC", name)


def by_end(names: Iterable[str], tier: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    """Whole paths of another computer, as `D:\\ct\\raw\\p01\\ct.nii`, that end in the root's name and a scan's path.

    None is believed where they begin differently: two folders may have the root's name, each with its own patients.
    """
    found, begins = dict[str, tuple[str, ...]](), set[str]()
    for name in names:
        parts = spellings(name)[-1].split("/") if name[:1] in ("/", "\\") or name[1:2] == ":" else []
        for start in range(1, len(parts) - 1):
            if ids := tier.get("/".join(parts[start:])):
                found[name] = tuple(ids)
                begins.add("/".join(parts[:start]))
                break
    return found if len(begins) == 1 else {}


def once(identify: Identify) -> Identify:
    """Each header is opened when it is asked for, and never again."""
    known: dict[Path, HeaderNames | None] = {}

    def remembered(path: Path) -> HeaderNames | None:
        if path not in known:
            known[path] = identify(path)
        return known[path]

    return remembered


def one_examination(headers: Iterable[HeaderNames | None]) -> bool:
    """Whether all headers name one study; the first that does not ends the reading."""
    studies: set[str] = set()
    for header in headers:
        studies.add(header.study if header else "")
        if len(studies) > 1 or "" in studies:
            return False
    return bool(studies)


def tiers_of(
    scans: list[Scan], keyword: str | None, identify: Identify, said: Iterable[str]
) -> list[dict[str, list[str]]]:
    """Name -> the scans that bear it, from the surest kind of name to the least sure; `said`: what the rows say."""
    tiers: list[dict[str, list[str]]] = [{} for _ in range(5)]
    stating = set[str]()
    for scan in scans if keyword else ():
        header = identify(scan.path)
        for value in header.values(keyword) if header and keyword else ():
            tiers[0].setdefault(value, []).append(scan.id)
            stating.add(scan.id)
    by_header = any(name in tiers[0] for name in said)
    for scan in scans:
        if by_header and scan.id in stating:
            continue
        place = scan.place.as_posix()
        above = [folder for folder in scan.place.parents if folder.name]
        kinds = (
            {scan.id, place, stem(place)},
            {scan.place.name, stem(scan.place.name)},
            {text for folder in above for text in (folder.as_posix(), folder.name)},
            from_outside(scan),
        )
        for tier, names in zip(tiers[1:], kinds, strict=True):
            for name in {composed(name) for name in names}:
                tier.setdefault(name, []).append(scan.id)
    return tiers


def from_outside(scan: Scan) -> set[str]:
    """Its path as somebody writes it who stands above the root; also without its ending, and of its folder."""
    whole = scan.path.absolute()
    root = Path(*whole.parts[: len(whole.parts) - len(scan.place.parts)])
    places = (scan.place, *(folder for folder in scan.place.parents if folder.name))
    paths = {path for place in places for path in (root / place, Path(root.name) / place)}
    return {text for path in paths for text in (path.as_posix(), stem(path.as_posix()))}

"""A hospital's own scans as studies: any format, any nesting, one table or one text file per scan for reports.

No axes or units. `reports.csv` lies at the root; its column names count without regard to case:

    id, volumename or file           the study's id, or the scan's path below the root, or its file name
    findings or findings_en          at least one of these two
    impression or impressions_en
    patient, split                   optional; by default the top folder (or the id), and `train`
    label:NAME                       optional; 0, 1 or empty

A scan that the table does not name may have its report beside it: `ct7.nii.gz` and `ct7.txt`.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from simcrop.data.layouts.raw import Listing, RawStudy, Refusal
from simcrop.data.layouts.table import Row, label_of, read_table
from simcrop.data.readers.find import SUFFIXES, find_scans
from simcrop.data.report import read_report_file
from simcrop.errors import SimcropError

KEYS = ("id", "volumename", "file")
FINDINGS = ("findings", "findings_en")
IMPRESSION = ("impression", "impressions_en")
LONGEST_ID = 150


def list_folder(source: Path) -> Listing:
    """Every scan at or below `source`, which may be one scan itself."""
    if source.is_file():
        root, paths = source.parent, [source]
    else:
        root, paths = source, find_scans(source)
        if (root / "truth" / "phantom.json").is_file():  # the answers beside a phantom are no scans
            paths = [path for path in paths if not path.is_relative_to(root / "truth")]
    places = [path.relative_to(root) for path in paths]
    ids = ids_of([str(p) if p.parts else root.name for p in places])

    table = read_reports(root / "reports.csv") if source.is_dir() else None
    rows = table.assign(ids, places) if table else {}
    studies, refusals = [], table.unclaimed(rows) if table else []
    for path, place, id in sorted(zip(paths, places, ids, strict=True), key=lambda found: found[2]):
        study, refused = study_of(path, place, id, table, rows.get(id))
        studies.append(study)
        refusals += refused
    return Listing(tuple(studies), tuple(refusals))


def study_of(
    path: Path, place: Path, id: str, table: "ReportTable | None", row: Row | None
) -> tuple[RawStudy, list[Refusal]]:
    """One scan with its row, else with the text beside it, else without a report."""
    refusals, labels, findings, impression, said = [], {}, "", "", {}
    if table is not None and row is not None:
        findings, impression = first_of(row, FINDINGS), first_of(row, IMPRESSION)
        labels = {k[6:]: label_of(table.path, k, v) for k, v in row.items() if k.startswith("label:")}
        said = {k: row[k].strip() for k in ("patient", "split") if row.get(k, "").strip()}
    elif (text := path.with_name(f"{stem(path.name)}.txt")).is_file():
        try:
            report = read_report_file(text)
            findings, impression = report.findings, report.impression
        except SimcropError as error:
            refusals.append(Refusal(text.name, text, error.reason, error.sentence))
    patient = said.get("patient") or (place.parts[0] if len(place.parts) > 1 else id)
    empty = not (findings.strip() or impression.strip())
    study = RawStudy(
        id=id,
        patient=patient,
        scan=id,
        split=said.get("split", "train"),
        path=path,
        findings=findings,
        impression=impression,
        labels=labels,
        notes=("no report",) if empty else (),
    )
    return study, refusals


def ids_of(places: list[str]) -> list[str]:
    """Names that are safe as file names on any system; where two would be the same, both carry a short hash."""
    plain = [re.sub(r"[^A-Za-z0-9._-]+", "-", stem(p).replace("/", "__")).strip("-.") for p in places]
    count = Counter(name.lower() for name in plain)
    return [
        name
        if name and count[name.lower()] == 1 and len(name) <= LONGEST_ID
        else f"{name[:LONGEST_ID] or 'scan'}-{short(place)}"
        for name, place in zip(plain, places, strict=True)
    ]


def short(place: str) -> str:
    return hashlib.sha256(place.encode(errors="surrogateescape")).hexdigest()[:8]


def stem(name: str) -> str:
    """A name without the ending of a scan."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def first_of(row: Row, names: tuple[str, ...]) -> str:
    return next((row[name] for name in names if row.get(name)), "")


def read_reports(path: Path) -> "ReportTable | None":
    """The table at the root, if there is one, with lower-case column names."""
    if not path.is_file():
        return None
    rows = [
        {f"label:{k[6:]}" if k.lower().startswith("label:") else k.lower(): v for k, v in row.items()}
        for row in read_table(path)
    ]
    head = rows[0].keys() if rows else KEYS + FINDINGS
    for wanted in (KEYS, FINDINGS + IMPRESSION):
        if not any(name in head for name in wanted):
            raise SimcropError("missing-columns", f"{path}: expected one of the columns {', '.join(wanted)}")
    return ReportTable(path, rows)


@dataclass(frozen=True)
class ReportTable:
    """Rows of `reports.csv`, each to be claimed by one scan."""

    path: Path
    rows: list[Row]

    def assign(self, ids: list[str], places: list[Path]) -> dict[str, Row]:
        """Id -> its row. A file name counts only where one scan alone has it."""
        names = Counter(name for place in places for name in {place.name, stem(place.name)})
        by_name: dict[str, str] = {}
        for id, place in zip(ids, places, strict=True):
            alone = [name for name in {place.name, stem(place.name)} if names[name] == 1]
            by_name |= dict.fromkeys([id, str(place), stem(str(place)), *alone], id)
        claimed: dict[str, Row] = {}
        for row in self.rows:
            id = by_name.get(first_of(row, KEYS).strip())
            if id is not None and claimed.setdefault(id, row) != row:
                raise SimcropError("duplicate-row", f"{self.path}: a second, different row for the scan {id}")
        return claimed

    def unclaimed(self, claimed: dict[str, Row]) -> list[Refusal]:
        """Rows that name no scan, or a name that several scans share."""
        used = {first_of(row, KEYS).strip() for row in claimed.values()}
        names = dict.fromkeys(first_of(row, KEYS).strip() for row in self.rows)
        return [
            Refusal(
                name,
                None,
                "no-volume",
                f"{self.path.name} names {name!r}, which is no one scan below the folder",
            )
            for name in names
            if name not in used
        ]

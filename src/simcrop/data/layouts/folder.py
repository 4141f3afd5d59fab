"""A hospital's own scans as studies: any format, any nesting, reports in one table or as a text file per scan.

No axes or units. `reports.csv`, or `.tsv`, `.json`, `.parquet`, lies at the root, or wherever `options.reports` says;
its column names count without regard to case:

    id, volumename or file           the study's id, or the scan's path below the root, or a file's or folder's name;
                                     or instead any column that `options.key` names, see `report_table`
    findings or findings_en          at least one of these,
    impression or impressions_en
    report or report_text            or of these, whole reports that are cut at their heads
    patient, split                   optional; by default the top folder (or the id), and `train`
    label:NAME                       optional; 0, 1 or empty

A scan that the table does not name may have its report beside it: `ct7.nii.gz` and `ct7.txt`. Several DICOM series in
one folder are one scan, of which the reader chooses one, see `readers.series_choice`. Folders of one PatientID are one
patient's, see `persons`.
"""

import hashlib
import re
from collections import Counter
from pathlib import Path

from simcrop.data.layouts.persons import persons_of
from simcrop.data.layouts.raw import Listing, ListingOptions, RawStudy, Refusal, stem
from simcrop.data.layouts.report_rows import find_table
from simcrop.data.layouts.report_table import Joined, ReportTable, Scan
from simcrop.data.readers.find import find_scans
from simcrop.data.report import Report, read_report_file
from simcrop.data.report_heads import NO_HEAD
from simcrop.errors import SimcropError

LONGEST_ID = 150


def list_folder(source: Path, options: ListingOptions = ListingOptions()) -> Listing:
    """Every scan at or below `source`, which may be one scan itself."""
    if source.is_file():
        root, paths = source.parent, [source]
    else:
        root, paths = source, find_scans(source)
        if (root / "truth" / "phantom.json").is_file():  # the answers beside a phantom are no scans
            paths = [path for path in paths if not path.is_relative_to(root / "truth")]
    places = [path.relative_to(root) for path in paths]
    ids = ids_of([str(p) if p.parts else root.name for p in places])
    scans = sorted(map(Scan, paths, places, ids), key=lambda scan: scan.id)

    table = table_of(source, options)
    joined = table.join(scans) if table else Joined({}, {}, [])
    persons = persons_of(scans, {scan.id: folder_of(scan) for scan in scans})
    studies, refusals = [], list(joined.refusals)
    for scan in scans:
        study, refused = study_of(scan, persons[scan.id], table, joined)
        studies.append(study)
        refusals += refused
    stated = table is not None and any(table.cell(number, "split") for number in joined.row_of.values())
    return Listing(tuple(studies), tuple(refusals), split_kind="table" if stated else "none")


def table_of(source: Path, options: ListingOptions) -> ReportTable | None:
    """The table that the user names, else the one at the root."""
    path = options.reports or (find_table(source) if source.is_dir() else None)
    if path is None and options.key is not None:
        raise SimcropError(
            "missing-file", f"{source}: a key is given, but there is no table of reports that holds it"
        )
    return ReportTable.read(path, options.key) if path else None


def folder_of(scan: Scan) -> str:
    """The patient where nothing else is said: the top folder, or the scan itself."""
    return scan.place.parts[0] if len(scan.place.parts) > 1 else scan.id


def study_of(
    scan: Scan, person: str, table: ReportTable | None, joined: Joined
) -> tuple[RawStudy, list[Refusal]]:
    """One scan with its row, else with the text beside it, else without a report."""
    refusals, labels, report, cells, notes = [], {}, Report("", ""), {}, ()
    number = joined.row_of.get(scan.id)
    if table is not None and number is not None:
        report = table.report(number)
        labels = table.labels(number)
        cells = {column: table.cell(number, column) for column in ("patient", "split")}
        if len(joined.sharing[scan.id]) > 1:
            notes = (f"one report for {len(joined.sharing[scan.id])} series of this examination",)
    elif (text := scan.path.with_name(f"{stem(scan.path.name)}.txt")).is_file():
        try:
            report = read_report_file(text)
        except SimcropError as error:
            refusals.append(Refusal(text.name, text, error.reason, error.sentence))
    if not (report.findings.strip() or report.impression.strip()):
        notes = (*notes, "no report")
    elif not report.headed:
        notes = (*notes, NO_HEAD)
    study = RawStudy(
        id=scan.id,
        patient=cells.get("patient") or person,
        scan=joined.sharing.get(scan.id, (scan.id,))[0],
        split=cells.get("split") or "train",
        path=scan.path,
        findings=report.findings,
        impression=report.impression,
        labels=labels,
        notes=notes,
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

"""A hospital's own scans as studies: any format, any nesting, reports in one table or as a text file per scan.

No axes or units. `reports.csv`, or `.tsv`, `.json`, `.parquet`, lies at the root, or wherever `options.reports` says;
its name and its column names count without regard to case:

    id, volumename or file           the study's id, or the scan's path below the root, or a file's or folder's name;
                                     or instead any column that `options.key` names, see `report_table`
    findings or findings_en          at least one of these,
    impression or impressions_en
    report or report_text            or of these, whole reports that are cut at their heads
    patient, split                   optional; by default the top folder (or the id), and `train`, see `stated`
    label:NAME                       optional; 0, 1 or empty

A scan of which the table says no words may have its report beside it: `ct7.nii.gz` and `ct7.txt`; any may have its
mask there, see `folder_masks`, or its organ map, see `organ_maps`. Several DICOM series in
one folder are one scan, of which the reader chooses one, see `readers.series_choice`. Folders of one PatientID are one
patient's, see `persons`.
"""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path

from simcrop.data.layouts.drawn import NOTE
from simcrop.data.layouts.folder_masks import Marked, near, without_masks
from simcrop.data.layouts.organ_maps import organ_maps_of, with_organ_maps, without_class_folders
from simcrop.data.layouts.persons import MANY, headers_of, persons_of
from simcrop.data.layouts.raw import Listing, ListingOptions, RawStudy, Refusal, stem
from simcrop.data.layouts.report_rows import find_table
from simcrop.data.layouts.report_table import Joined, ReportTable, Scan, composed
from simcrop.data.layouts.spread_series import spread_series
from simcrop.data.layouts.stated import TRAIN, notes_on, patients_of, splits_of
from simcrop.data.layouts.stray import left_refusals, stray_reports
from simcrop.data.readers.find import Survey, is_directory, survey
from simcrop.data.report import Report, read_report_file
from simcrop.data.split import part_named
from simcrop.errors import SimcropError

LONGEST_ID = 150
SHELVES = (
    "imagesTr",
    "imagesTs",
    "imagesVal",
)  # of many patients each, in data sets in the Decathlon's style


def list_folder(source: Path, options: ListingOptions = ListingOptions()) -> Listing:
    """Every scan at or below `source`, which may be one scan itself, or the DICOMDIR of a disc."""
    source = source.parent if is_directory(source) else source
    root = source.parent if source.is_file() else source
    seen = alone(source) if source.is_file() else without_truth(root, survey(root))
    if seen.scans == [root]:
        seen.scans = near(root).scans  # DICOM slices, whose mask lies beside the folder
    map_of = organ_maps_of(seen.scans)
    maps = set(map_of.values())
    taken_for_scans, of_classes = without_class_folders(root, (p for p in seen.scans if p not in maps))
    seen = replace(seen, scans=taken_for_scans)
    seen, marked = without_masks(root, seen)
    paths = seen.scans
    places = [path.relative_to(root) for path in paths]
    ids = ids_of([str(p) if p.parts else root.name for p in places])
    scans = sorted(map(Scan, paths, places, ids), key=lambda scan: scan.id)

    table = table_of(source, options, seen.documents)
    texts = Texts(root, seen.documents)
    joined = table.join(scans) if table else Joined({}, {}, [])
    shelf = shelf_of(scans)
    headers = headers_of(scans)
    persons = persons_of(headers, {scan.id: composed(folder_of(scan, shelf)) for scan in scans})
    studies, refused = studies_of(scans, persons, table, joined, texts, marked)
    refusals = [*joined.refusals, *marked.refusals, *of_classes, *refused]
    spread = spread_series({scan.id: scan.path for scan in scans}, headers)
    studies, refusals = [s for s in studies if s.id not in spread], [*refusals, *spread.values()]
    refusals += left_refusals(root, seen.left)
    taken = texts.taken | taken_by(table, root, seen.documents)
    refusals += stray_reports(root, seen, taken, table is not None)
    kind = "table" if marked.split_of or stated(table, joined, "split") else "none"
    unread = table.likely_labels() if table else ()
    listing = Listing(
        tuple(studies),
        tuple(refusals),
        split_kind=kind,
        classes=marked.classes,
        unread=unread,
        shelved=bool(shelf.parts) and shelf.parts[0] not in SHELVES,
    )
    return with_organ_maps(listing, map_of)


def studies_of(
    scans: list[Scan],
    persons: dict[str, str],
    table: ReportTable | None,
    joined: Joined,
    texts: "Texts",
    marked: Marked,
) -> tuple[list[RawStudy], list[Refusal]]:
    """Every scan with what is said of it, and with what is said of its patient's other scans."""
    named = {id: composed(name) for id, name in stated(table, joined, "patient").items()}
    patients = patients_of(persons, named)
    parts = {scan.id: marked.split_of[scan.path] for scan in scans if scan.path in marked.split_of}
    parts |= {id: part_named(cell) for id, cell in stated(table, joined, "split").items()}
    splits, doubts = splits_of(patients, parts), notes_on(persons, patients, named)
    studies, refusals = list[RawStudy](), list[Refusal]()
    for scan in scans:
        study, refused = study_of(scan, table, joined, texts)
        mask, notes = marked.mask_of.get(scan.path), (*study.notes, *doubts[scan.id])
        patient, split = patients[scan.id], splits[scan.id]
        studies.append(replace(study, patient=patient, split=split, mask=mask, notes=notes))
        refusals += refused
    return studies, refusals


def stated(table: ReportTable | None, joined: Joined, column: str) -> dict[str, str]:
    """Scan id -> what the table says in a column, of the scans of which it says anything."""
    said = {id: table.cell(number, column) for id, number in joined.row_of.items()} if table else {}
    return {id: cell for id, cell in said.items() if cell}


class Texts:
    """The texts beside scans, whatever the capitals of their endings; `taken` is what was asked for and there."""

    def __init__(self, root: Path, documents: list[Path]) -> None:
        self.root, self.taken = root, set[Path]()
        self.known = {path.with_suffix(".txt"): path for path in sorted(documents) if is_text(path)}

    def beside(self, scan: Scan) -> Path | None:
        """Only for what lies beside the folder that was listed the disk is asked."""
        text = scan.path.with_name(f"{stem(scan.path.name)}.txt")
        found = self.known.get(text)
        if found is None and not text.is_relative_to(self.root) and text.is_file():
            return text
        self.taken |= {found} if found else set()
        return found

    def report_of(self, scan: Scan) -> tuple[Report | None, list[Refusal]]:
        """What the text beside a scan says, or why it cannot be read."""
        text = self.beside(scan)
        if text is None:
            return None, []
        try:
            return read_report_file(text), []
        except SimcropError as error:
            return None, [Refusal(text.name, text, error.reason, error.sentence)]


def is_text(path: Path) -> bool:
    return path.suffix.lower() == ".txt"


def alone(scan: Path) -> Survey:
    """One scan, of whose folder nothing is asked but the text and the mask beside it."""
    text = scan.with_name(f"{stem(scan.name)}.txt")
    seen = near(scan)
    seen.documents += [text] if text.is_file() else []
    return seen


def without_truth(root: Path, seen: Survey) -> Survey:
    """The answers beside a phantom are no scans."""
    if root / NOTE not in seen.documents:
        return seen
    truth = (root / NOTE).parent
    scans, documents = (
        [path for path in paths if not path.is_relative_to(truth)] for paths in (seen.scans, seen.documents)
    )
    left = [one for one in seen.left if not one.path.is_relative_to(truth)]
    return Survey(scans, left, documents, seen.quiet)


def taken_by(table: ReportTable | None, root: Path, documents: list[Path]) -> set[Path]:
    """The table's own file, or all texts of the folder that is the table."""
    home = table.path.resolve() if table else None
    if home is None or not home.is_relative_to(root.resolve()):
        return set()
    home = root / home.relative_to(root.resolve())
    return {path for path in documents if path == home or (path.parent == home and is_text(path))}


def table_of(source: Path, options: ListingOptions, documents: list[Path]) -> ReportTable | None:
    """The table that the user names, else the one at the root."""
    path = options.reports or find_table(source, documents)
    if path is None and options.key is not None:
        raise SimcropError(
            "missing-file", f"{source}: a key is given, but there is no table of reports that holds it"
        )
    return ReportTable.read(path, options.key) if path else None


def shelf_of(scans: list[Scan]) -> Path:
    """The folder that holds all of many scans, which is that of a data set and of no one patient."""
    if len(scans) < MANY:
        return Path()
    return Path(os.path.commonpath([scan.place.parent for scan in scans]))


def folder_of(scan: Scan, shelf: Path) -> str:
    """The patient where nothing else is said: the top folder on the shelf, or the scan itself."""
    parts = scan.place.relative_to(shelf).parts
    return parts[0] if len(parts) > 1 and parts[0] not in SHELVES else scan.id


def study_of(
    scan: Scan, table: ReportTable | None, joined: Joined, texts: Texts
) -> tuple[RawStudy, list[Refusal]]:
    """One scan with its row, with the text beside it where no row has words, or without a report; of a patient of its
    own, for training.
    """
    labels, report, notes = {}, Report("", ""), ()
    number = joined.row_of.get(scan.id)
    if table is not None and number is not None:
        report = table.report(number)
        labels = table.labels(number)
        if len(joined.sharing[scan.id]) > 1:
            notes = (f"one report for {len(joined.sharing[scan.id])} series of this examination",)
    written, refusals = texts.report_of(scan)
    if not report.text:
        report, notes = written or report, () if written else notes
    elif written is not None and written.text != report.text:
        notes = (*notes, "the text beside it says something else, the table's report is taken")
    if not (report.findings.strip() or report.impression.strip()):
        notes = (*notes, "no report")
    elif report.note:
        notes = (*notes, report.note)
    study = RawStudy(
        id=scan.id,
        patient=scan.id,
        scan=joined.sharing.get(scan.id, (scan.id,))[0],
        split=TRAIN,
        path=scan.path,
        findings=report.findings,
        impression=report.impression,
        labels=labels,
        notes=notes,
    )
    return study, refusals


def ids_of(places: list[str]) -> list[str]:
    """Names that are safe as file names on any system; where two would be the same, both carry a short hash. An accent
    that a Mac has put apart is one with its letter.
    """
    whole = [unicodedata.normalize("NFC", stem(p).replace("/", "__")) for p in places]
    plain = [re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") for name in whole]
    count = Counter(name.lower() for name in plain)
    return [
        name
        if name and count[name.lower()] == 1 and len(name) <= LONGEST_ID
        else f"{name[:LONGEST_ID] or 'scan'}-{short(place)}"
        for name, place in zip(plain, places, strict=True)
    ]


def short(place: str) -> str:
    return hashlib.sha256(place.encode(errors="surrogateescape")).hexdigest()[:8]

"""What every phantom layout shares: the request, what one patient adds to the tables, and files that are whole.

No axes or units.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from simcrop.data.organs import OrganText
from simcrop.errors import SimcropError
from simcrop.files.whole import writing
from simcrop.phantom.patient import Patient
from simcrop.phantom.reporting.report import PhantomReport, write_report
from simcrop.phantom.truth import TruthSentence, truth_of

Row = dict[str, str]
Columns = Mapping[str, tuple[str, ...]]  # path of a table below the root -> its head line


@dataclass(frozen=True)
class Request:
    """What makes two phantom cohorts the same, to the last bit. `release` matters to CT-RATE alone; `organs`: label
    maps of organs and what reports say of them lie beside the scans.
    """

    layout: str
    patients: int
    seed: int
    size: str
    difficulty: str = "real"
    release: str = "v2"
    organs: bool = False

    @property
    def facts(self) -> dict[str, Any]:
        """As it is written down; what is not asked for leaves no word."""
        return {name: value for name, value in asdict(self).items() if name != "organs" or value}


@dataclass(frozen=True)
class Entry:
    """What one patient adds: the ids its volumes get when ingested, rows by table, truth by sentence, and by scan what
    its report says of each organ, where that is asked for.
    """

    volumes: tuple[str, ...]
    rows: dict[str, list[Row]] = field(default_factory=dict)
    truth: tuple[TruthSentence, ...] = ()
    organs: dict[str, dict[str, OrganText]] = field(default_factory=dict)


@dataclass(frozen=True)
class Tree:
    """One layout. `write`: the scans of patients and their masks; `finish`: what lists them, once all are there.

    `together` patients in a row are written by one process, for archives that hold more than one.
    """

    write: Callable[[Path, Request, list[Patient]], None]
    entry: Callable[[Request, Patient], Entry]
    finish: Callable[[Path, list[Entry]], None]
    together: int = 1


def report_of(patient: Patient) -> PhantomReport:
    """The report on this patient, in whatever layout, even in one that has none."""
    return write_report(patient.findings, patient.anatomy.blood_hu > 100, patient.words())


def truth_lines(volumes: Iterable[str], report: PhantomReport) -> tuple[TruthSentence, ...]:
    """The truth of a report for each volume that it is about."""
    return tuple(truth_of(v, i, sentence) for v in volumes for i, sentence in enumerate(report.sentences))


def kinds_of(patient: Patient) -> set[str]:
    return {finding.kind for finding in patient.findings}


def mask_path(out: Path, volume: str) -> Path:
    """Where the findings of a volume are marked."""
    return out / "truth" / f"{volume}_lesions.nii.gz"


def start_folder(out: Path, request: Request) -> None:
    """Mark `out` as this phantom's, and refuse a folder that holds anything else."""
    note = out / "truth" / "phantom.json"
    text = json.dumps(request.facts) + "\n"
    if note.is_file():
        if note.read_text() != text:
            raise SimcropError(
                "other-phantom", f"{out}: holds another phantom cohort ({note}); choose a new folder"
            )
        return
    others = {p.name for p in out.iterdir()} - {"run.json"} if out.is_dir() else {out.name}
    if out.exists() and others:
        raise SimcropError(
            "not-empty", f"{out}: is not an empty folder; a phantom cohort needs one of its own"
        )
    write_file(note, text.encode())


def write_tables(out: Path, columns: Columns, entries: Iterable[Entry]) -> None:
    """Every table, with its head line even where no patient has a row."""
    entries = list(entries)
    for place, head in columns.items():
        write_csv(out / place, head, [row for entry in entries for row in entry.rows.get(place, ())])


def write_csv(path: Path, columns: tuple[str, ...], rows: list[Row]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_file(path, text.getvalue().encode())


def write_file(path: Path, content: bytes) -> None:
    """All of it or nothing: written beside its place, then renamed."""
    unfinished = path.with_name(path.name + ".unfinished")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(content)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

"""What the viewer is asked to open: a cohort, a run, or scans; and which model looks at them.

No axes or units.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcrop.data.ingest.mask import Mask
from simcrop.data.layouts.folder import list_folder
from simcrop.data.layouts.raw import ListingOptions, RawStudy
from simcrop.data.readers import is_scan
from simcrop.data.report import Report, read_report_file
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.data.store.format import COHORT, STUDIES
from simcrop.errors import SimcropError
from simcrop.files.digest import digest_of_files
from simcrop.tasks.folder import read_run
from simcrop.tasks.grounding.listed import is_one_report
from simcrop.viewer.catalogue import Catalogue, Entry, key_of, of_cohort

UNFINISHED = "ingest.jsonl"


@dataclass(frozen=True, eq=False)
class Opened:
    """What there is to see, and the path or id of the model, if one was named or found."""

    catalogue: Catalogue
    cohort: Cohort | None
    model: str | None


def open_place(place: Path, model: str | None, report: Path | None) -> Opened:
    """Raises SimcropError where nothing can be shown."""
    run = read_run(place) if place.is_dir() else None
    if run is not None and is_run(place, run):
        return opened_cohort(cohort_of(place, run), model or str(place), report)
    if (place / COHORT).is_file() or (place / UNFINISHED).is_file():
        return opened_cohort(place, model, report)
    if not place.exists():
        raise SimcropError("missing-file", f"{place}: no such file or folder")
    return Opened(of_scans(place, report), None, model)


def opened_cohort(path: Path, model: str | None, report: Path | None) -> Opened:
    if report is not None:
        raise SimcropError("bad-setting", "--report is for scans; a cohort has its reports already")
    cohort = open_cohort(path)
    return Opened(of_cohort(cohort), cohort, model)


def is_run(place: Path, run: dict[str, Any]) -> bool:
    return run["verb"] in ("pretrain", "untrained") and (
        (place / "model").is_dir() or (place / "checkpoints").is_dir()
    )


def cohort_of(place: Path, run: dict[str, Any]) -> Path:
    """The cohort that a run was trained on, if it still lies where its command named it."""
    wanted = run["settings"].get("cohort")
    for path in named_in(place, run):
        try:
            if digest_of_files(path / STUDIES) == wanted:
                return path
        except OSError:
            continue
    raise SimcropError(
        "no-cohort",
        f"{place}: the cohort of this run is not where its command found it: "
        "simcrop view COHORT --model RUN shows it with one",
    )


def named_in(place: Path, run: dict[str, Any]) -> Iterator[Path]:
    """Paths in its command, and the cohorts of the demo that it is part of."""
    yield from (Path(word) for word in run.get("command", []) if isinstance(word, str) and word)
    yield from sorted(place.resolve().parent.parent.glob("cohorts/*/cohort"))


def of_scans(place: Path, report: Path | None) -> Catalogue:
    """One scan, or each of a folder, with the reports that are named or lie beside them."""
    one = report is not None and is_one_report(report)
    if one and not is_single(place):
        raise SimcropError(
            "bad-setting",
            f"{report} is one report, and {place} holds several scans: --report wants a table, or the folder of texts",
        )
    listing = list_folder(place, ListingOptions(reports=None if one else report))
    text = read_report_file(report) if one and report is not None else None
    entries = [entry_of(study, text, listing.classes) for study in listing.studies]
    if not entries:
        told = f": {listing.refusals[0].sentence}" if listing.refusals else ""
        raise SimcropError("no-scans", f"{place}: no scan found{told}")
    return Catalogue("scans", place.resolve().name, entries)


def is_single(place: Path) -> bool:
    return place.is_file() or is_scan(place)


def entry_of(study: RawStudy, report: Report | None, classes: dict[int, str] | None) -> Entry:
    key = key_of("scan", str(study.path.resolve()))
    labels = tuple(name for name, value in study.labels.items() if value == 1)
    split = study.split if study.split != "train" else ""
    report = report or Report(study.findings, study.impression)
    mask = None if study.mask is None or study.marked else Mask(study.mask, classes)
    return Entry(key, study.id, split, labels, report, path=study.path, mask=mask, has_mask=mask is not None)

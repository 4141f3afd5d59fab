"""Scans that are added while the viewer runs: uploaded, or opened below the folder that `--root` names.

No axes or units.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from simcrop.data.layouts.folder import list_folder
from simcrop.data.layouts.folder_masks import NAMES
from simcrop.data.layouts.raw import stem
from simcrop.data.readers import is_scan
from simcrop.data.readers.stored import at_most
from simcrop.data.report import Report, split_at_heads
from simcrop.errors import SimcropError
from simcrop.viewer.catalogue import Entry, key_of
from simcrop.viewer.place import entry_of
from simcrop.viewer.uploads import Arrived
from simcrop.viewer.view import View
from simcrop.viewer.work import Job

NOWHERE = "no scan lies at this path below the folder that may be opened"


def take(view: View, arrived: Arrived, job: Job) -> dict[str, str]:
    """The uploaded scan becomes a study, if it can be read."""
    try:
        job.tell(0.1, f"reading {len(arrived.files)} file{'s' * (len(arrived.files) > 1)}")
        key = key_of("upload", arrived.digest.hexdigest())
        report = report_in(arrived)
        entry = Entry(key, arrived.name, report=report, path=arrived.scan(), uploaded=True)
        return added(view, entry, job)
    except BaseException:
        arrived.remove()
        raise


def report_in(arrived: Arrived) -> Report:
    try:
        text = arrived.report.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SimcropError("not-text", "the report is not UTF-8 text") from None
    return report_of(text)


def report_of(text: str) -> Report:
    return split_at_heads(text) if text.strip() else Report("", "")


def open_own(view: View, path: str, report: str, job: Job) -> dict[str, str]:
    """A scan below the root. What lies elsewhere and what is not there get the same answer.

    With a `report` that was typed it is a study of its own beside the one that may be listed with another.
    """
    assert view.root is not None
    job.tell(0.1, "reading the scan")
    try:
        target = (view.root / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise SimcropError("no-scan", NOWHERE) from None
    if not target.is_relative_to(view.root) or not is_scan(target):
        raise SimcropError("no-scan", NOWHERE)
    listing = list_folder(target)
    study = next((one for one in listing.studies if one.path.resolve() == target), None)
    if study is None:
        raise SimcropError("no-scan", NOWHERE)
    if study.mask is not None and leads_out(study.mask, view.root):
        study = replace(study, mask=None)
    classes = listing.classes
    if any(leads_out(one, view.root) for one in beside(target)):
        study, classes = replace(study, findings="", impression="", labels={}), None
    entry = entry_of(study, None, classes)
    if report.strip():
        entry = replace(entry, key=key_of("opened", str(target)), report=report_of(report))
    return added(view, entry, job)


def beside(scan: Path) -> list[Path]:
    """What may say something of a scan: its text, the names of its mask's classes, a table among its slices."""
    near = [scan.with_name(f"{stem(scan.name)}.txt"), scan.with_name(NAMES)]
    return [*near, *(scan.iterdir() if scan.is_dir() else ())]


def leads_out(path: Path, root: Path) -> bool:
    return path.is_symlink() and not path.resolve().is_relative_to(root)


def added(view: View, entry: Entry, job: Job) -> dict[str, str]:
    """It is read once, so that one that cannot be is refused now. Of a path other files may have been read before."""
    view.scans.forget(entry)
    if not entry.uploaded:
        unsee(view, entry)
    with at_most(view.limits.inflated):
        view.scans.shown(entry)
    job.tell(0.9, "ready")
    for gone in view.catalogue.add(entry, view.limits.uploads):
        forget(view, gone)
    return {"key": entry.key}


def forget(view: View, entry: Entry) -> None:
    """The oldest makes room; of one that came again the new files are read from now on."""
    if not view.catalogue.holds(entry.key):
        view.scans.forget(entry)
        unsee(view, entry)
    if entry.uploaded and entry.path is not None:
        shutil.rmtree(home_of(entry.path, view.folder), ignore_errors=True)


def unsee(view: View, entry: Entry) -> None:
    """What the model made of its files."""
    view.vectors.queries.drop(entry.key)
    if view.sight is not None:
        view.sight.forget(entry.key)


def home_of(path: Path, folder: Path) -> Path:
    """The folder of an upload."""
    return folder / path.relative_to(folder).parts[0]

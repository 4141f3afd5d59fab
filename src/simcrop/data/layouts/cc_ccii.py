"""CC-CCII's tree as studies: archives of 8-bit slices in three classes, split by patient.

No axes or units. Below the root, or one folder deeper, lie archives or folders of the same inner form:

    {NCP,CP,Normal}-3.zip        anything/PATIENT/SCAN/0000.png ...   one archive holds many patients
    {NCP,CP,Normal}-3/           the same, unpacked
    unzip_filenames.csv          how many slices each scan should have; not needed
    train_list.csv, ...          released lists, read when asked for: scan, and 0, 1 or 2 as in CLASSES

NCP is pneumonia of the new coronavirus, CP common pneumonia. The released lists put 453 of 1049 test patients into
train as well; by default ours split by patient. No reports, no geometry: see `readers/slices`.
"""

import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from simcrop.data.layouts.raw import OWN, Listing, RawStudy, Refusal, brief
from simcrop.data.layouts.released import by_lists, listed_name
from simcrop.data.layouts.table import Row, read_table
from simcrop.data.readers.archive import checked_members
from simcrop.data.readers.slices import is_picture
from simcrop.data.split import split_by_patient
from simcrop.errors import SimcropError

CLASSES = ("Normal", "CP", "NCP")
HOME = re.compile(r"(?P<kind>NCP|CP|Normal)(-\d+)?(\.zip)?")
TABLE = "unzip_filenames.csv"
COLUMNS = ("label", "patient_id", "scan_id", "n_slice")
LONGEST_NAMES = 120  # characters; a zip may hold longer ones than a file system
Key = tuple[str, str, str]  # class, patient, scan


def list_cc_ccii(source: Path) -> Listing:
    """Every folder of slices in every archive; an archive that cannot be trusted is one refusal."""
    homes = sorted(p for p in (*source.glob("*"), *source.glob("*/*")) if HOME.fullmatch(p.name))
    # What lies inside an unpacked class is a patient, whatever its name.
    homes = [p for p in homes if not HOME.fullmatch(p.parent.name)]
    if not homes:
        raise SimcropError("no-scans", f"{source}: no archive such as NCP-1.zip, CP-1.zip or Normal-1.zip")
    counts, refusals = Counter[Path](), list[Refusal]()
    for home in homes:
        try:
            counts.update(pictures_of(home))
        except SimcropError as error:
            refusals.append(Refusal(home.name, home, error.reason, f"{home}: {error.sentence}"))
    slices = stated_slices(source / TABLE)
    studies: dict[str, RawStudy] = {}
    for folder, count in sorted(counts.items()):
        home = next(p for p in homes if folder.is_relative_to(p))
        parts = folder.relative_to(home).parts[-2:]
        if len(parts) < 2 or len("".join(parts)) > LONGEST_NAMES:
            where = home / brief(folder.relative_to(home).as_posix())
            refusals.append(
                Refusal(brief(folder.name), home, "bad-name", f"{where}: expected slices in PATIENT/SCAN/")
            )
            continue
        study = study_of(home, folder, count, slices)
        if holds_link(folder):
            refusals.append(Refusal(study.id, folder, "unsafe-path", f"{folder}: a slice is a symbolic link"))
            continue
        if studies.setdefault(study.id, study) is not study:
            refusals.append(
                Refusal(study.id, folder, "duplicate-name", f"{folder}: another archive has this scan")
            )
    split = split_by_patient(study.patient for study in studies.values())
    placed = [replace(study, split=split.parts[study.patient]) for _, study in sorted(studies.items())]
    return Listing(tuple(placed), tuple(refusals), split, OWN)


def pictures_of(home: Path) -> Iterator[Path]:
    """The folder of each slice; inside a zip it is a path that goes on below the archive."""
    if home.is_dir():
        for folder, _, names in os.walk(home):
            yield from [Path(folder) for name in names if is_picture(name)]
        return
    try:
        with zipfile.ZipFile(home) as archive:
            members = [PurePosixPath(member.filename) for member in checked_members(archive)]
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise SimcropError("corrupt-file", "not a whole zip archive: a part is missing or damaged") from error
    yield from (home / member.parent for member in members if is_picture(member.name))


def holds_link(folder: Path) -> bool:
    """Whether a slice of an unpacked scan is a link, which may lead to another patient's."""
    return folder.is_dir() and any(path.is_symlink() for path in folder.iterdir() if is_picture(path.name))


def study_of(home: Path, folder: Path, count: int, slices: dict[Key, int]) -> RawStudy:
    """One scan; its class is in the archive's name, patient and scan in the folders'."""
    match = HOME.fullmatch(home.name)
    assert match is not None
    kind, patient, scan = match["kind"], *folder.relative_to(home).parts[-2:]
    stated = slices.get((kind, patient, scan), count)
    notes = ("no report",)
    if stated != count:
        notes += (f"{count} slices, {TABLE} says {stated}",)
    labels: dict[str, int | None] = {name: int(name == kind) for name in CLASSES}
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{kind}-{patient}-{scan}")
    return RawStudy(name, patient, f"{kind}-{scan}", "train", folder, labels=labels, notes=notes)


def stated_slices(path: Path) -> dict[Key, int]:
    """Class, patient, scan -> number of slices, by the data set's own table; empty without one."""
    stated: dict[Key, int] = {}
    for row in read_table(path, COLUMNS) if path.is_file() else ():
        if not row["n_slice"].strip().isdecimal():
            raise SimcropError("bad-csv", f"{path}: the column n_slice holds something else than a number")
        key = (row["label"].strip(), row["patient_id"].strip(), row["scan_id"].strip())
        stated[key] = int(row["n_slice"])
    return stated


def released_cc_ccii(listing: Listing, source: Path) -> Listing:
    """Placed as the released lists have it."""
    return by_lists(listing, source, scan_on_list)


def scan_on_list(path: Path, row: Row) -> str:
    """A scan's number alone may mean two scans: the class goes before it."""
    label = row.get("label", "").strip()
    if label not in {"0", "1", "2"}:
        raise SimcropError("bad-label", f"{path}: the column label holds something else than 0, 1 or 2")
    return f"{CLASSES[int(label)]}-{listed_name(row)}"

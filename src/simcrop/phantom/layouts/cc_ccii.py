"""Phantom patients in the raw layout of CC-CCII: archives of 8-bit slices in three classes.

Slices are `(y, x)` pictures numbered from head to feet; no millimetre and no Hounsfield unit survives in them. The
phantom has no infections: ground glass stands in for the new coronavirus, consolidation for common pneumonia.
"""

import zipfile
from pathlib import Path

from simcrop.files.whole import writing
from simcrop.phantom.layouts.formats import LONG_AGO, png, write_nifti
from simcrop.phantom.layouts.tree import (
    Entry,
    Request,
    Tree,
    kinds_of,
    mask_path,
    report_of,
    truth_lines,
    write_tables,
)
from simcrop.phantom.patient import Patient

TOGETHER = 4  # patients that share an archive, if they share a class
TABLE = "unzip_filenames.csv"
COLUMNS = ("zip_file", "label", "patient_id", "scan_id", "n_slice")


def class_of(patient: Patient) -> str:
    kinds = kinds_of(patient)
    return "NCP" if "Lung opacity" in kinds else "CP" if "Consolidation" in kinds else "Normal"


def archive_of(patient: Patient) -> str:
    return f"{class_of(patient)}-{(patient.number - 1) // TOGETHER + 1}.zip"


def scans_of(patient: Patient, size: str) -> dict[int, str]:
    """Scan id -> grid. Every third patient was scanned a second time, with slices twice as thick."""
    first = 1000 + 10 * patient.number
    return {first: size} | ({first + 1: f"{size}-thick"} if patient.number % 3 == 1 else {})


def volume_of(patient: Patient, scan: int) -> str:
    return f"{class_of(patient)}-{patient.number}-{scan}"


def write(out: Path, request: Request, patients: list[Patient]) -> None:
    """The archives of these patients, each whole or absent; their masks come first."""
    for name in sorted({archive_of(patient) for patient in patients}):
        inside = [patient for patient in patients if archive_of(patient) == name]
        masks = [mask_path(out, volume_of(p, s)) for p in inside for s in scans_of(p, request.size)]
        if not all(path.is_file() for path in [out / name, *masks]):
            write_archive(out, name, inside, request.size)


def write_archive(out: Path, name: str, patients: list[Patient], size: str) -> None:
    path, unfinished = out / name, out / f"{name}.unfinished"
    with writing(path):
        try:
            with zipfile.ZipFile(unfinished, "w") as archive:
                for patient in patients:
                    for scan, grid in scans_of(patient, size).items():
                        add_scan(out, archive, patient, scan, grid)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def add_scan(out: Path, archive: zipfile.ZipFile, patient: Patient, scan: int, grid: str) -> None:
    scans, mask = patient.scans(grid)
    for number, hu in enumerate(scans[0][::-1]):
        name = f"{class_of(patient)}/{patient.number}/{scan}/{number:04d}.png"
        archive.writestr(zipfile.ZipInfo(name, LONG_AGO), png(hu))
    write_nifti(mask_path(out, volume_of(patient, scan)), mask, patient.grid(grid).affine)


def entry(request: Request, patient: Patient) -> Entry:
    scans = scans_of(patient, request.size)
    rows = []
    for scan, grid in scans.items():
        slices = patient.grid(grid).shape[2]
        facts = (archive_of(patient), class_of(patient), patient.number, scan, slices)
        rows.append(dict(zip(COLUMNS, map(str, facts), strict=True)))
    volumes = tuple(volume_of(patient, scan) for scan in scans)
    return Entry(volumes, {TABLE: rows}, truth_lines(volumes, report_of(patient)))


def finish(out: Path, entries: list[Entry]) -> None:
    write_tables(out, {TABLE: COLUMNS}, entries)


CC_CCII = Tree(write, entry, finish, TOGETHER)

"""Phantom patients as a hospital might keep them: a folder each, four formats, reports in a table or as text files.

Voxels are int16 HU, x to the left, y to the back, z up, in every format with its own geometry.
"""

from pathlib import Path

import numpy as np

from simcrop.phantom.findings.finding import LABELS
from simcrop.phantom.grid import Grid
from simcrop.phantom.layouts.formats import slice_files, write_dicom, write_metaimage, write_nifti, write_nrrd
from simcrop.phantom.layouts.organ_texts import organ_texts
from simcrop.phantom.layouts.tree import (
    Entry,
    Request,
    Row,
    Tree,
    kinds_of,
    mask_path,
    report_of,
    truth_lines,
    write_file,
    write_tables,
)
from simcrop.phantom.organ_maps import write_organ_map
from simcrop.phantom.patient import Patient

FILES = ("ct.nii.gz", "ct", "ct.nrrd", "ct.mhd")  # `ct` is a folder of DICOM slices
TABLE = "reports.csv"
COLUMNS = ("file", "findings", "impression", "patient", "split", *(f"label:{label}" for label in LABELS))


def home(patient: Patient) -> str:
    return f"patient-{patient.number:03d}"


def file_of(patient: Patient) -> str:
    return FILES[(patient.number - 1) % len(FILES)]


def has_text(patient: Patient) -> bool:
    """Every third report is a text file beside its scan; the others stand in the table, with labels."""
    return patient.number % 3 == 0


def write(out: Path, request: Request, patients: list[Patient]) -> None:
    for patient in patients:
        path, marked = out / home(patient) / file_of(patient), mask_path(out, volume_of(patient))
        if has_text(patient):
            report = report_of(patient)
            text = f"Findings: {report.findings}\nImpression: {report.impression}\n"
            write_file(path.with_name("ct.txt"), text.encode())
        grid = patient.grid(request.size)
        if request.organs:
            write_organ_map(path, patient, grid, grid.affine)
        if all(part.is_file() for part in (*parts_of(path, grid), marked)):
            continue
        scans, mask = patient.scans(request.size)
        write_scan(path, scans[0], grid, patient)
        write_nifti(marked, mask, grid.affine)


def parts_of(path: Path, grid: Grid) -> list[Path]:
    """The files that make one scan."""
    if path.suffix == ".mhd":
        return [path, path.with_suffix(".zraw")]
    return [path] if path.suffix else slice_files(path, grid)


def write_scan(path: Path, hu: np.ndarray, grid: Grid, patient: Patient) -> None:
    if path.suffix == ".nrrd":
        write_nrrd(path, hu, grid)
    elif path.suffix == ".mhd":
        write_metaimage(path, hu, grid)
    elif path.suffix == ".gz":
        write_nifti(path, hu, grid.affine)
    else:
        write_dicom(path, hu, grid, f"2.25.{10**9 + patient.seed}.{patient.number}", home(patient))


def volume_of(patient: Patient) -> str:
    """The id that ingest makes from the scan's place."""
    return f"{home(patient)}__ct"


def entry(request: Request, patient: Patient) -> Entry:
    report, kinds, volumes = report_of(patient), kinds_of(patient), (volume_of(patient),)
    row: Row = {
        "file": f"{home(patient)}/{file_of(patient)}",
        "findings": report.findings,
        "impression": report.impression,
        "patient": home(patient),
        "split": patient.split,
    } | {f"label:{label}": str(int(label in kinds)) for label in LABELS}
    rows: dict[str, list[Row]] = {} if has_text(patient) else {TABLE: [row]}
    organs = {volume_of(patient): organ_texts(report, patient.findings)} if request.organs else {}
    return Entry(volumes, rows, truth_lines(volumes, report), organs)


def finish(out: Path, entries: list[Entry]) -> None:
    write_tables(out, {TABLE: COLUMNS}, entries)


FOLDER = Tree(write, entry, finish)

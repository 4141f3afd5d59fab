"""Phantom patients in the raw layout of CT-RATE.

Files hold `(x, y, z)` voxels in LPS order (left, back, up), int16. Release `v2` is HU with full geometry; `v1` is
what the scanner stored, without any geometry, to be read together with the metadata table.
"""

from pathlib import Path

import numpy as np

from simcrop.phantom.findings.finding import LABELS
from simcrop.phantom.grid import Grid
from simcrop.phantom.layouts.formats import write_nifti
from simcrop.phantom.layouts.metadata import METADATA_COLUMNS, metadata_row
from simcrop.phantom.layouts.organ_texts import organ_texts
from simcrop.phantom.layouts.tree import (
    Columns,
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

REPORT_COLUMNS = ("VolumeName", "ClinicalInformation_EN", "Technique_EN", "Findings_EN", "Impressions_EN")
TABLE_NAMES = {"train": "train", "valid": "validation"}


def places(split: str) -> tuple[str, str, str]:
    """The tables of one split: reports, labels, metadata."""
    name = TABLE_NAMES[split]
    return (
        f"radiology_text_reports/{name}_reports.csv",
        f"multi_abnormality_labels/{split}_predicted_labels.csv",
        f"metadata/{name}_metadata.csv",
    )


def columns() -> Columns:
    heads = (REPORT_COLUMNS, ("VolumeName", *LABELS), METADATA_COLUMNS)
    return {place: head for split in TABLE_NAMES for place, head in zip(places(split), heads, strict=True)}


def write(out: Path, request: Request, patients: list[Patient]) -> None:
    """The reconstructions of each patient and the mask they share, unless an earlier call wrote them."""
    for patient in patients:
        paths = [scan_path(out, patient, volume, request.release) for volume in patient.volumes]
        masks = [mask_path(out, volume) for volume in patient.volumes]
        grid = patient.grid(request.size)
        if request.organs:
            for path in paths:
                write_organ_map(path, patient, grid, stored_affine(request, grid))
        if all(path.is_file() for path in [*paths, *masks]):
            continue
        scans, mask = patient.scans(request.size)
        for path, hu in zip(paths, scans, strict=True):
            stored = hu if request.release == "v2" else hu - np.int16(patient.intercept)
            write_nifti(path, stored, stored_affine(request, grid))
        for path in masks:
            write_nifti(path, mask, grid.affine)


def stored_affine(request: Request, grid: Grid) -> np.ndarray:
    """As the headers of a release have it."""
    return grid.affine if request.release == "v2" else np.eye(4)


def scan_path(out: Path, patient: Patient, volume: str, release: str) -> Path:
    tree = patient.split + ("_fixed" if release == "v2" else "")
    return out / "dataset" / tree / patient.name / f"{patient.name}_a" / f"{volume}.nii.gz"


def entry(request: Request, patient: Patient) -> Entry:
    """One row per volume in each of the three tables of the patient's split."""
    report, kinds = report_of(patient), kinds_of(patient)
    texts = (report.complaint, report.technique, report.findings, report.impression)
    reports, labels, metadata = places(patient.split)
    rows: dict[str, list[Row]] = {reports: [], labels: [], metadata: []}
    for volume in patient.volumes:
        file_name = f"{volume}.nii.gz"
        rows[reports].append(dict(zip(REPORT_COLUMNS, (file_name, *texts), strict=True)))
        rows[labels].append({"VolumeName": file_name} | {label: str(int(label in kinds)) for label in LABELS})
        rows[metadata].append(metadata_row(patient, file_name, patient.grid(request.size)))
    organs = {f"{patient.name}_a": organ_texts(report, patient.findings)} if request.organs else {}
    return Entry(patient.volumes, rows, truth_lines(patient.volumes, report), organs)


def finish(out: Path, entries: list[Entry]) -> None:
    write_tables(out, columns(), entries)
    for split in TABLE_NAMES:
        write_file(out / "metadata" / f"no_chest_{split}.txt", b"")


CT_RATE = Tree(write, entry, finish)

"""Phantom patients in the raw layout of LUNA16: compressed MetaImage in ten subsets, nodules, lungs.

Voxels are int16 HU, x to the left, y to the back, z up; the tables' positions are LPS mm of the scanner.
"""

import hashlib
from pathlib import Path

import numpy as np

from simcrop.phantom.findings.parts import Blob
from simcrop.phantom.grid import Point
from simcrop.phantom.layouts.formats import write_metaimage, write_nifti
from simcrop.phantom.layouts.tree import (
    Entry,
    Request,
    Row,
    Tree,
    mask_path,
    report_of,
    truth_lines,
    write_tables,
)
from simcrop.phantom.organs import lung_labels
from simcrop.phantom.patient import Patient

ANNOTATIONS, CANDIDATES = "annotations.csv", "candidates.csv"
POSITION = ("seriesuid", "coordX", "coordY", "coordZ")
COLUMNS = {ANNOTATIONS: (*POSITION, "diameter_mm"), CANDIDATES: (*POSITION, "class")}
LUNGS = "seg-lungs-LUNA16"


def uid_of(patient: Patient) -> str:
    """A series UID of the kind that anybody may make."""
    digest = hashlib.sha256(f"simcrop phantom {patient.seed} {patient.number}".encode()).hexdigest()
    return f"2.25.{int(digest[:30], 16)}"


def write(out: Path, request: Request, patients: list[Patient]) -> None:
    for patient in patients:
        uid = uid_of(patient)
        scan = out / f"subset{(patient.number - 1) % 10}" / f"{uid}.mhd"
        lungs, marked = out / LUNGS / f"{uid}.mhd", mask_path(out, uid)
        parts = (scan, scan.with_suffix(".zraw"), lungs, lungs.with_suffix(".zraw"), marked)
        if all(path.is_file() for path in parts):
            continue
        grid = patient.grid(request.size)
        scans, mask = patient.scans(request.size)
        write_metaimage(scan, scans[0], grid)
        write_metaimage(lungs, lung_labels(patient.anatomy, patient.pose, grid), grid)
        write_nifti(marked, mask, grid.affine)


def position(patient: Patient, point: Point) -> Row:
    """A point of the patient's frame as the tables have it."""
    right, front, up = patient.pose.to_scanner(np.array([point]))[0].tolist()
    place = dict(zip(POSITION[1:], (-right, -front, up), strict=True))
    return {"seriesuid": uid_of(patient)} | {name: f"{mm:.6f}" for name, mm in place.items()}


def entry(request: Request, patient: Patient) -> Entry:  # noqa: ARG001
    """One row per nodule; candidates are the nodules and, as a place that is none, the heart."""
    nodules = [finding for finding in patient.findings if finding.kind == "Lung nodule"]
    balls = [part for nodule in nodules for part in nodule.parts if isinstance(part, Blob)]
    places = [position(patient, ball.centre) for ball in balls]
    annotations = [
        place | {"diameter_mm": str(2 * ball.radii[0])} for place, ball in zip(places, balls, strict=True)
    ]
    candidates = [place | {"class": "1"} for place in places]
    candidates.append(position(patient, patient.anatomy.heart.centre) | {"class": "0"})
    volumes = (uid_of(patient),)
    rows = {ANNOTATIONS: annotations, CANDIDATES: candidates}
    return Entry(volumes, rows, truth_lines(volumes, report_of(patient)))


def finish(out: Path, entries: list[Entry]) -> None:
    write_tables(out, COLUMNS, entries)


LUNA16 = Tree(write, entry, finish)

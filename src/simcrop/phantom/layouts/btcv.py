"""Phantom patients in the raw layout of BTCV: scans of the belly, labels of 13 organs, and the JSON that lists them.

NIfTI files hold `(x, y, z)` voxels in LPS order (left, back, up): int16 HU, and uint8 organ numbers.
"""

import json
from dataclasses import replace
from pathlib import Path

from simcrop.phantom.layouts.formats import write_nifti
from simcrop.phantom.layouts.tree import Entry, Request, Tree, mask_path, report_of, truth_lines, write_file
from simcrop.phantom.organs import ORGANS, organ_labels
from simcrop.phantom.patient import Patient
from simcrop.phantom.render import marking_voxel

HELD_OUT = 5  # every fifth patient is for validation, as 6 of 30


def name_of(number: int) -> str:
    return f"btcv_{number:03d}"


def in_view(patient: Patient, size: str) -> Patient:
    """The patient without the findings beyond the picture: what nobody sees is no truth."""
    grid = patient.grid(f"{size}-abdomen")
    seen = (f for f in patient.findings if marking_voxel(f, patient.pose, grid) is not None)
    return replace(patient, findings=tuple(seen))


def write(out: Path, request: Request, patients: list[Patient]) -> None:
    for patient in patients:
        name = name_of(patient.number)
        patient, size = in_view(patient, request.size), f"{request.size}-abdomen"
        scan, organs = (out / folder / f"{name}.nii.gz" for folder in ("imagesTr", "labelsTr"))
        marked = mask_path(out, name)
        if all(path.is_file() for path in (scan, organs, marked)):
            continue
        grid = patient.grid(size)
        scans, mask = patient.scans(size)
        write_nifti(scan, scans[0], grid.affine)
        write_nifti(organs, organ_labels(patient.anatomy, patient.pose, grid), grid.affine)
        write_nifti(marked, mask, grid.affine)


def entry(request: Request, patient: Patient) -> Entry:
    volumes = (name_of(patient.number),)
    return Entry(volumes, truth=truth_lines(volumes, report_of(in_view(patient, request.size))))


def finish(out: Path, entries: list[Entry]) -> None:
    """`dataset.json` with its two lists."""
    lists: dict[str, list[dict[str, str]]] = {"training": [], "validation": []}
    for number, entry in enumerate(entries, 1):
        files = (f"{folder}/{entry.volumes[0]}.nii.gz" for folder in ("imagesTr", "labelsTr"))
        part = "training" if number % HELD_OUT else "validation"
        lists[part].append(dict(zip(("image", "label"), files, strict=True)))
    facts = {
        "name": "BTCV",
        "description": "simcrop phantom",
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        "labels": {str(number): organ for number, organ in sorted({0: "background", **ORGANS}.items())},
        "numTraining": len(lists["training"]),
        "numTest": 0,
        **lists,
        "test": [],
    }
    write_file(out / "dataset.json", json.dumps(facts, indent=1).encode() + b"\n")


BTCV = Tree(write, entry, finish)

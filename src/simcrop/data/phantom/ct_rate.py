"""Writes phantom patients in the raw layout of CT-RATE, with the truth beside it.

Files hold `(x, y, z)` voxels in LPS order (left, back, up), int16. Release `v2` is HU with full geometry; `v1` is
what the scanner stored, without any geometry, to be read together with the metadata table.
"""

import csv
import gzip
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np

from simcrop.data.durable import writing
from simcrop.data.phantom.findings import LABELS
from simcrop.data.phantom.grid import SIZES, Size
from simcrop.data.phantom.metadata import METADATA_COLUMNS, metadata_row
from simcrop.data.phantom.patient import Patient, draw_patient
from simcrop.data.phantom.report import write_report
from simcrop.data.phantom.truth import TruthSentence, to_json_lines, truth_of
from simcrop.errors import SimcropError

Release = Literal["v1", "v2"]
REPORT_COLUMNS = ("VolumeName", "ClinicalInformation_EN", "Technique_EN", "Findings_EN", "Impressions_EN")
TABLE_NAMES = {"train": "train", "valid": "validation"}
Row = dict[str, str]


def write_ct_rate(out: Path, patients: int, seed: int, size: Size, release: Release = "v2") -> None:
    """`patients` phantom patients under `out`. An interrupted call goes on where it stopped; tables come last."""
    check_request(patients, seed, size, release)
    start_folder(out, {"patients": patients, "seed": seed, "size": size, "release": release})
    tables = {"train": Tables(), "valid": Tables()}
    for number in range(1, patients + 1):
        patient = draw_patient(seed, number)
        write_scans(out, patient, size, release)
        tables[patient.split].add(patient, size)
    for split, table in tables.items():
        table.write(out, split)
    truth = [sentence for table in tables.values() for sentence in table.truth]
    write_file(out / "truth" / "sentences.jsonl", to_json_lines(truth).encode())


def check_request(patients: int, seed: int, size: str, release: str) -> None:
    if size not in SIZES:
        raise SimcropError("bad-setting", f"phantom size must be one of {', '.join(SIZES)}, got {size!r}")
    if release not in ("v1", "v2"):
        raise SimcropError("bad-setting", f"phantom release must be v1 or v2, got {release!r}")
    if patients < 1:
        raise SimcropError("bad-setting", f"a phantom cohort needs at least 1 patient, got {patients}")
    if seed < 0:
        raise SimcropError("bad-setting", f"the seed must be 0 or more, got {seed}")


def start_folder(out: Path, request: dict[str, int | str]) -> None:
    """Mark `out` as this phantom's, and refuse a folder that holds anything else."""
    note = out / "truth" / "phantom.json"
    text = json.dumps(request) + "\n"
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


def write_scans(out: Path, patient: Patient, size: Size, release: Release) -> None:
    """The patient's reconstructions and the mask they share, unless an earlier call wrote them."""
    paths = [scan_path(out, patient, volume, release) for volume in patient.volumes]
    masks = [out / "truth" / f"{volume}_lesions.nii.gz" for volume in patient.volumes]
    if all(path.is_file() for path in [*paths, *masks]):
        return
    scans, mask = patient.scans(size)
    affine = patient.grid(size).affine
    for path, hu in zip(paths, scans, strict=True):
        if release == "v2":
            write_nifti(path, hu, affine)
        else:
            write_nifti(path, hu - np.int16(patient.intercept), np.eye(4))
    for path in masks:
        write_nifti(path, mask, affine)


def scan_path(out: Path, patient: Patient, volume: str, release: Release) -> Path:
    tree = patient.split + ("_fixed" if release == "v2" else "")
    return out / "dataset" / tree / patient.name / f"{patient.name}_a" / f"{volume}.nii.gz"


def write_nifti(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    """`(z, y, x)` voxels as a NIfTI of `(x, y, z)`; the same voxels always give the same bytes."""
    image = nib.Nifti1Image(voxels.transpose(2, 1, 0), affine)
    image.header.set_slope_inter(1.0, 0.0)
    image.header.set_xyzt_units("mm")
    write_file(path, gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))


@dataclass
class Tables:
    """The rows of one split, collected patient by patient."""

    reports: list[Row] = field(default_factory=list)
    labels: list[Row] = field(default_factory=list)
    metadata: list[Row] = field(default_factory=list)
    truth: list[TruthSentence] = field(default_factory=list)

    def add(self, patient: Patient, size: Size) -> None:
        report = write_report(patient.findings, patient.anatomy.blood_hu > 100, patient.words())
        texts = (report.complaint, report.technique, report.findings, report.impression)
        kinds = {finding.kind for finding in patient.findings}
        for volume in patient.volumes:
            file_name = f"{volume}.nii.gz"
            self.reports.append(dict(zip(REPORT_COLUMNS, (file_name, *texts), strict=True)))
            self.labels.append(
                {"VolumeName": file_name} | {label: str(int(label in kinds)) for label in LABELS}
            )
            self.metadata.append(metadata_row(patient, file_name, patient.grid(size)))
            self.truth += [truth_of(volume, i, sentence) for i, sentence in enumerate(report.sentences)]

    def write(self, out: Path, split: str) -> None:
        name = TABLE_NAMES[split]
        write_csv(out / "radiology_text_reports" / f"{name}_reports.csv", REPORT_COLUMNS, self.reports)
        labels = out / "multi_abnormality_labels" / f"{split}_predicted_labels.csv"
        write_csv(labels, ("VolumeName", *LABELS), self.labels)
        write_csv(out / "metadata" / f"{name}_metadata.csv", METADATA_COLUMNS, self.metadata)
        write_file(out / "metadata" / f"no_chest_{split}.txt", b"")


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

"""Phantom patients in the raw layout of ReXGroundingCT: CT-RATE's tree of scans, sentences, a mask for each sentence.

Scans are int16 HU `(x, y, z)` in LPS order (left, back, up). A mask is uint8 `(f, x, y, z)`: f sentence, each value an
instance; its header says nothing true of where it lies. Listed are findings of lungs and pleura alone, and a patient
has no others here. In train at most three instances of a finding are marked; what is marked in test is withheld.
"""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np

from simcrop.phantom.layouts.ct_rate import scan_path
from simcrop.phantom.layouts.formats import write_nifti
from simcrop.phantom.layouts.tree import Entry, Request, Tree, mask_path, report_of, write_file
from simcrop.phantom.patient import Patient
from simcrop.phantom.reporting.report import Sentence
from simcrop.phantom.truth import truth_of

MOST_MARKED = 3
LISTS = ("train", "val", "test")
CATEGORY_OF = {
    "Peribronchial thickening": "1a",
    "Bronchiectasis": "1b",
    "Emphysema": "1c",
    "Interlobular septal thickening": "1d",
    "Mosaic attenuation pattern": "1f",
    "Pulmonary fibrotic sequela": "2a",
    "Atelectasis": "2b",
    "Consolidation": "2b",
    "Lung opacity": "2c",
    "Lung nodule": "2d",
    "Pleural effusion": "2e",
}


def list_of(patient: Patient) -> str:
    """Two in five patients are held out, one of them for the test."""
    return {3: "val", 0: "test"}.get(patient.number % 5, "train")


def in_lungs(patient: Patient) -> Patient:
    """The patient with those findings alone that this data set speaks of."""
    return replace(patient, findings=tuple(f for f in patient.findings if f.kind in CATEGORY_OF))


def volume_of(patient: Patient) -> str:
    return patient.volumes[0]


def listed(patient: Patient) -> list[Sentence]:
    """A sentence for each finding, in the order of the report; `patient` is `in_lungs`."""
    return [sentence for sentence in report_of(patient).sentences if sentence.finding is not None]


def write(out: Path, request: Request, patients: list[Patient]) -> None:
    """Scan, masks and truth of each patient who has something to list."""
    for patient in map(in_lungs, patients):
        if not patient.findings:
            continue
        volume = volume_of(patient)
        scan, marked = scan_path(out, patient, volume, "v2"), mask_path(out, volume)
        masks, facts = out / "segmentations" / f"{volume}.nii.gz", facts_path(out, volume)
        shown = list_of(patient) != "test"
        if all(path.is_file() for path in (scan, marked, facts, *([masks] if shown else ()))):
            continue
        grid, (hu, truth) = patient.grid(request.size), patient.scans(request.size)
        channels = channels_of(truth, [s.finding.mask_value for s in listed(patient) if s.finding])
        if list_of(patient) == "train":
            channels *= channels <= MOST_MARKED
        write_nifti(scan, hu[0], grid.affine)
        write_nifti(marked, truth, grid.affine)
        if shown:
            write_masks(masks, channels)
        write_file(facts, json.dumps(facts_of(patient, channels)).encode() + b"\n")


def facts_path(out: Path, volume: str) -> Path:
    """What the JSON will say of one scan."""
    return out / "truth" / f"{volume}_entry.json"


def channels_of(mask: np.ndarray, values: list[int]) -> np.ndarray:
    """The instances of each finding, uint8 `(f, z, y, x)`: pieces that hang together, the largest first."""
    from scipy.ndimage import label

    channels = np.zeros((len(values), *mask.shape), np.uint8)
    pieces = np.empty(mask.shape, np.int32)
    for number, value in enumerate(values):
        label(mask == value, np.ones((3, 3, 3)), output=pieces)
        sizes = np.bincount(pieces.ravel())[1:]
        for rank, piece in enumerate(np.argsort(-sizes, kind="stable")[:255] + 1, start=1):
            channels[number][pieces == piece] = rank
    return channels


def write_masks(path: Path, channels: np.ndarray) -> None:
    """With the header of nowhere: no affine of these files is to be trusted."""
    image = nib.Nifti1Image(channels.transpose(0, 3, 2, 1), np.eye(4))
    write_file(path, gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))


def facts_of(patient: Patient, channels: np.ndarray) -> dict[str, object]:
    """The entry of one scan; of masks that are withheld it says nothing."""
    sentences = listed(patient)
    facts: dict[str, object] = {
        "name": f"{volume_of(patient)}.nii.gz",
        "findings": {str(i): sentence.text for i, sentence in enumerate(sentences)},
        "categories": {str(i): CATEGORY_OF[s.kind or ""] for i, s in enumerate(sentences)},
        "shape": list(channels.shape[:0:-1]),
        "protocol": "protocol1",
    }
    if list_of(patient) != "test":
        facts["pixels"] = {str(i): int((channel > 0).sum()) for i, channel in enumerate(channels)}
        facts["entity_counts"] = {str(i): int(channel.max()) for i, channel in enumerate(channels)}
    return facts


def entry(request: Request, patient: Patient) -> Entry:  # noqa: ARG001
    """The truth of what is listed; a patient without any adds nothing."""
    patient = in_lungs(patient)
    if not patient.findings:
        return Entry(())
    volume = volume_of(patient)
    truth = tuple(truth_of(volume, i, sentence) for i, sentence in enumerate(listed(patient)))
    return Entry((volume,), {list_of(patient): [{"name": volume}]}, truth)


def finish(out: Path, entries: list[Entry]) -> None:
    """`dataset.json` with its three lists."""
    lists: dict[str, list[object]] = {name: [] for name in LISTS}
    for entry in entries:
        for name, rows in entry.rows.items():
            lists[name] += [json.loads(facts_path(out, row["name"]).read_bytes()) for row in rows]
    write_file(out / "dataset.json", json.dumps(lists, indent=1).encode() + b"\n")


REXGROUNDING = Tree(write, entry, finish)

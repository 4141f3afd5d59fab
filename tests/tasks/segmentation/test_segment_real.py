"""Lungs learned from one real scan with real masks, and marked in another: how well, and on which side.

Axes: x, y, z as stored in the files. LUNG1-001 has lungs drawn by hand (1 left, 2 right), LIDC-IDRI-0001 lobes marked
by TotalSegmentator (10 and 11 left, 12 to 14 right).
"""

import json
import shutil
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from simcrop.config import load_recipe
from simcrop.data.readers import read_volume
from simcrop.data.resampling.back import LabelsBack
from simcrop.data.store.cohort import Study, open_cohort
from simcrop.model.segmenter import Segmenter, load_segmenter
from simcrop.tasks.cohorts.ingest import ingest
from simcrop.tasks.segmentation.segment import segment

SPACING = (7, 7, 7)  # a step costs three fifths of what it does at 6 mm
NAMES = {1: "left lung", 2: "right lung", 3: "tumour"}
SETTINGS = (
    "classes=[left lung, right lung]",
    f"input.spacing_mm={list(SPACING)}",
    "input.shape=[56, 56, 40]",
    "input.patch=[8, 8, 8]",
    "vision.depth=2",
    "vision.dim=48",
    "vision.heads=4",
    "decoder.feature_size=8",
    "vary={flips: [0, 0, 0], contrast: 0, shift: 0}",
    "data.split=",
    "optim.lr=4e-3",
    "optim.batch=1",
    "optim.epochs=1000",
    "optim.steps=115",
    "engine.precision=auto",
    "checkpoint.every=1000",
)


@pytest.fixture(scope="module")
def study(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The scan, its mask and their names as somebody would lay them into a folder."""
    home, source = tmp_path_factory.mktemp("lungs"), real_data / "ct" / "nsclc_radiomics_lung1_001"
    (home / "raw").mkdir()
    shutil.copy(source / "LUNG1-001_shrink2.nii.gz", home / "raw/lung1.nii.gz")
    shutil.copy(source / "LUNG1-001_shrink2_lungs_gtv.nii.gz", home / "raw/lung1_mask.nii.gz")
    (home / "raw/classes.json").write_text(json.dumps(NAMES))
    ingest(home / "raw", "folder", home / "cohort", spacing=",".join(map(str, SPACING)))
    return open_cohort(home / "cohort")[0]


@pytest.fixture(scope="module")
def segmenter(study: Study) -> Segmenter:
    run = study.home.parent / "run"
    segment(study.home, load_recipe("segment-tiny", list(SETTINGS)), run)
    return load_segmenter(run, "cpu")


@pytest.fixture(scope="module")
def marked(study: Study, segmenter: Segmenter) -> np.ndarray:
    return segmenter.labels_of(study)


def dice(labels: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (labels & truth).sum() / (labels.sum() + truth.sum()))


def test_lungs_of_a_real_scan_are_learned_by_heart(study: Study, marked: np.ndarray) -> None:
    truth, stored = study.source_mask(), study.mask()
    back = LabelsBack(study.source_shape, study.source_affine, study.shape, study.affine)
    back.take(np.stack([stored == label for label in range(3)]).astype(np.float32))
    reached = [dice(marked == label, truth == label) for label in (1, 2)]
    most = [dice(back.labels == label, truth == label) for label in (1, 2)]
    sys.stdout.write(f"Dice {np.round(reached, 3)}; the truth, there and back: {np.round(most, 3)}\n")
    assert np.mean(reached) > 0.95


def test_left_is_left(study: Study, marked: np.ndarray) -> None:
    truth = study.source_mask()
    for label, other in ((1, 2), (2, 1)):
        assert dice(marked == label, truth == label) > 0.9
        assert dice(marked == label, truth == other) < 0.1
    left, right = (
        np.argwhere(marked == label).mean(0) @ study.source_affine[0, :3] + study.source_affine[0, 3]
        for label in (1, 2)
    )
    assert left < right  # in mm to the patient's right


def test_model_of_one_scan_marks_another_and_how_well_is_said(real_data: Path, segmenter: Segmenter) -> None:
    folder = real_data / "ct" / "lidc_idri_0001"
    made = segmenter.predict(read_volume(folder / "cxr.nii.gz"))
    lobes = np.asarray(nib.load(folder / "mask.nii.gz").dataobj).astype(np.int16)
    assert made.labels.shape == lobes.shape
    of_lobes = {"left lung": (10, 11), "right lung": (12, 13, 14)}
    found = {
        name: dice(made.labels == label, np.isin(lobes, of_lobes[name]))
        for label, name in enumerate(made.names, 1)
    }
    lungs = dice(made.labels > 0, np.isin(lobes, range(10, 15)))
    sys.stdout.write(f"on LIDC-IDRI-0001: {found}, both as one {lungs:.3f}; {made.volumes_ml}\n")
    assert lungs > 0.5

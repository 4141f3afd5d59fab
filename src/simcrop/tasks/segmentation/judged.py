"""Scans that were held out, segmented and held against their own masks on the grid of their files.

Axes: x y z of the resampled grid (RAS+); i j k as stored in the file; labels are int16, 0 is background.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from simcrop.data.label_volume import resampled_labels
from simcrop.data.samples.windows import as_channels, numbers_of
from simcrop.data.store.cohort import Cohort, Study
from simcrop.data.volume import spacing_of
from simcrop.engine.progress import Progress
from simcrop.evaluation.segmentation import score_scan
from simcrop.figures.mask_cuts import draw_mask_cuts
from simcrop.files.lines import as_line, whole_lines
from simcrop.files.whole import write_whole, writing
from simcrop.tasks.segmentation.page import WORST, worst_scans
from simcrop.tasks.segmentation.table import JUDGED, JudgedScan, line_of, scan_of

PICTURES = "worst"
Predict = Callable[[Study], np.ndarray]  # labels (i j k): 1 is the first class


def judge_studies(
    studies: Cohort,
    names: Sequence[str],
    predict: Predict,
    tolerance_mm: float,
    out: Path,
    progress: Progress,
    fold: int = 0,
) -> list[JudgedScan]:
    """Every study of `studies`; those that an earlier call has judged already are taken as they are."""
    numbers = numbers_of(names, studies.classes)
    patients = dict(studies.index.select("id", "patient").iter_rows())
    scans = earlier(out / JUDGED, patients)
    with writing(out / PICTURES):
        (out / PICTURES).mkdir(exist_ok=True)
    done = {scan.scores.study for scan in scans}
    with (out / JUDGED).open("ab", buffering=0) as file:
        for study in studies:
            if study.id in done:
                continue
            truth = as_channels(study.source_mask(), numbers)
            predicted = predict(study)
            spacing = spacing_of(study.source_affine)
            named = dict(enumerate(names, 1))
            scores = score_scan(study.id, study.patient, predicted, truth, spacing, named, tolerance_mm)
            scans.append(JudgedScan(scores, study.source_mask_checksum or "", fold))
            if scans[-1] in worst_scans(scans, WORST):
                write_whole(out / PICTURES / f"{study.id}.png", picture_of(study, truth, predicted))
            file.write(as_line(line_of(scans[-1])))
            progress(len(scans), len(studies), words_of(scans[-1]))
    return scans


def words_of(scan: JudgedScan) -> str:
    """Beside the count: a line of progress may go to the log of a cluster, and an id may be a name."""
    return f"Dice {scan.dice:.3f}" if scan.dice == scan.dice else "none of the classes"


def earlier(path: Path, patients: Mapping[str, str]) -> list[JudgedScan]:
    """What an interrupted judgement left; a torn last line is cut off."""
    if not path.exists():
        return []
    with path.open("r+b") as file:
        lines, size = whole_lines(file, lambda line: line.get("id") in patients)
        file.truncate(size)
    return [scan_of(line, patients[line["id"]]) for line in lines]


def picture_of(study: Study, truth: np.ndarray, predicted: np.ndarray) -> bytes:
    """Both on the resampled grid, whose axes lie as in the patient."""
    true, said = (
        resampled_labels(labels, study.source_affine, study.shape, study.affine)
        for labels in (truth, predicted)
    )
    return draw_mask_cuts(study.read(), true, said, spacing_of(study.affine))


def kept_pictures(out: Path, scans: Sequence[JudgedScan]) -> dict[str, bytes]:
    """Of the worst scans, by id; those of scans that were among them for a while go."""
    worst = {scan.scores.study for scan in worst_scans(scans)}
    for path in (out / PICTURES).glob("*.png"):
        if path.stem not in worst:
            path.unlink()
    if (out / PICTURES).is_dir() and not any((out / PICTURES).iterdir()):
        shutil.rmtree(out / PICTURES)
    paths = {name: out / PICTURES / f"{name}.png" for name in worst}
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}

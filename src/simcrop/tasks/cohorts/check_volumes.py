"""The stored volumes of a cohort, each read once by one of several processes: whole or damaged, histogram, picture.

Axes: x, y, z of the stored grid, int16 HU; lengths in mm.
"""

import os
from dataclasses import dataclass, replace

import numpy as np

from simcrop.data.preprocess import InputSpec
from simcrop.data.quality.geometry import box_of
from simcrop.data.quality.histograms import gathered, histogram
from simcrop.data.store.cohort import Cohort, Study, is_sound
from simcrop.engine.progress import show_progress
from simcrop.errors import SimcropError
from simcrop.parallel.processes import each
from simcrop.tasks.cohorts.checked import Seen

PICTURES = 12
SAMPLE = 200  # scans whose voxels are read where not all of them are
WORTH_A_PROCESS = 100  # scans: a process takes as long to start as to read some tens of them

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """What to do with one volume. `shown`: as which input, where a picture of it is wanted."""

    row: int
    study: Study
    spacing_mm: Spacing
    verify: bool
    shown: InputSpec | None


@dataclass(frozen=True, eq=False)
class Looked:
    """What one volume shows; of one that cannot be read there is no histogram."""

    row: int
    id: str
    sound: bool
    histogram: np.ndarray | None = None
    picture: tuple[bytes, str] | None = None


def look_at(cohort: Cohort, spec: InputSpec, verify: bool, workers: int | None = None) -> Seen:
    """Read the volumes once: all to verify them, else an even sample. How many `workers` read changes nothing."""
    shown = set(evenly(len(cohort), PICTURES))
    rows = list(range(len(cohort))) if verify else sorted({*evenly(len(cohort), SAMPLE), *shown})
    looks = (
        Look(row, without_report(cohort[row]), cohort.spacing_mm, verify, spec if row in shown else None)
        for row in rows
    )
    workers = workers or min(len(os.sched_getaffinity(0)), 1 + len(rows) // WORTH_A_PROCESS)
    progress, found = show_progress("check"), []
    for looked in each(look, looks, workers, died) if workers > 1 else map(look, looks):
        found.append(looked)
        progress(len(found), len(rows), "")
    found.sort(key=lambda looked: looked.row)
    return Seen(
        verify,
        len(rows),
        tuple(looked.id for looked in found if not looked.sound),
        gathered({looked.id: looked.histogram for looked in found if looked.histogram is not None}),
        tuple(looked.picture for looked in found if looked.picture is not None),
    )


def without_report(study: Study) -> Study:
    """What is handed to other processes; tens of thousands of reports need not be held for it."""
    return replace(study, findings="", impression="")


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of `count` rows, from the first to the last."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


def look(job: Look) -> Looked:
    """One volume, by whichever process is free."""
    study = job.study
    try:
        voxels = study.read()
        sound = not job.verify or is_sound(study, voxels)
    except SimcropError:
        return Looked(job.row, study.id, sound=False)
    picture = None if job.shown is None else picture_of(study.id, voxels, job.spacing_mm, job.shown)
    return Looked(job.row, study.id, sound, histogram(voxels), picture)


def died(job: Look) -> Looked:
    """A volume whose reading kills its process is not one to train on."""
    return Looked(job.row, job.study.id, sound=False)


def picture_of(id: str, voxels: np.ndarray, spacing_mm: Spacing, spec: InputSpec) -> tuple[bytes, str]:
    """The three middle cuts with the input's box, and the scan's id and size."""
    from simcrop.figures.thumbnails import draw_thumbnail  # heavy, and most processes draw nothing

    png = draw_thumbnail(voxels, spacing_mm, box_of(voxels.shape, spacing_mm, spec))
    size = " × ".join(f"{n * mm:.0f}" for n, mm in zip(voxels.shape, spacing_mm, strict=True))
    return png, f"{id}, {size} mm"

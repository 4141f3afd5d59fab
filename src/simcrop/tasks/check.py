"""`simcrop check`: what a cohort holds and what is odd in it, on one page; every stored volume against its checksum.

Axes: x, y, z of the stored grid, int16 HU; lengths in mm.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.data.preprocess import InputSpec, paper
from simcrop.data.quality.facts import (
    duplicates,
    label_counts,
    patients_in_two_splits,
    refusals,
    reports,
    stored_bytes,
)
from simcrop.data.quality.geometry import box_of, geometry_outliers, measures
from simcrop.data.quality.histograms import gathered, histogram, hu_outliers
from simcrop.data.store.cohort import Cohort, Study, open_cohort, read_facts
from simcrop.data.store.volume_file import checksum
from simcrop.engine.progress import show_progress
from simcrop.errors import SimcropError
from simcrop.figures.thumbnails import draw_thumbnail
from simcrop.files.digest import digest_of_files
from simcrop.tasks.check_page import write_check_page
from simcrop.tasks.checked import Checked, Seen
from simcrop.tasks.folder import check_folder, staged, write_metrics

PICTURES = 12
SAMPLE = 200  # scans whose voxels are read where not all of them are


def check_cohort(
    cohort_path: Path, out: Path, recipe: str | None = None, verify: bool = True, overwrite: bool = False
) -> Checked:
    """Write `report.html` and `metrics.json`. Without `verify` only a sample of the volumes is read."""
    cohort, spec = open_cohort(cohort_path), spec_of(recipe)
    settings = {
        "cohort": digest_of_files(cohort_path / "studies.parquet", cohort_path / "ledger.parquet"),
        "spec": asdict(spec),
        "verify": verify,
    }
    check_folder(out, "check", settings, overwrite=overwrite, resumable=False)
    checked = gather(cohort, spec, look_at(cohort, spec, verify))
    with staged(out, "check", settings, overwrite) as stage:
        write_check_page(checked, stage / "report.html")
        write_metrics(stage, figures(checked))
    return checked


def spec_of(recipe: str | None) -> InputSpec:
    """The input of a recipe, or the paper's."""
    if recipe is None:
        return paper
    from simcrop.config import load_recipe

    return load_recipe(recipe).input.spec


def look_at(cohort: Cohort, spec: InputSpec, verify: bool) -> Seen:
    """Read the volumes once, one after the other: all to verify them, else an even sample."""
    shown = evenly(len(cohort), PICTURES)
    rows = list(range(len(cohort))) if verify else sorted({*evenly(len(cohort), SAMPLE), *shown})
    progress, damaged = show_progress("check"), []
    numbers, pictures = {}, []
    for done, row in enumerate(rows, start=1):
        study = cohort[row]
        try:
            voxels = study.read()
            sound = not verify or checksum(voxels) == study.checksum
        except SimcropError:
            voxels, sound = None, False
        if not sound:
            damaged.append(study.id)
        if voxels is not None:
            numbers[study.id] = histogram(voxels)
            if row in shown:
                pictures.append(picture_of(study, voxels, cohort, spec))
        progress(done, len(rows), "")
    return Seen(verify, len(rows), tuple(damaged), gathered(numbers), tuple(pictures))


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of `count` rows, from the first to the last."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


def picture_of(study: Study, voxels: np.ndarray, cohort: Cohort, spec: InputSpec) -> tuple[bytes, str]:
    """The three middle cuts with the input's box, and the scan's id and size."""
    png = draw_thumbnail(voxels, cohort.spacing_mm, box_of(voxels.shape, cohort.spacing_mm, spec))
    size = " × ".join(f"{n * mm:.0f}" for n, mm in zip(voxels.shape, cohort.spacing_mm, strict=True))
    return png, f"{study.id}, {size} mm"


def gather(cohort: Cohort, spec: InputSpec, seen: Seen) -> Checked:
    """What the tables say, beside what the voxels show."""
    geometry = measures(cohort)
    return Checked(
        cohort=cohort,
        spec=spec,
        facts=read_facts(cohort.path),
        bytes=stored_bytes(cohort),
        seen=seen,
        geometry=geometry,
        refused=refusals(cohort),
        duplicates=duplicates(cohort),
        crossing=patients_in_two_splits(cohort),
        reports=reports(cohort),
        labels=label_counts(cohort),
        hu_outliers=hu_outliers(seen.numbers),
        geometry_outliers=geometry_outliers(cohort.index["id"].to_list(), geometry),
    )


def figures(checked: Checked) -> dict[str, Any]:
    """`metrics.json`: counts, and the ids of whatever is odd."""
    return {
        "scans": len(checked.cohort),
        "patients": checked.cohort.index["patient"].n_unique(),
        "refused": {refused.reason: refused.count for refused in checked.refused},
        "bytes": checked.bytes,
        "verified": checked.seen.read if checked.seen.verified else 0,
        "looked_at": checked.seen.read,
        "patients_in_two_splits": checked.crossing,
        "odd": {what: list(ids) for what, ids in checked.flagged.items()},
        "reasons": {
            "hu": {found.id: found.sentence for found in checked.hu_outliers},
            "geometry": {found.id: found.sentence for found in checked.geometry_outliers},
        },
        "twins": [list(group.ids) for group in checked.duplicates],
        "labels": {label.name: [label.positive, label.known] for label in checked.labels},
    }


def summary(checked: Checked) -> list[str]:
    """The same in a few plain lines, for a terminal."""
    found = figures(checked)
    refused = ", ".join(f"{count} {reason}" for reason, count in found["refused"].items())
    lines = [
        f"{found['scans']} scans of {found['patients']} patients; refused: {refused or 'none'}",
        "every volume is what was ingested" if checked.seen.verified and not checked.seen.damaged else "",
        *(f"{what}: {named(ids)}" for what, ids in checked.flagged.items()),
        f"patients in more than one split: {checked.crossing}" if checked.crossing else "",
    ]
    return [line for line in lines if line]


def named(ids: tuple[str, ...], most: int = 3) -> str:
    """How many, and the first of them."""
    more = ", …" if len(ids) > most else ""
    return f"{len(ids)} ({', '.join(ids[:most])}{more})"

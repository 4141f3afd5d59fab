"""`simcrop check`: what a cohort holds and what is odd in it, on one page; all that is stored against its checksum.

Axes: x, y, z of the stored grid, int16 HU; lengths in mm.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from simcrop.data.preprocess import InputSpec, paper
from simcrop.data.quality.facts import (
    class_counts,
    duplicates,
    label_counts,
    patients_in_two_splits,
    refusals,
    reports,
    stored_bytes,
)
from simcrop.data.quality.geometry import geometry_outliers, measures
from simcrop.data.quality.histograms import hu_outliers
from simcrop.data.quality.notes import noted
from simcrop.data.store.cohort import Cohort, open_cohort, read_facts
from simcrop.files.digest import digest_of_files
from simcrop.tasks.cohorts.check_page import write_check_page
from simcrop.tasks.cohorts.check_volumes import look_at
from simcrop.tasks.cohorts.checked import Checked, Seen
from simcrop.tasks.folder import check_folder, staged, write_metrics


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
        classes=class_counts(cohort),
        hu_outliers=hu_outliers(seen.numbers),
        geometry_outliers=geometry_outliers(cohort.index["id"].to_list(), geometry),
        notes=noted(cohort),
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
        "notes": {note.sentence: list(note.ids) for note in checked.notes},
        "twins": [list(group.ids) for group in checked.duplicates],
        "labels": {label.name: [label.positive, label.known] for label in checked.labels},
        "classes": {found.name: [found.positive, found.known] for found in checked.classes},
    }


def summary(checked: Checked) -> list[str]:
    """The same in a few plain lines, for a terminal."""
    found = figures(checked)
    refused = ", ".join(f"{count} {reason}" for reason, count in found["refused"].items())
    unmarked = ", ".join(name for name, (positive, _) in found["classes"].items() if not positive)
    lines = [
        f"{found['scans']} scans of {found['patients']} patients; refused: {refused or 'none'}",
        "every volume is what was ingested" if checked.seen.verified and not checked.seen.damaged else "",
        *(f"{what}: {named(ids)}" for what, ids in checked.flagged.items()),
        f"patients in more than one split: {checked.crossing}" if checked.crossing else "",
        f"classes that no mask holds: {unmarked}" if unmarked else "",
    ]
    return [line for line in lines if line]


def named(ids: tuple[str, ...], most: int = 3) -> str:
    """How many, and the first of them."""
    more = ", …" if len(ids) > most else ""
    return f"{len(ids)} ({', '.join(ids[:most])}{more})"

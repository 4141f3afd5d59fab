"""What `simcrop similar` leaves: a table, figures, and a page of pictures and reports.

Axes: x, y, z of stored grids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.data.preprocess import InputSpec, paper
from simcrop.data.store.cohort import Cohort, Study
from simcrop.errors import SimcropError
from simcrop.figures.page import Page
from simcrop.files.tables import write_csv
from simcrop.tasks.cohorts.check_volumes import picture_of
from simcrop.tasks.folder import write_metrics

TABLE = "similar.csv"
COLUMNS = ("rank", "id", "cosine", "same_patient", "scan", "split", "findings", "impression")


@dataclass(frozen=True, eq=False)
class Query:
    """What is looked for. `name`: its id, or a digest of the voxels of a file; `rows`: where it stands in the cohort;
    of a file also `vector` and `voxels`.
    """

    name: str
    vector: np.ndarray | None
    voxels: np.ndarray | None
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Near:
    """A study in this row of the index; no rank where it is of the query's own patient."""

    row: int
    id: str
    cosine: float
    rank: int | None


def write_similar(
    out: Path, query: Query, near: Sequence[Near], cohort: Cohort, spec: InputSpec | None, top: int
) -> None:
    """All three files."""
    write_table(out / TABLE, near, cohort)
    counted = [one.cosine for one in near if one.rank is not None]
    write_metrics(
        out,
        {
            "searched": len(cohort),
            "in_cohort": len(query.rows),
            "top": top,
            "cosine_nearest": counted[0] if counted else None,
            "cosine_last": counted[-1] if counted else None,
            "same_patient": len(near) - len(counted),
            "nearest": [{"rank": one.rank, "id": one.id, "cosine": one.cosine} for one in near],
        },
    )
    page_of(query, near, cohort, spec or paper).write(out / "report.html")


def write_table(path: Path, near: Sequence[Near], cohort: Cohort) -> None:
    """One row per study, nearest first."""
    told = [
        (study.scan, study.split, study.findings, study.impression)
        for study in (cohort[one.row] for one in near)
    ]
    lines = [
        (one.rank, one.id, f"{one.cosine:.6f}", "yes" if one.rank is None else "no", *words)
        for one, words in zip(near, told, strict=True)
    ]
    write_csv(path, COLUMNS, lines)


def page_of(query: Query, near: Sequence[Near], cohort: Cohort, spec: InputSpec) -> Page:
    """The query first, then the studies from the nearest on."""
    known = (
        "Scans of the same patient are marked and have no rank."
        if query.rows
        else "The scan is none of the cohort's; whether one of these is the same patient's is not known."
    )
    page = Page(
        "Similar studies",
        f"Those of {len(cohort)} studies whose pooled features have the largest cosine with the scan's. {known} What "
        "looks alike to a network need not be the same disease. Not for diagnosis.",
    )
    study = cohort[query.rows[0]] if query.rows else None
    page.section("The scan", report_of(study) if study else "")
    if query.voxels is not None:
        page.picture(*picture_of("as the cohort would store it", query.voxels, cohort.spacing_mm, spec))
    elif study is not None:
        add_picture(page, study, cohort, spec)
    told = {(study.patient, study.scan): "the scan"} if study else {}
    for one in near:
        study = cohort[one.row]
        place = "The same patient" if one.rank is None else f"{one.rank}"
        again = told.setdefault((study.patient, study.scan), place)
        text = (
            report_of(study)
            if again == place
            else f"Of the same examination as {again}, and of the same report."
        )
        page.section(f"{place}: cosine {one.cosine:.3f}".replace("-", "−"), text)
        add_picture(page, study, cohort, spec)
    return page


def add_picture(page: Page, study: Study, cohort: Cohort, spec: InputSpec) -> None:
    """Three cuts, or that there are none."""
    try:
        page.picture(*picture_of(study.id, study.read(), cohort.spacing_mm, spec))
    except SimcropError:
        page.table([[study.id, "its stored volume cannot be read"]], ["scan", ""])


def report_of(study: Study) -> str:
    """Findings and impression, or that there is nothing."""
    parts: list[tuple[str, Any]] = [("Findings: ", study.findings), ("Impression: ", study.impression)]
    said = [f"{head}{text.strip()}" for head, text in parts if text and text.strip()]
    return "\n\n".join(said) or "No report."

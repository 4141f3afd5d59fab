"""What `simcrop segment-predict` writes of all scans: `volumes.csv`, and the page with a picture of each.

No axes; volumes in ml.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simcrop.figures.page import Page
from simcrop.files.tables import write_csv
from simcrop.tasks.many_scans import show_refused
from simcrop.tasks.scans import Unread

VOLUMES, PAGE = "volumes.csv", "report.html"
MOST_PICTURES = 200  # beyond these the page would be too large to open; they lie in masks/ all the same
LEAD = (
    "Each scan's voxels were given a class by a trained network, on the scan's own grid. Nothing here says how good it "
    "is on these scans. Not for diagnosis."
)
Row = Mapping[str, Any]


def write_volumes(path: Path, names: Sequence[str], rows: Mapping[str, Row]) -> None:
    """One line per scan, one column of ml per class."""
    lines = [[name, *(f"{row['volumes_ml'][of]:.3f}" for of in names)] for name, row in rows.items()]
    write_csv(path, ["id", *names], lines)


def write_page(out: Path, names: Sequence[str], rows: Mapping[str, Row], refused: Sequence[Unread]) -> None:
    page = Page("Masks", LEAD)
    page.figures({"scans": len(rows), "refused": len(refused), "classes": len(names)})
    page.section("Volumes in ml", "Of each class in each scan; 0 where nothing was marked.")
    page.table(
        [[name, *(row["volumes_ml"][of] for of in names)] for name, row in rows.items()], ["scan", *names]
    )
    show_refused(page, refused, "These have no mask.")
    notes = [[name, note] for name, row in rows.items() for note in row["notes"]]
    if notes:
        page.section("Noted", "What a reader guessed or left out, and where no DICOM SEG could be made.")
        page.table(notes, ["scan", "note"])
    page.section(
        "Pictures", f"Cuts where most is marked, the patient's right on the left. {words_of(len(rows))}"
    )
    for name in list(rows)[:MOST_PICTURES]:
        page.picture((out / "masks" / f"{name}.png").read_bytes(), name, f"mask of {name}")
    page.write(out / PAGE)


def words_of(scans: int) -> str:
    return "" if scans <= MOST_PICTURES else f"The first {MOST_PICTURES} of {scans}; all are in masks/."

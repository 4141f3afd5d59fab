"""What the ledger notes, by hand: guesses first, nothing of a refused scan, no file and nothing that a header said."""

import json
from pathlib import Path

import polars as pl

from simcrop.data.quality.notes import Noted, noted
from simcrop.data.store.cohort import Cohort

HU = "the stored numbers are HU already; 40% air and lung"
SIZE, SIDES = (
    "guessed voxels of 1 x 1 x 1 mm, as the header has no ElementSpacing",
    "axes assumed to be L, P, S",
)
ROWS = [
    ("a", "/x/a.mha", "taken", f"{HU}; {SIZE}; no report"),
    ("b", "/x/b.mha", "taken", f"{HU}; {SIZE}; {SIDES}; same voxels as a"),
    ("c", "/x/c", "taken", f"{HU}; taken of 2 CT series: 3 Jane Doe, left out: 4; no report"),
    ("d", "/x/Jane Doe.nii", "taken", f"{HU}; qform of /x/Jane Doe.nii left aside"),
    ("e", "/x/e.nii", "refused", f"{SIZE}"),
    ("f", "/x/f.nii", "taken", HU),
]


def test_notes_are_counted_with_their_studies_guesses_first() -> None:
    ledger = pl.DataFrame(ROWS, ["id", "path", "status", "sentence"], orient="row")
    index = pl.DataFrame({"id": ["a", "b", "c", "d", "f"], "hu_decision": [json.dumps({"sentence": HU})] * 5})
    assert noted(Cohort(Path("nowhere"), (1.5, 1.5, 3.0), (-1000.0, 1000.0), index, ledger)) == [
        Noted(SIZE, ("a", "b")),
        Noted(SIDES, ("b",)),
        Noted("qform of (a file) left aside", ("d",)),
        Noted("taken of 2 CT series", ("c",)),
    ]

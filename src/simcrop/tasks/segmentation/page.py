"""The page of a segmentation: every class with its interval, what was not there to find, and the worst scans.

Axes: s scan, l class. Distances in mm, volumes in ml.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from simcrop.evaluation.segmentation import ClassResult, Measure, Segmented
from simcrop.figures.mask_cuts import LEGEND
from simcrop.figures.page import Page
from simcrop.tasks.intervals import written
from simcrop.tasks.segmentation.table import JudgedScan

WORST = 10
HOW = (
    "Masks are held against the data set's own on the grid of each scan's file, after crop and resampling are undone. "
    "Background is no class. A class that a scan does not have is left out there and counted; it is never 0 or 1."
)
NOTHING = (
    "No scan is left to judge by, so nothing is known of how good the masks are; --folds judges every scan."
)


def measure_words(measure: Measure, tolerance_mm: float) -> tuple[str, str]:
    """What it is called, and what it is."""
    return {
        "dice": ("Dice", "The share of voxels that mask and truth have in common, 1 at best."),
        "hd95_mm": ("HD95 in mm", "95 % of each surface lie no farther from the other than this, 0 at best."),
        "nsd": (
            f"Surface Dice at {tolerance_mm:g} mm",
            f"The share of both surfaces that lie within {tolerance_mm:g} mm of the other, 1 at best.",
        ),
    }[measure]


def add_judgement(
    page: Page, judged: Segmented, scans: Sequence[JudgedScan], pictures: Mapping[str, bytes], note: str
) -> None:
    """Of the scans that were held out; `note`: which these are. `pictures`: by id, of the worst."""
    nsd = measure_words("nsd", judged.tolerance_mm)[0]
    page.figures(
        {
            "Dice": judged.means["dice"].value,
            "95 % interval": judged.means["dice"].limits,
            nsd: judged.means["nsd"].value,
            "HD95, mm": judged.means["hd95_mm"].value,
            "scans": judged.scans,
            "classes never present": len(judged.unseen),
        }
    )
    page.section(
        "Class by class",
        f"{note} {HOW} In brackets the 95 % interval over patients. {unseen_words(judged)}".strip(),
    )
    page.table(
        [
            *([of.name, *(written(of.means[name]) for name in judged.means)] for of in judged.classes),
            ["mean over classes", *map(written, judged.means.values())],
        ],
        ["class", *(measure_words(name, judged.tolerance_mm)[0] for name in judged.means)],
    )
    page.table(
        [count_row(of, scans) for of in judged.classes],
        [
            "class",
            "scans with it",
            "of these missed",
            "scans without",
            "of these marked",
            "truth, ml",
            "mask, ml",
        ],
        "Scans, and the mean volume over scans that have the class, by truth and by mask.",
    )
    worst = worst_scans(scans)
    if worst:
        add_worst(page, worst, pictures)


def unseen_words(judged: Segmented) -> str:
    """Which classes have no figure, and why."""
    return f"In none of these scans: {', '.join(judged.unseen)}." if judged.unseen else ""


def count_row(of: ClassResult, scans: Sequence[JudgedScan]) -> list[object]:
    there = [score for scan in scans if (score := scan.scores.scores[of.name]).present]
    volumes = [[getattr(score, name) for score in there] for name in ("truth_ml", "predicted_ml")]
    means = [float(np.mean(each)) if each else None for each in volumes]
    return [of.name, of.present, of.missed, of.absent, of.false_positives, *means]


def worst_scans(scans: Sequence[JudgedScan], most: int = WORST) -> list[JudgedScan]:
    """From the lowest mean Dice up; a scan that has none of the classes has no place among them."""
    scored = [scan for scan in scans if scan.dice == scan.dice]
    return sorted(scored, key=lambda scan: (scan.dice, scan.scores.study))[:most]


def add_worst(page: Page, worst: Sequence[JudgedScan], pictures: Mapping[str, bytes]) -> None:
    """Their figures, and where most of each is wrong."""
    page.section(
        "The worst scans",
        "The lowest mean Dice over the classes that a scan has. Cuts go through the place where most is wrong, on the "
        f"resampled grid; {LEGEND}.",
    )
    names = list(worst[0].scores.scores)
    page.table(
        [
            [scan.scores.study, scan.dice, *(scan.scores.scores[name].dice for name in names)]
            for scan in worst
        ],
        ["scan", "Dice", *names],
    )
    shown = [scan for scan in worst if scan.scores.study in pictures]
    for scan in shown:
        caption = f"{scan.scores.study}: Dice {scan.dice:.3f}"
        page.picture(pictures[scan.scores.study], caption, f"{caption}; mask and truth in three cuts")


def write_pooled_page(
    path: Path,
    title: str,
    lead: str,
    judged: Segmented,
    scans: Sequence[JudgedScan],
    pictures: Mapping[str, bytes],
    note: str,
    folds: Sequence[Segmented],
) -> None:
    """All folds together, and each by itself."""
    page = Page(title, lead)
    add_judgement(page, judged, scans, pictures, note)
    page.section("Fold by fold", "Each model on the scans that it did not learn from.")
    page.table(
        [[n, of.scans, of.patients, *map(written, of.means.values())] for n, of in enumerate(folds, 1)],
        [
            "fold",
            "scans",
            "patients",
            *(measure_words(name, judged.tolerance_mm)[0] for name in judged.means),
        ],
    )
    page.write(path)

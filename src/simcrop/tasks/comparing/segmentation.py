"""`simcrop compare` on results of `simcrop segment`: the same scans and truth, and which mask is better beyond chance.

Axes: k method, s scan, l class. Distances in mm.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simcrop.errors import SimcropError
from simcrop.evaluation.comparison import LEVEL
from simcrop.evaluation.mask_pairs import PairedMeasure, compare_masks
from simcrop.figures.page import Page
from simcrop.files.digest import digest_of_names
from simcrop.tasks.folder import staged, write_metrics
from simcrop.tasks.intervals import bounds, p_words, without_nan, written
from simcrop.tasks.segmentation.page import measure_words
from simcrop.tasks.segmentation.table import JudgedScan, read_table


def compare_segmentations(
    folders: Sequence[Path], names: Sequence[str], out: Path, seed: int, overwrite: bool
) -> Path:
    """`metrics.json` and `report.html`; refused unless all were judged by the same scans with the same truth."""
    found = [read_table(folder) for folder in folders]
    for name, other in zip(names[1:], found[1:], strict=True):
        refuse_other_truth(names[0], found[0], name, other)
    first = found[0]
    classes = list(first[0].scores.scores)
    compared = compare_masks([[scan.scores for scan in scans] for scans in found], seed)
    settings = {"folders": [str(folder) for folder in folders], "seed": seed}
    with staged(out, "compare", settings, overwrite) as stage:
        write_metrics(stage, figures(compared, names, classes, first, seed))
        write_page(stage / "report.html", compared, names, classes, first)
    return out / "report.html"


def refuse_other_truth(
    name: str, scans: Sequence[JudgedScan], other_name: str, other: Sequence[JudgedScan]
) -> None:
    """What is compared must be the same question, put to the same scans."""
    where = f"{name} and {other_name}"
    if [scan.scores.study for scan in scans] != [scan.scores.study for scan in other]:
        raise SimcropError("other-scans", f"{where} were judged by different scans")
    mine, theirs = (list(some[0].scores.scores) for some in (scans, other))
    if mine != theirs:
        raise SimcropError(
            "other-scans", f"{where} mark different classes: {', '.join(mine)}, and {', '.join(theirs)}"
        )
    if any(truth_of(one) != truth_of(two) for one, two in zip(scans, other, strict=True)):
        raise SimcropError("other-scans", f"{where} were judged by another truth, or another tolerance")


def truth_of(scan: JudgedScan) -> tuple[object, ...]:
    """Same label volume, same classes in it, same tolerance."""
    return scan.truth, *((score.truth_ml, score.tolerance_mm) for score in scan.scores.scores.values())


def figures(
    compared: Sequence[PairedMeasure],
    names: Sequence[str],
    classes: Sequence[str],
    scans: Sequence[JudgedScan],
    seed: int,
) -> dict[str, Any]:
    """`metrics.json`."""
    patients = {scan.scores.patient for scan in scans}
    return without_nan(
        {
            "seed": seed,
            "scans": len(scans),
            "patients": len(patients),
            "split_hash": digest_of_names(scan.scores.study for scan in scans),
            "segmentation": [
                {
                    "measure": one.measure,
                    "methods": {
                        name: {
                            **bounds("mean", mean),
                            "classes": {
                                c: bounds("value", of) for c, of in zip(classes, values, strict=True)
                            },
                        }
                        for name, mean, values in zip(names, one.means, one.values, strict=True)
                    },
                    "pairs": [
                        {
                            "first": names[i],
                            "second": names[j],
                            **bounds("mean_difference", mean),
                            "classes": {
                                name: {
                                    **bounds("difference", one.differences[i, j][n]),
                                    "p_holm": float(one.p_values[i, j][n]),
                                    "scans": int(one.scans[i, j][n]),
                                }
                                for n, name in enumerate(classes)
                            },
                        }
                        for (i, j), mean in one.mean_differences.items()
                    ],
                }
                for one in compared
            ],
        }
    )


def write_page(
    path: Path,
    compared: Sequence[PairedMeasure],
    names: Sequence[str],
    classes: Sequence[str],
    scans: Sequence[JudgedScan],
) -> None:
    """A section per measure: means, classes, and the difference of every pair."""
    patients = {scan.scores.patient for scan in scans}
    page = Page(
        "Comparison",
        f"Masks of the same {len(scans)} scans of {len(patients)} patients, each against the same truth on the scan's "
        "own grid. In brackets 95 % intervals, of differences over the same drawn patients. A class differs beyond "
        f"chance where exchanging the signs of its differences, patient by patient, gives p < {LEVEL} after Holm's "
        "correction over all classes and pairs.",
    )
    tolerance = next(iter(scans[0].scores.scores.values())).tolerance_mm
    for one in compared:
        page.section(*measure_words(one.measure, tolerance))
        rows = [[name, *(written(of[n]) for of in one.values)] for n, name in enumerate(classes)]
        page.table([*rows, ["mean over classes", *map(written, one.means)]], ["class", *names])
        page.table(
            [
                [
                    f"{names[i]} − {names[j]}",
                    name,
                    int(one.scans[i, j][n]),
                    written(of),
                    *said(one, (i, j), n),
                ]
                for (i, j), each in one.differences.items()
                for n, (name, of) in enumerate(zip(classes, each, strict=True))
            ]
            + [
                [f"{names[i]} − {names[j]}", "mean over classes", len(scans), written(of), "", ""]
                for (i, j), of in one.mean_differences.items()
            ],
            ["difference", "class", "scans", "", "p, Holm", "beyond chance"],
        )
    page.write(path)


def said(one: PairedMeasure, pair: tuple[int, int], n: int) -> tuple[str, str]:
    """The p-value, and what it says."""
    return p_words(one.p_values[pair][n]), "yes" if one.apart(pair, n) else "no"

"""The page of a probe: every figure with its interval, what chance and a random start reach, and the curves.

Axes: k repetition, s scan, l label.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from simcrop.evaluation.judgement import MEASURES, JudgedLabel, Judgement
from simcrop.evaluation.subgroups import FEWEST_POSITIVES, Subgroup
from simcrop.figures.bars import side_by_side
from simcrop.figures.page import Page
from simcrop.figures.unit import draw_calibration, draw_precision, draw_roc
from simcrop.metrics.intervals import Interval

# Few enough columns in each table that an interval stands in one line.
TABLES = (MEASURES[:3], MEASURES[3:6], MEASURES[6:])
WORDS = {
    "auroc": "AUROC",
    "average_precision": "AP",
    "f1": "F1",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "brier": "Brier",
    "expected_calibration_error": "ECE",
    "calibration_intercept": "cal. intercept",
    "calibration_slope": "cal. slope",
}
CAPTION = (
    "In brackets the 95 % interval over patients. F1, sensitivity and specificity at a threshold that held-out "
    "training patients chose (Youden). ECE: expected calibration error over ten bins."
)


def write_probe_page(
    folder: Path,
    shares: Mapping[float, Judgement],
    others: Mapping[str, Judgement],
    groups: Sequence[Subgroup],
    scores: np.ndarray,
    truth: np.ndarray,
    names: Sequence[str],
    note: str,
) -> None:
    """`report.html`; `scores` `(k, s, l)` and labels of the largest share."""
    best = shares[max(shares)]
    page = Page(
        "Probe", f"What a linear head reads from frozen features of scans that no head was fitted on. {note}."
    )
    page.figures(
        {
            "macro AUROC": best.auroc.value,
            "95 % interval": f"{best.auroc.low:.3f} to {best.auroc.high:.3f}",
            "labels judged": len(best.labels) - len(best.absent),
            "labels absent": len(best.absent),
        }
    )
    rows = [(share_words(share), judged) for share, judged in sorted(shares.items())]
    page.section("All labels", f"The mean over the labels that could be judged. {CAPTION}")
    for measures in TABLES:
        page.table(
            [
                [name, *(written(of.macro[measure]) for measure in measures)]
                for name, of in (*rows, *others.items())
            ],
            ["learned from", *(WORDS[measure] for measure in measures)],
        )
    page.section("Label by label", absent_words(best))
    for measures in TABLES:
        page.table(
            [label_row(label, measures) for label in best.labels if label.name not in best.absent],
            ["label", "with", "without", *(WORDS[measure] for measure in measures)],
        )
    if groups:
        page.section(
            "Subgroups",
            f"Macro AUROC over the labels that at least {FEWEST_POSITIVES} scans of a group have.",
        )
        page.table(
            [
                [group.column, group.value, group.scans, group.patients, *group_cells(group)]
                for group in groups
            ],
            ["column", "value", "scans", "patients", "labels", "AUROC"],
        )
    judged = [(i, label) for i, label in enumerate(best.labels) if label.name not in best.absent]
    for heading, draw, measure in (
        ("Sensitivity and false alarms", draw_roc, "auroc"),
        ("Precision and recall", draw_precision, "average_precision"),
        ("Stated and true frequency", draw_calibration, "expected_calibration_error"),
    ):
        page.section(heading)
        panels = [
            draw(names[i], scores[:, :, i], truth[:, i], label.figures[measure].value) for i, label in judged
        ]
        page.drawing(side_by_side(panels))
    page.write(folder / "report.html")


def written(found: Interval) -> str:
    """`.842 [.80, .88]`, which no table breaks in two lines, or a dash."""
    if np.isnan(found.value):
        return "–"
    return f"{found.value:.3f} [{found.low:.2f}, {found.high:.2f}]".replace("-", "−").replace(" ", "\u00a0")


def share_words(share: float) -> str:
    return "all training patients" if share == 1 else f"{100 * share:.4g} % of the training patients"


def label_row(label: JudgedLabel, measures: Sequence[str]) -> list[object]:
    figures = [written(label.figures[measure]) for measure in measures]
    return [label.name, label.positives, label.negatives, *figures]


def group_cells(group: Subgroup) -> list[object]:
    """How many labels could be judged there, and how well."""
    if group.judged is None:
        return [0, "–"]
    return [len(group.judged.labels) - len(group.judged.absent), written(group.judged.auroc)]


def absent_words(judged: Judgement) -> str:
    """Which labels have no figure, and why."""
    if not judged.absent:
        return ""
    named = ", ".join(judged.absent)
    return f"Left out, since the test scans or the training scans are all of one kind: {named}."

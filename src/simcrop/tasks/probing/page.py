"""The page of a probe: every figure with its interval, what chance and a random start reach, and the curves.

Axes: k repetition, s scan, l label.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from simcrop.evaluation.heads.classes import JudgedClasses
from simcrop.evaluation.judgement import MEASURES, JudgedLabel, Judgement
from simcrop.evaluation.subgroups import FEWEST_POSITIVES, Subgroup
from simcrop.figures.bars import side_by_side
from simcrop.figures.page import Page
from simcrop.figures.unit import draw_calibration, draw_precision, draw_roc
from simcrop.metrics.intervals import Interval
from simcrop.tasks.intervals import written
from simcrop.tasks.probing.fits import Judged, Repeated
from simcrop.tasks.probing.sides import Sides

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
BRACKETS, ECE = (
    "In brackets the 95 % interval over patients.",
    "ECE: expected calibration error over ten bins.",
)
CAPTION = (
    f"{BRACKETS} F1, sensitivity and specificity at a threshold of held-out training patients (Youden). {ECE}"
)
ONE_OF = f"{BRACKETS} Each class against the others; F1, sensitivity and specificity of the most probable class. {ECE}"


def write_probe_page(
    folder: Path,
    shares: Mapping[float, Repeated],
    others: Mapping[str, Judged],
    groups: Sequence[Subgroup],
    sides: Sides,
    head: str,
    note: str,
) -> None:
    """`report.html`, of the largest share where not all are said."""
    best, scores = shares[max(shares)].judgement, shares[max(shares)].scores
    classes, truth, names = shares[max(shares)].judged.classes, sides.test_truth, sides.names
    reader = {"attention": "an attention head reads from the patches"}.get(
        head, f"a {head} head reads from frozen features"
    )
    page = Page(
        "Probe",
        f"What {reader} of scans that no head was fitted on. {note[0].upper()}{note[1:]}.",
    )
    page.figures(
        {
            **({"accuracy": classes.accuracy.value} if classes else {}),
            "macro AUROC": best.auroc.value,
            "95 % interval": best.auroc.limits,
            "labels judged": len(best.labels) - len(best.absent),
            "labels absent": len(best.absent),
        }
    )
    rows = [
        *((share_words(share), of.judged) for share, of in sorted(shares.items())),
        *others.items(),
    ]
    if classes:
        add_classes(page, classes, rows)
    text = f"The mean over the labels that could be judged. {ONE_OF if classes else CAPTION}"
    page.section("All labels", f"{text} {fewer_words([of.judgement for _, of in rows])}".strip())
    for measures in TABLES:
        page.table(
            [[name, *(macro_words(of.judgement, measure) for measure in measures)] for name, of in rows],
            ["learned from", *(WORDS[measure] for measure in measures)],
        )
    if trained := [(share, of) for share, of in sorted(shares.items()) if of.chosen]:
        add_training(page, trained)
    page.section("Label by label", f"{absent_words(best)} {undecided_words(best)}".strip())
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


def add_classes(page: Page, classes: JudgedClasses, rows: Sequence[tuple[str, Judged]]) -> None:
    """How often the one right class was named, and which was named instead."""
    page.section("Which class", f"Of every scan the most probable class is named. {BRACKETS}")
    page.table(
        [
            [name, written(of.classes.accuracy), written(of.classes.balanced_accuracy)]
            for name, of in rows
            if of.classes
        ],
        ["learned from", "accuracy", "balanced accuracy"],
    )
    page.table(
        [
            [name, f"{count.sum():g}", *(cell_words(*cell) for cell in zip(count, shares, strict=True))]
            for name, count, shares in zip(classes.names, classes.confusion, classes.shares, strict=True)
        ],
        ["true class", "scans", *(f"named {name}" for name in classes.names)],
        "Scans, the mean over repetitions, and which share of their row they are.",
    )


def cell_words(count: float, share: Interval) -> str:
    """`41 (82 % [70, 91])`."""
    if np.isnan(share.value):
        return "–"
    spread = f"{100 * share.low:.0f}, {100 * share.high:.0f}" if share.wide else "–"
    return f"{count:.4g} ({100 * share.value:.0f} % [{spread}])"


def add_training(page: Page, shares: Sequence[tuple[float, Repeated]]) -> None:
    """With which settings each share was trained, whose they are, and how long it took."""
    page.section(
        "Training",
        "AdamW on the head alone, warm-up and half a cosine. The epoch with the best AUROC on held-out training "
        "patients is kept; training ends after its last step, or when that many epochs have brought none better.",
    )
    page.table(
        [
            [
                share_words(share),
                of.chosen.words,
                *(f"{value:g}" for value in (of.chosen.settings.lr, of.chosen.settings.batch)),
                f"{of.chosen.settings.steps} / {of.chosen.settings.warmup}",
                of.chosen.settings.patience,
                ", ".join(str(head.said.get("steps")) for head in of.probes),
            ]
            for share, of in shares
            if of.chosen
        ],
        ["learned from", "settings", "rate", "batch", "steps / warm-up", "patience", "steps taken"],
    )


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


def macro_words(judged: Judgement, measure: str) -> str:
    """A mean, and over how many labels where these are fewer than the AUROC's."""
    over = judged.over(measure)
    return written(judged.macro[measure]) + (f"\u00a0({over})" if 0 < over < judged.over("auroc") else "")


def fewer_words(judgements: Sequence[Judgement]) -> str:
    """What that number means, where there is one."""
    fewer = any(0 < of.over(name) < of.over("auroc") for of in judgements for name in of.macro)
    return "In parentheses over how many labels, where these are fewer than the AUROC's." if fewer else ""


def undecided_words(judged: Judgement) -> str:
    """Which labels have no figure of decisions; nothing where none has, since nothing was to be decided."""
    if not judged.undecided or not judged.over("f1"):
        return ""
    named = ", ".join(judged.undecided)
    return f"Without a threshold, and so without F1, sensitivity and specificity: {named}."

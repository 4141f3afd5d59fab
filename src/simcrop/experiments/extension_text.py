"""The experiment in words: a Markdown table for the repository and one HTML page. No axes or units."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simcrop.experiments.extension_results import aims
from simcrop.figures.document import Document

COLUMNS = (
    "method",
    "seeds",
    "pool",
    "probe AUROC",
    "pointing hit",
    "swapped",
    "prior",
    "retrieval AUC",
    "rank",
)
PAPER_TABLE3 = (
    ("without SA", 72.4, 92.4),
    ("without IL", 72.7, 92.6),
    ("without WL", 73.3, 92.8),
    ("SimCroP", 73.4, 93.5),
)
PAPER_NOTE = (
    "The paper's Table 3, for comparison of the direction only (RAD-ChestCT, AUC at 10 % of the labels; LUNA16 lungs, "
    "Dice at 10 %): other data, other size, other task."
)
NOTE = (
    "Probe: logistic regression on frozen, pooled patch features, fitted on the probe part, judged on the test part. "
    "Pointing game: share of test sentences naming a lesion whose nearest patch touches that lesion; swapped: the same "
    "scans asked for a finding they do not have; prior: the mean map of the same kind of sentence over other patients. "
    "Brackets: 95 % intervals over patients and seeds. Retrieval AUC and effective rank are logged by the runs on "
    "held-out patients of the pre-training part."
)
TITLES = {
    "easy": "Easy cohort: eight findings, anatomies alike",
    "hard": "Harder cohort: all 18 findings, natural anatomies",
}


def write_texts(out: Path, results: Mapping[str, Any]) -> None:
    """`extension.md` and `report.html`."""
    text = Document("SimCroP's parts on phantoms with known truth", NOTE)
    for name, title in TITLES.items():
        experiment = results[name]
        rows = [row_of(arm, found) for arm, found in experiment["arms"].items()]
        scans = ", ".join(f"{part} {count}" for part, count in experiment["scans"].items())
        caption = f"Scans: {scans}. Split {experiment['split_hash'][:12]}."
        text.section(title, caption).table(rows, COLUMNS)
        kinds = [
            [
                kind,
                experiment["positives"][kind],
                *(round(found["labels"][kind], 3) for found in experiment["arms"].values()),
            ]
            for kind in experiment["positives"]
        ]
        heads = ("finding", "positive", *experiment["arms"])
        text.table(kinds, heads, "AUROC by finding")
        pointing = [arm for arm, found in experiment["arms"].items() if "pointing_kinds" in found]
        kinds = [
            [kind, *(seed_by_seed(experiment["arms"][arm], kind) for arm in pointing)]
            for kind in experiment["positives"]
        ]
        if pointing:
            text.table(kinds, ("finding", *pointing), "Pointing game, hits by finding, seed by seed")
    rows = [
        [what, f"{value:.3f}", f"{aim:.2f}", "met" if met else "missed"]
        for what, value, aim, met in aims(dict(results))
    ]
    text.section("What was aimed at").table(rows, ("what", "reached", "aimed at", ""))
    text.section("The paper's own table", PAPER_NOTE).table(PAPER_TABLE3, ("variant", "AUC", "Dice"))
    text.write(out / "extension.md", out / "report.html")


def row_of(arm: str, found: Mapping[str, Any]) -> list[str]:
    """One line of the main table; what an arm cannot have is a dash."""
    pointing, controls = found.get("pointing", {}), found.get("controls", {})
    return [
        arm,
        str(len(found["seeds"])),
        found["pool"],
        with_bounds(found["probe"]),
        with_bounds(pointing["hit"]) if pointing else "-",
        *(f"{pointing[name]['value']:.2f}" if pointing else "-" for name in ("swapped", "prior")),
        f"{controls['retrieval_auc']:.2f}" if "retrieval_auc" in controls else "-",
        f"{controls['effective_rank']:.1f}" if "effective_rank" in controls else "-",
    ]


def seed_by_seed(found: Mapping[str, Any], kind: str) -> str:
    return " ".join(f"{hit:.2f}" for hit in found["pointing_kinds"].get(kind, [])) or "-"


def with_bounds(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"

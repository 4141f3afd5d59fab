"""The page of `simcrop ground-rex`: every figure beside what it must beat, and by category. It holds no sentence.

No axes or units.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simcrop.figures.page import Page

WORDS = {
    "dice_per_case": "Dice, mean of scans",
    "dice_per_finding": "Dice, mean of findings",
    "hit_rate": "hit rate, Dice of .1",
    "instance_precision": "instances, precision",
    "instance_recall": "instances, recall",
    "instance_f1": "instances, F1",
    "distance_precision": "by distance, precision",
    "distance_recall": "by distance, recall",
    "distance_f1": "by distance, F1",
}
WHOSE = {"swapped": "another sentence", "chance": "drawn patches"}
SCORES = (
    "In brackets 95 % intervals over patients. Another sentence: of another patient, about a category that the scan "
    "has none of, its mask made by the same threshold. Drawn patches: as many as the sentence's own mask has, anywhere "
    "in the scan. A model grounds a sentence only where it beats both."
)


def write_page(path: Path, metrics: Mapping[str, Any]) -> None:
    """Of `metrics.json`; where the masks are withheld it says so and has no scores."""
    threshold, beside = metrics["threshold"], metrics["beside"]
    least = (
        f"whose cosine is {threshold['value']:g} or more"
        if threshold["scale"] == "cosine"
        else f"that lie {threshold['value']:g} deviations or more above the mean of the scan's own"
    )
    looks = "" if metrics["fine"] == 1 else f" Maps are the mean of {metrics['fine']} looks."
    page = Page(
        "Sentences of ReXGroundingCT as masks",
        f"{metrics['findings']} sentences of {metrics['scans']} scans, split {metrics['split']!r}. A mask holds the "
        f"patches {least}, chosen on {threshold['scans']} scans of split {threshold['split']!r}.{looks} "
        f"{metrics['note'][0].upper()}{metrics['note'][1:]}. Not for diagnosis.",
    )
    facts = {
        "findings judged": metrics["judged_findings"],
        "scans judged": metrics["judged_scans"],
        "patients": metrics["judged_patients"],
        "scans refused": len(metrics["refused"]),
    }
    page.figures(facts)
    if not metrics["judged_findings"]:
        page.section(
            "Scores", "None: the masks of these scans are withheld, or the model was trained on them."
        )
    else:
        page.section("Scores", SCORES)
        rows = [
            [words, *(told(of, name) for of in (metrics, *beside.values()))] for name, words in WORDS.items()
        ]
        page.table(rows, ["", "the sentence", *(WHOSE[who] for who in beside)])
        categories_section(page, metrics)
    if metrics["refused"]:
        page.section("Refused", "These scans have no mask.")
        page.table([[one["id"], one["reason"]] for one in metrics["refused"]], ["scan", "reason"])
    page.write(path)


def categories_section(page: Page, metrics: Mapping[str, Any]) -> None:
    """Dice of each category that occurs, and what it must beat."""
    page.section("By category", "Mean Dice of findings, and the share of them with a Dice of .1 or more.")
    others = {who: of["categories"] for who, of in metrics["beside"].items()}
    page.table(
        [
            [
                f"{code} {of['name']}",
                of["findings"],
                plain(of["hit_rate"]),
                plain(of["dice"]),
                *(plain(found.get(code, {}).get("dice")) for found in others.values()),
            ]
            for code, of in metrics["categories"].items()
        ],
        ["category", "findings", "hit rate", "Dice", *(f"Dice, {WHOSE[who]}" for who in others)],
    )


def told(figures: Mapping[str, Any], name: str) -> str:
    """With its interval."""
    value, low, high = (figures.get(f"{name}{end}") for end in ("", "_low", "_high"))
    if value is None or low is None or high is None:
        return plain(value)
    return f"{value:.3f}\u00a0[{low:.3f},\u00a0{high:.3f}]"


def plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"

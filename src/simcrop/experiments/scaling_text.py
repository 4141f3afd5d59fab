"""The curve in words and as a drawing.

No axes or units; rates and AUROCs are in [0, 1].
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simcrop.experiments.extension_text import with_bounds
from simcrop.figures.bars import side_by_side
from simcrop.figures.document import Document
from simcrop.figures.scaling import Point, draw_scaling

TITLE = "More patients, more scans seen"
NOTE = (
    "Every point is a training of its own from scratch, with one seed. Probe: logistic regression on frozen patch "
    "features, their mean and their largest values, always fitted on the same labelled patients and judged on the same "
    "others. Pointing: share of test sentences naming a lesion whose nearest patch touches it. Retrieval: AUROC of a "
    "sentence's own scan against those where it would be false. Of the patients a few are held out of training. "
    "Intervals: 95 % over test patients."
)
FIGURES = {"probe": "probe AUROC", "pointing": "pointing game", "retrieval": "retrieval AUROC"}


def write_texts(out: Path, results: Mapping[str, Any]) -> None:
    """`scaling.md` and `report.html`."""
    points = results["points"]
    scans = ", ".join(f"{part} {count}" for part, count in results["scans"].items())
    caption = f"Scans: {scans}. {len(points)} of {results['planned']} points are measured."
    rows = [
        [
            point["method"],
            f"{point['patients']:,}",
            f"{point['seen']:,}",
            *(with_bounds(found) if (found := figure_of(point, name)) else "-" for name in FIGURES),
        ]
        for point in points
    ]
    heads = ("method", "patients", "scans seen", *FIGURES.values())
    text = Document(TITLE, NOTE, caption)
    usual = sorted({point["seen"] for point in points if point["seen"]})
    most = max((point["patients"] for point in points), default=0)
    for title, axis, chosen in (
        ("Patients", "patients", [p for p in points if usual and p["seen"] == usual[len(usual) // 2]]),
        ("Scans seen", "seen", [p for p in points if p["patients"] == most and p["seen"]]),
    ):
        drawn = [
            draw_scaling(words, lines_of(chosen, axis, name), levels_of(results, name))
            for name, words in FIGURES.items()
        ]
        text.drawn(title, side_by_side(drawn), f"{words_of(axis)} to the right, doubling by doubling")
    text.section("Every point").table(rows, heads)
    text.write(out / "scaling.md", out / "report.html")


def words_of(axis: str) -> str:
    return {"patients": "Patients", "seen": "Scans seen, with repetition,"}[axis]


def figure_of(point: Mapping[str, Any], name: str) -> Mapping[str, float] | None:
    found = point.get(name)
    return found["hit"] if found and name == "pointing" else found


def lines_of(points: list[Mapping[str, Any]], axis: str, name: str) -> dict[str, list[Point]]:
    """Per method, where it has the figure."""
    lines: dict[str, list[Point]] = {}
    for point in points:
        if found := figure_of(point, name):
            at = Point(point[axis], found["value"], found["low"], found["high"])
            lines.setdefault(point["method"], []).append(at)
    return lines


def levels_of(results: Mapping[str, Any], name: str) -> dict[str, float]:
    """What a random start has of it, and, of the probe, what was reached with all labels."""
    levels = {
        point["method"]: found["value"]
        for point in results["points"]
        if not point["seen"] and (found := figure_of(point, name))
    }
    if name == "probe":
        levels |= {reader: found["value"] for reader, found in results.get("ceiling", {}).items()}
    return levels

"""What a pre-trained encoder is worth for masks, in words. No axes; distances in mm."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simcrop.figures.document import Document

TITLE = "Masks from few labels: a pre-trained encoder against a random one"
WORDS = {"dice": "Dice", "hd95_mm": "HD95, mm", "nsd": "surface Dice at 2 mm"}
HEADS = ("class", "pre-trained", "random", "difference", "p, Holm", "scans")


def write_texts(out: Path, results: Mapping[str, Any]) -> None:
    """`segmentation.md` and `report.html`."""
    text = Document(TITLE, note_of(results))
    for measure, found in results["measures"].items():
        rows = [["mean over classes", *cells(found["mean"]), "", ""]]
        rows += [
            [name, *cells(of), p_words(of["p_holm"]), str(of["scans"])]
            for name, of in found["classes"].items()
        ]
        each = ", ".join(f"{value:+.3f}" for value in found["difference_by_seed"])
        by_seed = f"Difference of the means, seed by seed: {each}."
        text.section(WORDS[measure], by_seed).table(rows, HEADS)
    text.write(out / "segmentation.md", out / "report.html")


def note_of(results: Mapping[str, Any]) -> str:
    """What was done, and what came of it, whichever way it fell."""
    plan, apart = results["plan"], results["measures"]["dice"]["mean"]["difference"]
    learned = round(plan["share"] * 0.8 * plan["masks"])
    beyond = "beyond chance" if apart["value_low"] > 0 or apart["value_high"] < 0 else "not beyond chance"
    spacing, share, seeds = plan["spacing"].replace(",", " x "), 100 * plan["share"], len(results["seeds"])
    parts = (
        f"{plan['layout']} phantoms, {spacing} mm: masks are learned from about {learned} patients, {share:g} % of ",
        f"those that could be, in {plan['steps']} steps, and judged on the grid of the files of {results['scans']} ",
        f"others. The encoder was pre-trained for {plan['pretrain_steps']} steps on scans and reports of ",
        f"{plan['reports']} other phantoms, or starts at random; {seeds} seeds, each with its own pre-training, ",
        "its own labelled patients and its own order. Figures are means over seeds, intervals 95 % over patients. ",
        f"Pre-training changes the mean Dice by {apart['value']:+.3f} [{apart['value_low']:+.3f}, ",
        f"{apart['value_high']:+.3f}], {beyond}.",
    )
    return "".join(parts)


def cells(of: Mapping[str, Any]) -> list[str]:
    """Both arms and their difference."""
    return [
        with_bounds(of[name], sign)
        for name, sign in (("pre-trained", ""), ("random", ""), ("difference", "+"))
    ]


def with_bounds(of: Mapping[str, float | None], sign: str) -> str:
    if of["value"] is None or of["value_low"] is None:
        return "-"
    return f"{of['value']:{sign}.3f} [{of['value_low']:{sign}.3f}, {of['value_high']:{sign}.3f}]"


def p_words(p: float | None) -> str:
    return "-" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"

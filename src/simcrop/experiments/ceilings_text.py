"""The ceilings in words: what each reader reaches, finding by finding, beside how large the finding is.

No axes or units; AUROCs are in [0, 1].
"""

from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Any

from simcrop.figures.document import Document

TITLE = "Ceilings: what can be read with labels"
NOTE = (
    "Every reader is taught the labels of the pre-training scans and judged on other patients; nothing is chosen on "
    "them, and each was trained once. A method that learns without labels can hardly see what none of them sees. "
    "Voxels: how many voxels of the input the middle lesion of that kind would fill."
)
SEEN = 0.65  # below it a finding counts as seen by no reader


def write_texts(out: Path, results: Mapping[str, Any]) -> None:
    """`ceiling.md` and `report.html`."""
    ceiling = results["ceiling"]
    scans = ", ".join(f"{part} {count}" for part, count in results["scans"].items())
    macro = [[name, f"{found['value']:.3f}"] for name, found in ceiling.items()]
    rows = []
    for kind, count in results["positives"].items():
        read = [found["labels"][kind] for found in ceiling.values()]
        voxels = results["voxels"].get(kind)
        size = "-" if voxels is None else f"{voxels:.0f}" if voxels >= 10 else f"{voxels:.1f}"
        asked = [value for value in read if not isnan(value)]
        seen = "by none" if asked and max(asked) < SEEN else ""
        rows.append([kind, count, size, *("-" if isnan(value) else f"{value:.2f}" for value in read), seen])
    heads = ("finding", "positive", "voxels", *ceiling, "seen")
    caption = f"Size {results['size']}. Scans: {scans}."
    text = Document(TITLE, NOTE, caption)
    text.section("Macro AUROC").table(macro, ("what reads", "AUROC"))
    text.section("AUROC by finding").table(rows, heads)
    text.write(out / "ceiling.md", out / "report.html")

"""The worst scans and the page, of results written by hand."""

from pathlib import Path

import numpy as np

from simcrop.evaluation.segmentation import ScanScores, judge
from simcrop.figures.page import Page
from simcrop.metrics.segmentation import ClassScore
from simcrop.tasks.segmentation.judged import words_of
from simcrop.tasks.segmentation.page import add_judgement, worst_scans
from simcrop.tasks.segmentation.table import JudgedScan

NAN = float("nan")


def scan(name: str, **dice: float) -> JudgedScan:
    scores = {
        of: ClassScore(NAN, NAN, NAN, 3.0, 0.0, 1.0)
        if np.isnan(value)
        else ClassScore(value, 2.0, 0.5, 3.0, 10.0, 8.0)
        for of, value in dice.items()
    }
    return JudgedScan(ScanScores(name, f"of {name}", scores), "sum")


def test_absent_organs_neither_make_a_scan_worse_nor_better() -> None:
    scans = [
        scan("a", x=0.9, y=NAN),
        scan("b", x=0.5, y=0.7),
        scan("c", x=NAN, y=NAN),
        scan("d", x=0.2, y=0.9),
    ]
    assert [of.scores.study for of in worst_scans(scans)] == ["d", "b", "a"]
    assert [of.scores.study for of in worst_scans(scans, 1)] == ["d"]


def test_page_says_what_was_absent_and_shows_only_the_worst(tmp_path: Path) -> None:
    scans = [scan(f"s{n:02d}", x=0.5 + n / 100, y=NAN) for n in range(12)]
    page = Page("Segmentation")
    png = b"\x89PNG\r\n\x1a\n" + bytes(8) + (10).to_bytes(4, "big") * 2
    add_judgement(
        page, judge([of.scores for of in scans], 0), scans, {"s00": png, "s11": png}, "Judged by some."
    )
    page.write(tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "In none of these scans: y." in html
    assert "Surface Dice at 3 mm" in html
    assert "s00: Dice 0.500" in html
    assert "s11" not in html  # the eleventh worst has no place there
    assert html.count("<img") == 1


def test_progress_names_no_scan() -> None:
    assert words_of(scan("Zebrafinch", x=0.5, y=NAN)) == "Dice 0.500"
    assert words_of(scan("Zebrafinch", x=NAN)) == "none of the classes"

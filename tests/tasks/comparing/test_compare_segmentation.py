"""`simcrop compare` on results of `simcrop segment`, written by hand."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simcrop.evaluation.segmentation import ScanScores
from simcrop.metrics.segmentation import ClassScore
from simcrop.tasks.segmentation.table import TABLE, JudgedScan, read_table, write_table

NAN = float("nan")
ABSENT = ClassScore(NAN, NAN, NAN, 2.0, 0.0, 3.0)


def scans(dice: dict[str, float], truth: str = "sum", count: int = 24) -> list[JudgedScan]:
    """Two scans per patient; the spleen is absent from every fourth, and the first is missed altogether."""
    rng, found = np.random.default_rng(0), []
    for n in range(count):
        off = rng.normal(0, 0.02)
        scores = {
            name: ClassScore(of + off, 4 - 3 * of, of, 2.0, 200.0 + n, 190.0) for name, of in dice.items()
        }
        if "spleen" in dice and n % 4 == 0:
            scores["spleen"] = ABSENT
        if "liver" in dice and n == 1:
            scores["liver"] = replace(scores["liver"], dice=0.0, hd95_mm=NAN, predicted_ml=0.0)
        found.append(JudgedScan(ScanScores(f"scan{n}", f"person{n // 2}", scores), f"{truth}{n}"))
    return found


def result(folder: Path, judged: Iterable[JudgedScan]) -> Path:
    folder.mkdir()
    write_table(folder / TABLE, list(judged))
    (folder / "run.json").write_text(json.dumps({"verb": "segment", "settings": {}}))
    return folder


def test_better_class_is_told_from_the_other_by_paired_differences(simcrop: Callable, tmp_path: Path) -> None:
    good = result(tmp_path / "good", scans({"liver": 0.9, "spleen": 0.8}))
    bad = result(tmp_path / "bad", scans({"liver": 0.9, "spleen": 0.7}))
    table = pl.read_parquet(bad / TABLE)
    assert not set(table["patient"].cast(pl.String)) & {"person1"}
    table.reverse().sort("class", maintain_order=True).write_parquet(
        bad / TABLE
    )  # the order of scans does not matter
    ran = simcrop("compare", good, bad, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err

    found = json.loads((tmp_path / "out/metrics.json").read_text())
    assert (found["scans"], found["patients"]) == (24, 12)
    dice, hd95, _ = found["segmentation"]
    (pair,) = dice["pairs"]
    assert pair["classes"]["spleen"]["difference"] == pytest.approx(0.1)
    assert pair["classes"]["spleen"]["difference_low"] > 0
    assert pair["classes"]["spleen"]["scans"] == 18  # absent organs are in no mean
    # 2 of 2^12 ways are as far, over two classes.
    assert pair["classes"]["spleen"]["p_holm"] == pytest.approx(2 * 2 / 2**12)
    assert pair["classes"]["liver"] == {
        "difference": 0, "difference_low": 0, "difference_high": 0, "p_holm": 1, "scans": 24,
    }  # fmt: skip
    assert pair["mean_difference"] == pytest.approx(0.05)
    assert hd95["pairs"][0]["classes"]["liver"]["scans"] == 23  # a mask that is not there lies nowhere

    page = (tmp_path / "out/report.html").read_text()
    assert "good − bad" in page
    assert "<td>yes</td>" in page
    assert "Surface Dice at 2 mm" in page


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (scans({"liver": 0.9}, count=23), "by different scans"),
        (scans({"spleen": 0.9}), "different classes: liver, and spleen"),
        (scans({"liver": 0.9}, truth="another"), "by another truth"),
    ],
)
def test_results_of_other_scans_classes_or_truth_are_refused(
    simcrop: Callable, tmp_path: Path, other: list[JudgedScan], words: str
) -> None:
    one, two = result(tmp_path / "one", scans({"liver": 0.9})), result(tmp_path / "two", other)
    assert words in simcrop("compare", one, two, "--out", tmp_path / "out").refusal
    assert not (tmp_path / "out").exists()


def test_what_is_no_segmentation_is_refused(simcrop: Callable, tmp_path: Path) -> None:
    one, two = (
        result(tmp_path / "one", scans({"liver": 0.9})),
        result(tmp_path / "two", scans({"liver": 0.9})),
    )
    (two / TABLE).unlink()
    assert "no sound segmentation.parquet" in simcrop("compare", one, two, "--out", tmp_path / "out").refusal
    (two / "run.json").write_text(json.dumps({"verb": "probe", "settings": {}}))
    assert "of one kind" in simcrop("compare", one, two, "--out", tmp_path / "out").refusal


def test_a_table_gives_back_what_was_written(tmp_path: Path) -> None:
    written = scans({"liver": 0.9, "spleen": 0.8}, count=3)
    (back, *_) = read_table(result(tmp_path / "run", written))
    spleen = back.scores.scores["spleen"]
    assert back.scores.study == "scan0"
    assert back.scores.scores["liver"] == written[0].scores.scores["liver"]
    assert np.isnan(spleen.dice)
    assert spleen.false_positive
    assert back.dice == pytest.approx(written[0].scores.scores["liver"].dice)

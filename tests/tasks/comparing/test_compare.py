"""`simcrop compare` on results of `simcrop probe`, written by hand: a table, a page, and refusals."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

SCANS, LABELS = 120, ("Emphysema", "Lung nodule")


def result(folder: Path, signal: float, seeds: int = 1, share: float = 1.0, **changes: Any) -> Path:
    """What a probe leaves of scans of sixty patients; the same truth whatever it scored."""
    folder.mkdir()
    truth = (np.random.default_rng(0).random((SCANS, 2)) < 0.4).astype(int)
    noise = np.random.default_rng(1).normal(size=(SCANS, 2))
    own = np.random.default_rng(int(100 * signal)).normal(size=(seeds, SCANS, 2))
    scores = signal * truth + noise + 0.3 * own
    pl.concat(
        pl.DataFrame(
            {
                "share": share,
                "seed": seed,
                "id": np.repeat([f"scan{i:03}" for i in range(SCANS)], 2),
                "patient": np.repeat(np.arange(SCANS) // 2, 2),
                "label": LABELS * SCANS,
                "score": scores[seed].reshape(-1),
                "truth": truth.reshape(-1),
            }
        ).with_columns(**{name: pl.lit(value) for name, value in changes.items() if name != "split_hash"})
        for seed in range(seeds)
    ).write_parquet(folder / "predictions.parquet")
    (folder / "metrics.json").write_text(
        json.dumps({"split_hash": {"test": changes.get("split_hash", "abc")}})
    )
    return folder


def test_better_method_is_marked_on_page_and_in_figures(simcrop: Callable, tmp_path: Path) -> None:
    good, bad, alike = (
        result(tmp_path / name, signal, seeds)
        for name, signal, seeds in (("good", 2.5, 2), ("bad", 0.5, 1), ("alike", 0.51, 1))
    )
    ran = simcrop("compare", good, bad, alike, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert list(metrics["methods"]) == ["good", "bad", "alike"]
    first, _, last = metrics["pairs"]
    assert first["macro_auroc_difference_low"] > 0
    assert first["labels"]["Emphysema"]["p_holm"] < 0.01
    assert last["macro_auroc_difference_low"] < 0 < last["macro_auroc_difference_high"]
    page = (tmp_path / "out/report.html").read_text()
    assert page.count("▲") == 1 + 1 + 2  # in the text, on average, on each label
    assert page.count("△") == 1


def test_order_of_the_scans_does_not_matter(simcrop: Callable, tmp_path: Path) -> None:
    one, other = result(tmp_path / "one", 2.0), result(tmp_path / "other", 2.0)
    table = pl.read_parquet(other / "predictions.parquet")
    pl.concat(reversed(list(table.iter_slices(2)))).write_parquet(other / "predictions.parquet")
    assert simcrop("compare", one, other, "--out", tmp_path / "out").code == 0
    (pair,) = json.loads((tmp_path / "out/metrics.json").read_text())["pairs"]
    assert pair["macro_auroc_difference"] == pair["macro_auroc_difference_low"] == 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"split_hash": "other"}, "different test patients: their split hashes differ"),
        ({"label": "Cyst"}, "has not one row for each seed, scan and label"),
        ({"truth": 1}, "judged by another truth"),
        ({"share": 0.1}, "no share in common"),
    ],
)
def test_other_scans_are_refused(
    simcrop: Callable, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    one, other = result(tmp_path / "one", 2.0), result(tmp_path / "other", 2.0, **changes)
    ran = simcrop("compare", one, other, "--out", tmp_path / "out")
    assert sentence in ran.refusal
    assert not (tmp_path / "out").exists()


def test_other_scans_of_the_same_patients_are_refused(simcrop: Callable, tmp_path: Path) -> None:
    """Another reconstruction of each has the same patients, labels and truth."""
    one, other = result(tmp_path / "one", 2.0), result(tmp_path / "other", 2.0)
    table = pl.read_parquet(other / "predictions.parquet")
    table.with_columns(pl.col("id") + "_2").write_parquet(other / "predictions.parquet")
    ran = simcrop("compare", one, other, "--out", tmp_path / "out")
    assert "different scans of these patients: their ids differ" in ran.refusal
    assert "scan0" not in ran.refusal
    assert not (tmp_path / "out").exists()


def test_a_difference_that_cannot_be_tested_has_a_dash_for_p(simcrop: Callable, tmp_path: Path) -> None:
    """Scores that are the truth itself, and their opposite: no scan varies."""
    for name, sign in (("one", 1.0), ("other", -1.0)):
        folder = result(tmp_path / name, 2.0)
        table = pl.read_parquet(folder / "predictions.parquet")
        table.with_columns(score=sign * pl.col("truth")).write_parquet(folder / "predictions.parquet")
    ran = simcrop("compare", tmp_path / "one", tmp_path / "other", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    (pair,) = json.loads((tmp_path / "out/metrics.json").read_text())["pairs"]
    assert pair["labels"]["Emphysema"] == {"difference": 1.0, "p_holm": None}
    page = (tmp_path / "out/report.html").read_text()
    assert "<td>–</td>" in page
    assert "A dash for p" in page


def test_what_is_no_probe_is_refused(simcrop: Callable, tmp_path: Path) -> None:
    one, out = result(tmp_path / "one", 2.0), ("--out", tmp_path / "out")
    assert "two results or more" in simcrop("compare", one, *out).refusal
    (tmp_path / "empty").mkdir()
    assert "is no result of `simcrop probe`" in simcrop("compare", one, tmp_path / "empty", *out).refusal
    (one / "metrics.json").unlink()
    two = result(tmp_path / "two", 2.0)
    assert "does not say which scans" in simcrop("compare", one, two, *out).refusal


def test_two_runs_of_one_name_are_told_apart_and_one_given_twice_is_refused(
    simcrop: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, signal in (("a", 2.5), ("b", 0.5)):
        (tmp_path / name).mkdir()
        result(tmp_path / name / "probe", signal)
    (tmp_path / "link").symlink_to("a")
    assert simcrop("compare", "a/probe", "b/probe", "--out", "out").code == 0
    assert list(json.loads(Path("out/metrics.json").read_text())["methods"]) == ["a/probe", "b/probe"]
    for again in ("a/probe", "b/../a/probe", "link/probe"):
        ran = simcrop("compare", "a/probe", "b/probe", again, "--out", "other")
        assert f"{again} is given twice" in ran.refusal
    assert not Path("other").exists()

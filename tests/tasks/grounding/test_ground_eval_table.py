"""`simcrop ground-eval --sentences`: a table of one's own about a cohort with masks, or with levels alone; and two
results compared.
"""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from simcrop.data.store.cohort import open_cohort
from simcrop.evaluation.asking import read_mask, text_of
from simcrop.evaluation.grounding.questions import row_of, side_of
from simcrop.phantom.truth import read_truth
from simcrop.tasks.grounding.ground_eval import GroundEvalOptions, ground_eval

K = 5


@pytest.fixture(scope="module")
def marked(line, mark: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy cohort with its lesions as masks of its own, halved; it no longer knows where it came from."""
    folder = tmp_path_factory.mktemp("marked") / "cohort"
    shutil.copytree(line.cohort, folder, ignore=shutil.ignore_patterns("features", "sentences"))
    truth, table = read_truth(line.raw), pl.read_parquet(folder / "studies.parquet")
    split = (table["patient"].rank("dense") % 2).replace_strict(
        {0: "valid", 1: "train"}, return_dtype=pl.String
    )
    table.with_columns(split.alias("split")).write_parquet(folder / "studies.parquet")
    facts = json.loads((folder / "cohort.json").read_text())
    (folder / "cohort.json").write_text(json.dumps(facts | {"source": "/nowhere"}))
    found = {study.id: read_mask(truth.mask_path(study.id)) for study in open_cohort(folder)}
    masks = {study: mask for study, mask in found.items() if mask.any()}
    highest = max(int(of.max()) for of in masks.values())
    mark(folder, masks, {n: f"finding {n}" for n in range(1, highest + 1)})
    return folder


@pytest.fixture(scope="module")
def rows(line, marked: Path) -> list[dict[str, Any]]:
    """What the truth says, as a table."""
    truth = read_truth(line.raw)
    return [
        {
            "scan": study.id,
            "sentence": text_of(study, of),
            "value": of.mask_value,
            "finding": of.finding,
            "side": of.side or "",
        }
        for study in open_cohort(marked)
        for of in truth.of(study.id)
        if of.shows
    ]


def save(path: Path, rows: list[dict[str, Any]]) -> Path:
    """As JSON, or as a CSV."""
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
        return path
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def table_in(out: Path) -> pl.DataFrame:
    return pl.read_csv(out / "sentences.csv", infer_schema_length=None)


def test_a_table_about_the_cohorts_own_masks_gives_what_the_truth_gives(
    simcrop: Callable, line, marked: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    ground_eval(str(line.run), marked, tmp_path / "truth", GroundEvalOptions(truth=line.raw, top_k=K))
    one = table_in(tmp_path / "truth")
    assert one["hit"].drop_nulls().len() > 10
    for name in ("mine.csv", "mine.json"):
        ending = ".nii.gz" if name == "mine.csv" else ""  # as the files are called
        told = [row | {"scan": row["scan"] + ending} for row in rows]
        strangers = [row | {"scan": "nobody"} for row in rows[:2]]
        words = (
            "--sentences",
            save(tmp_path / name, told + strangers),
            "--top-k",
            K,
            "--out",
            tmp_path / name[5:],
        )
        ran = simcrop("ground-eval", line.run, marked, *words)
        assert ran.code == 0, ran.err
        assert f"2 rows of {tmp_path / name} are about scans that are not in the cohort" in ran.err
        metrics = json.loads((tmp_path / name[5:] / "metrics.json").read_text())
        assert (metrics["rows_of_no_scan"], metrics["tells_all"]) == (2, False)
        other = table_in(tmp_path / name[5:])
        columns = [
            "scan",
            "finding",
            "lesion_ml",
            "hit",
            "recall",
            "cnr",
            "distance_mm",
            "depth_mm",
            "hit_prior",
        ]
        assert one.select(columns).equals(other.select(columns))
    written = b"".join(path.read_bytes() for path in (tmp_path / "csv").iterdir())
    assert not [row for row in rows if row["sentence"].encode() in written or row["scan"].encode() in written]


def test_a_level_is_enough_for_the_depth_error(
    simcrop: Callable, line, marked: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    levels = [{"scan": row["scan"], "sentence": row["sentence"], "level_mm": 12.5} for row in rows]
    words = ("--sentences", save(tmp_path / "mine.csv", levels), "--out", tmp_path / "out")
    ran = simcrop("ground-eval", line.run, marked, *words)
    assert ran.code == 0, ran.err
    assert "pointing" not in ran.out
    assert "depth error" in ran.out
    found = table_in(tmp_path / "out")
    assert found["depth_mm"].null_count() == 0
    assert found["hit"].null_count() == len(found)
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["all"]["hit"]["own"] is None
    assert metrics["all"]["depth_mm"]["own"] == pytest.approx(found["depth_mm"].mean())
    assert metrics["sizes"] == {}


def test_words_that_are_not_told_are_taken_from_the_sentence() -> None:
    row = row_of({"scan": "a", "sentence": " A nodule in the  left lung. ", "value": "3"})
    assert (row["sentence"], row["finding"], row["side"], row["values"]) == (
        "A nodule in the left lung.",
        "Lung nodule",
        "left",
        (3,),
    )
    for told, values in (("5 3 5", (3, 5)), ([2, 1], (1, 2)), (4.0, (4,)), ("0", ()), (None, ()), ("", ())):
        assert row_of({"scan": "a", "sentence": "x", "value": told, "level_mm": 1})["values"] == values
    assert [side_of(text) for text in ("Both lungs.", "Left and right.", "The heart.")] == [
        "both",
        "both",
        "",
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"scan": "a", "sentence": "Secret words."},
        {"scan": "a", "value": 1},
        {"sentence": "Secret words.", "value": 1},
        {"scan": "a", "sentence": "Secret words.", "value": "one"},
        {"scan": "a", "sentence": "Secret words.", "value": -1},
        {"scan": "a", "sentence": "Secret words.", "value": "1 2.5"},
        {"scan": "a", "sentence": "Secret words.", "value": [1, 10**9]},
        {"scan": "a", "sentence": "Secret words.", "value": "1;2"},
        {"scan": "a", "sentence": "", "value": 1},
        {"scan": "a", "sentence": "Secret words.", "level_mm": "inf"},
        {"scan": "a", "sentence": "Secret words.", "value": 1, "side": "up"},
    ],
)
def test_a_row_that_says_too_little_is_named_by_its_number_and_never_by_its_words(
    simcrop: Callable, line, marked: Path, rows: list[dict[str, Any]], row: dict[str, Any], tmp_path: Path
) -> None:
    path = save(tmp_path / "mine.json", [rows[0], row])
    said = simcrop("ground-eval", line.run, marked, "--sentences", path, "--out", tmp_path / "out").refusal
    assert "row 2" in said
    assert "Secret" not in said
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_table_and_a_cohort_of_which_nothing_is_known_are_refused(
    simcrop: Callable, line, marked: Path, tmp_path: Path
) -> None:
    for name, content in (("a.json", b"{"), ("b.csv", b"\xff\xfe\x00"), ("c.json", b"[]"), ("d.csv", b"")):
        (tmp_path / name).write_bytes(content)
        words = ("--sentences", tmp_path / name, "--out", tmp_path / "out")
        assert name in simcrop("ground-eval", line.run, marked, *words).refusal
    assert "--sentences" in simcrop("ground-eval", line.run, marked, "--out", tmp_path / "out").refusal


@pytest.fixture(scope="module")
def result(line, marked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("result") / "first"
    ground_eval(str(line.run), marked, out, GroundEvalOptions(truth=line.raw, top_k=K))
    return out


def worse(result: Path, folder: Path) -> Path:
    """The same result with every pointing hit but the first lost, and depth errors 10 mm larger."""
    shutil.copytree(result, folder)
    table = table_in(folder)
    hits = np.flatnonzero(table["hit"].fill_null(0).to_numpy())
    lost = np.where(np.isin(np.arange(len(table)), hits[1:]), 0.0, table["hit"].fill_null(np.nan).to_numpy())
    table.with_columns(pl.Series("hit", lost).fill_nan(None), pl.col("depth_mm") + 10).write_csv(
        folder / "sentences.csv"
    )
    return folder


def test_two_results_are_compared_sentence_by_sentence(
    simcrop: Callable, result: Path, tmp_path: Path
) -> None:
    other = worse(result, tmp_path / "second")
    ran = simcrop("compare", result, other, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    found = {of["measure"]: of for of in json.loads((tmp_path / "out/metrics.json").read_text())["grounding"]}
    one, two = table_in(result), table_in(other)
    for measure in ("hit", "depth_mm", "cnr"):
        (pair,) = found[measure]["pairs"]
        assert pair["difference"] == pytest.approx((one[measure] - two[measure]).mean(), abs=1e-9)
        assert pair["difference_low"] <= pair["difference"] + 1e-9 <= pair["difference_high"] + 2e-9
    assert found["depth_mm"]["pairs"][0]["difference"] == pytest.approx(-10)
    assert found["cnr"]["pairs"][0]["p_holm"] == 1
    assert found["dice"]["pairs"][0]["sentences"] == 0
    assert "first − second" in (tmp_path / "out/report.html").read_text()


def test_other_sentences_another_k_and_other_verbs_are_not_compared(
    simcrop: Callable, line, marked: Path, result: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(result, tmp_path / "other")
    table = table_in(other)
    table.with_columns(pl.col("lesion_ml") * 2).write_csv(other / "sentences.csv")
    assert "another truth" in simcrop("compare", result, other, "--out", tmp_path / "out").refusal
    table.write_csv(other / "sentences.csv")
    metrics = json.loads((other / "metrics.json").read_text())
    (other / "metrics.json").write_text(json.dumps(metrics | {"top_k": 9}))
    assert "give both --top-k" in simcrop("compare", result, other, "--out", tmp_path / "out").refusal
    (other / "metrics.json").write_text(json.dumps(metrics | {"split_hash": "other"}))
    assert "split hashes differ" in simcrop("compare", result, other, "--out", tmp_path / "out").refusal
    (other / "sentences.csv").unlink()
    assert "no sound sentences.csv" in simcrop("compare", result, other, "--out", tmp_path / "out").refusal
    assert simcrop("audit", line.run, marked, "--out", tmp_path / "audit").code == 0
    assert (
        "results of one kind"
        in simcrop("compare", result, tmp_path / "audit", "--out", tmp_path / "out").refusal
    )

"""`simcrop retrieve` on vectors that were made elsewhere, and on sentences: planted are found, bad refused."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.metrics.retrieval import ranks
from simcrop.tasks.retrieval.fits import drawn
from simcrop.tasks.retrieval.judged import of_sentences

D = 6


@pytest.fixture
def cohort(line, tmp_path: Path) -> Path:
    """All scans in one split."""
    folder = tmp_path / "cohort"
    shutil.copytree(line.cohort, folder, ignore=shutil.ignore_patterns("features", "sentences"))
    table = pl.read_parquet(folder / "studies.parquet").with_columns(pl.lit("valid").alias("split"))
    table.write_parquet(folder / "studies.parquet")
    return folder


def spectre(folder: Path, ids: list[str], texts: bool = True, width: int = D) -> Path:
    """A folder per scan; text and scan of one study point the same way."""
    rng = np.random.default_rng(0)
    for name in ids:
        vector = rng.normal(size=(1, D)).astype(np.float32)
        (folder / name).mkdir(parents=True)
        np.save(folder / name / "image_projection.npy", vector)
        if texts:
            np.save(folder / name / "text_projection.npy", 3 * np.resize(vector, (1, width)))
    return folder


def ids_of(cohort: Path) -> list[str]:
    return open_cohort(cohort).index["id"].to_list()


def table_of(path: Path, ids: list[str]) -> Path:
    vectors = np.random.default_rng(3).normal(size=(len(ids), D))
    pl.DataFrame({"id": ids, "embedding": vectors.tolist()}).write_parquet(path)
    return path


def test_planted_text_vectors_find_their_scans_and_unmatched_ids_are_listed(
    simcrop: Callable, cohort: Path, tmp_path: Path
) -> None:
    made = spectre(tmp_path / "made", [*ids_of(cohort), "another"])
    ran = simcrop("retrieve", made, cohort, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    own = [one for one in metrics["retrieval"] if "any of" not in one["direction"]]
    assert {one["direction"] for one in own} == {"report -> scan", "scan -> report"}
    assert {one["recall_at_1"] for one in own} == {1.0}
    assert len(metrics["scan_to_scan"]) == 2
    assert metrics["unmatched"] == ["another"]
    assert "Single sentences were not asked" in (tmp_path / "out/report.html").read_text()
    assert "typed" not in metrics


def test_scans_alone_look_for_scans_and_the_page_says_what_was_left_out(
    simcrop: Callable, cohort: Path, tmp_path: Path
) -> None:
    made = table_of(tmp_path / "made.parquet", ids_of(cohort))
    ran = simcrop("retrieve", made, cohort, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["retrieval"] == []
    assert len(metrics["scan_to_scan"]) == 2
    assert "Nothing was asked in words" in (tmp_path / "out/report.html").read_text()
    texts = spectre(tmp_path / "texts", ids_of(cohort))
    assert simcrop("retrieve", made, cohort, "--out", tmp_path / "more", "--texts", texts).code == 0
    assert json.loads((tmp_path / "more/metrics.json").read_text())["retrieval"]


def test_cohort_without_reports_has_scan_to_scan(simcrop: Callable, cohort: Path, tmp_path: Path) -> None:
    table = pl.read_parquet(cohort / "studies.parquet")
    table.with_columns(findings=pl.lit(""), impression=pl.lit("")).write_parquet(cohort / "studies.parquet")
    made = spectre(tmp_path / "made", ids_of(cohort))
    assert simcrop("retrieve", made, cohort, "--out", tmp_path / "out").code == 0
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert len(metrics["scan_to_scan"]) == 2
    assert {one["recall_at_1"] for one in metrics["retrieval"]} == {1.0}  # no two texts are alike


def nan(made: Path, ids: list[str]) -> None:
    np.save(made / ids[0] / "image_projection.npy", np.full(D, np.nan))


def wide(made: Path, ids: list[str]) -> None:
    np.save(made / ids[0] / "image_projection.npy", np.zeros(D + 1))


def fewer(made: Path, ids: list[str]) -> None:
    shutil.rmtree(made / ids[0])


def no_text(made: Path, ids: list[str]) -> None:
    (made / ids[0] / "text_projection.npy").unlink()


def nan_text(made: Path, ids: list[str]) -> None:
    np.save(made / ids[0] / "text_projection.npy", np.full(D, np.inf))


def other_space(made: Path, ids: list[str]) -> None:
    for name in ids:
        np.save(made / name / "text_projection.npy", np.zeros(D + 2))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (nan, "NaN or infinite) in 1 of its vectors"),
        (wide, "vectors of several widths: 6, 7"),
        (fewer, "lacks 1 of 14 scans"),
        (no_text, "lacks 1 of 14 scans"),
        (nan_text, "NaN or infinite) in 1 of its vectors"),
        (other_space, "vectors of reports have 8 numbers and those of scans 6"),
    ],
)
def test_vectors_that_cannot_be_used_are_one_line(
    simcrop: Callable, cohort: Path, tmp_path: Path, spoil: Callable, sentence: str
) -> None:
    made = spectre(tmp_path / "made", ids_of(cohort))
    spoil(made, ids_of(cohort))
    assert sentence in simcrop("retrieve", made, cohort, "--out", tmp_path / "out").refusal
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--texts", "nowhere"), "nowhere: no such file or folder"),
        (("--sentence", "A nodule."), "--sentence wants a model"),
        (("--split", "train"), "no study in split 'train'"),
    ],
)
def test_what_features_cannot_answer_is_one_line(
    simcrop: Callable, cohort: Path, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    made = spectre(tmp_path / "made", ids_of(cohort))
    assert sentence in simcrop("retrieve", made, cohort, "--out", tmp_path / "out", *words).refusal


def test_no_labels_and_no_texts_are_nothing_to_look_for(
    simcrop: Callable, cohort: Path, tmp_path: Path
) -> None:
    table = pl.read_parquet(cohort / "studies.parquet")
    table.drop(pl.selectors.starts_with("label:")).write_parquet(cohort / "studies.parquet")
    made = table_of(tmp_path / "made.parquet", ids_of(cohort))
    assert "nothing to look for" in simcrop("retrieve", made, cohort, "--out", tmp_path / "out").refusal
    assert not (tmp_path / "out").exists()


def test_typed_sentence_lists_scans_and_is_written_down_nowhere_but_on_the_page(
    simcrop: Callable, line, cohort: Path, tmp_path: Path
) -> None:
    words = "Umbrageous nodule in the left upper lobe."
    out = tmp_path / "out"
    ran = simcrop("retrieve", line.run, cohort, "--out", out, "--sentence", words, "--most-sentences", "3")
    assert ran.code == 0, ran.err
    rows = [*csv.DictReader((out / "top_scans.csv").read_text().splitlines())]
    assert sorted(row["id"] for row in rows) == sorted(ids_of(cohort))
    assert [float(row["score"]) for row in rows] == sorted(
        (float(row["score"]) for row in rows), reverse=True
    )
    assert words in (out / "report.html").read_text()
    silent = [path for path in out.iterdir() if path.name != "report.html"]
    assert not any(b"mbrageous" in path.read_bytes() for path in silent)
    assert "mbrageous" not in ran.out + ran.err
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["sentences"]["asked"] == 3 < metrics["sentences"]["distinct"]
    of = [one for one in metrics["retrieval"] if one["direction"].startswith("sentence -> scan")]
    assert {one["pool"] for one in of} == {"all volumes", "first volume per study"}
    assert all(one["queries"] == 3 and one["chance_mAP"] > 0 for one in of)
    assert "3 of them drawn with seed 0" in (out / "report.html").read_text()


def toy(patients: list[str], scans: list[str]) -> Cohort:
    index = pl.DataFrame({"id": [f"s{i}" for i in range(len(patients))], "patient": patients, "scan": scans})
    return Cohort(Path("toy"), (1.0, 1.0, 1.0), (-1000.0, 1000.0), index, index)


def test_sentence_finds_any_scan_whose_report_holds_it() -> None:
    """Two sentences in five volumes of four studies, by hand; one that two patients share counts half for each."""
    studies = toy(["a", "a", "b", "c", "d"], ["1", "1", "1", "1", "1"])
    holds = np.array([[True, True, False, True, False], [False, False, True, False, False]])
    scores = np.array([[0.1, 0.2, 0.9, 0.8, 0.0], [0.3, 0.3, 0.3, 0.3, 0.3]])
    every, first = of_sentences(scores, holds, ["x", "y"], studies, 0)
    np.testing.assert_array_equal(ranks(scores, holds), [2, 3])
    assert (every.candidates, every.median_rank) == (5, 2.5)
    assert every.recall[1].value == pytest.approx((0 + 1 / 5) / 2)  # five that tie, one of them right
    assert every.recall[5].value == every.recall[5].low == 1
    assert every.precision is not None
    expected = [(1 / 2 + 2 / 3 + 3 / 4) / 3, (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5]
    assert every.precision.value == pytest.approx(np.mean(expected))
    assert first.candidates == 4  # of the two volumes of a's study the first
    assert every.asked is not None
    np.testing.assert_array_equal(every.asked.patients[0], ["a", "c"])
    weights = every.asked.drawn(0)
    np.testing.assert_allclose(weights.mean(0), 1, atol=0.1)
    assert set(np.unique(weights[:, 0] * 2 % 1)) == {0}


def test_sentences_beyond_the_cap_are_drawn_by_seed_and_keep_their_order() -> None:
    assert drawn(5, 5, 0).tolist() == [0, 1, 2, 3, 4]
    some = drawn(1000, 50, 0)
    assert len(set(some.tolist())) == 50
    assert (np.diff(some) > 0).all()
    assert drawn(1000, 50, 0).tolist() == some.tolist() != drawn(1000, 50, 1).tolist()
    assert len(drawn(7, 0, 0)) == 0

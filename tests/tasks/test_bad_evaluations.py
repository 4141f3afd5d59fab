"""What a probe and its kin cannot use: each in one clear line, exit code 2, and nothing is written."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

ROWS, WIDTH = 24, 5
FEATURES = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).tolist()
IDS = [f"scan{i:02}" for i in range(ROWS)]
NODULE = "label:Lung nodule"


@pytest.fixture
def cohort(toy_cohort: Path, tmp_path: Path) -> Path:
    """Two scans of each patient, half of the patients held out, two labels; no voxel of theirs is there."""
    folder, row = tmp_path / "cohort", np.arange(ROWS)
    shutil.copytree(toy_cohort, folder, ignore=shutil.ignore_patterns("volumes", "features", "sentences"))
    index = pl.read_parquet(folder / "studies.parquet")
    index = index.drop([name for name in index.columns if name.startswith("label:")])
    pl.concat([index.head(1)] * ROWS).with_columns(
        pl.Series("id", IDS),
        pl.Series("patient", [f"Toy^Patient{i // 2}" for i in row]),
        pl.Series("split", np.where(row < ROWS // 2, "train", "valid")),
        pl.Series(NODULE, row // 2 % 2, dtype=pl.Int8),
        pl.Series("label:Emphysema", row // 2 % 3 == 0, dtype=pl.Int8),
    ).write_parquet(folder / "studies.parquet")
    return folder


def change(cohort: Path, *columns: pl.Expr) -> Path:
    table = pl.read_parquet(cohort / "studies.parquet")
    table.with_columns(*columns).write_parquet(cohort / "studies.parquet")
    return cohort


def features(
    folder: Path, ids: Sequence[str] = IDS, rows: object = FEATURES, name: str = "made.parquet"
) -> Path:
    pl.DataFrame({"id": ids, "embedding": rows}, strict=False).write_parquet(folder / name)
    return folder / name


WITH_NAN = [[float("nan"), *FEATURES[0][1:]], *FEATURES[1:]]
BAD_FEATURES = {
    "NaN": (IDS, WITH_NAN, "numbers that are none (NaN or infinite) in 1 of its vectors"),
    "infinite": (IDS, [[float("inf"), *FEATURES[0][1:]], *FEATURES[1:]], "(NaN or infinite) in 1"),
    "a number missing": (IDS, [[None, *FEATURES[0][1:]], *FEATURES[1:]], "(NaN or infinite) in 1"),
    "a vector missing": (IDS, [None, *FEATURES[1:]], "has no numbers for 1 of its ids"),
    "an empty vector": (IDS, [[], *FEATURES[1:]], "has no numbers for 1 of its ids"),
    "other ids": (
        [f"other{i}" for i in range(ROWS)],
        FEATURES,
        "lacks 24 of 24 scans: scan00, scan01, scan02, ...",
    ),
    "two widths": (IDS, [FEATURES[0][:3], *FEATURES[1:]], "vectors of several widths: 3, 5"),
    "fewer rows than scans": (IDS[:-2], FEATURES[:-2], "lacks 2 of 24 scans: scan22, scan23"),
    "an id twice": ([*IDS[:-1], IDS[0]], FEATURES, "several vectors for 1 of its ids"),
    "words": (IDS, [["a", "b"]] * ROWS, "column 'embedding' holds lists of something else than numbers"),
    "lists of lists": (IDS, [[[1.0], [2.0]]] * ROWS, "lists of something else than numbers"),
    "one number": (IDS, [1.0] * ROWS, "wants a column `id` and a column of lists of numbers"),
}


@pytest.mark.parametrize("kind", BAD_FEATURES)
def test_features_that_cannot_be_used(simcrop: Callable, cohort: Path, tmp_path: Path, kind: str) -> None:
    ids, rows, words = BAD_FEATURES[kind]
    ran = simcrop("probe", features(tmp_path, ids, rows), cohort, "--out", tmp_path / "out")
    assert words in ran.refusal
    assert "Toy^" not in ran.refusal
    assert not (tmp_path / "out").exists()


NOT_KNOWN = pl.lit(None, dtype=pl.Int8)
BAD_COHORTS = {
    "fold shares a patient": (
        (
            pl.when(pl.col("id") == "scan23")
            .then(pl.lit("Toy^Patient0"))
            .otherwise("patient")
            .alias("patient"),
        ),
        (),
        "splits 'train' and 'valid' share 1 patients; a patient belongs to one of them only",
    ),
    "fold is the other": ((), ("--test", "train"), "splits 'train' and 'train' share 6 patients"),
    "no scan is labelled": (
        (NOT_KNOWN.alias(NODULE), NOT_KNOWN.alias("label:Emphysema")),
        (),
        "no label can be judged: none has both scans with it and scans without it",
    ),
    "a value of its own": (
        ((pl.col(NODULE) * 2).alias(NODULE),),
        (),
        "label 'Lung nodule' has values beside 1, 0 and nothing",
    ),
    "a word for a label": (
        (pl.lit("yes").alias(NODULE),),
        (),
        "a column of labels holds no numbers",
    ),
    "share too small": (
        (),
        ("--share", "0.1,1"),
        "--share 0.1 leaves 1 of 6 patients to learn from (seed 0), among whom nobody or everybody has Lung nodule",
    ),
    "no such split": ((), ("--test", "held-out"), "no study in split 'held-out'; it has train, valid"),
}


@pytest.mark.parametrize("kind", BAD_COHORTS)
def test_cohort_that_cannot_be_judged(simcrop: Callable, cohort: Path, tmp_path: Path, kind: str) -> None:
    columns, words, sentence = BAD_COHORTS[kind]
    made = features(tmp_path)
    ran = simcrop("probe", made, change(cohort, *columns), *words, "--out", tmp_path / "out")
    assert sentence in ran.refusal
    assert "Toy^" not in ran.refusal
    assert not (tmp_path / "out").exists()


def test_share_that_lacks_many_labels_names_a_few(simcrop: Callable, cohort: Path, tmp_path: Path) -> None:
    change(cohort, *(pl.col(NODULE).alias(f"label:Finding {i}") for i in range(5)))
    ran = simcrop("probe", features(tmp_path), cohort, "--share", "0.1", "--out", tmp_path / "out")
    assert "everybody has Lung nodule, Emphysema, Finding 0 and 4 more labels" in ran.refusal


def test_scan_without_a_label_is_counted_and_left_out(
    simcrop: Callable, cohort: Path, tmp_path: Path
) -> None:
    """Not known is neither yes nor no."""
    unknown = pl.when(pl.col("id") == "scan23").then(None)
    change(cohort, *(unknown.otherwise(pl.col(name)).alias(name) for name in (NODULE, "label:Emphysema")))
    ran = simcrop("probe", features(tmp_path), cohort, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    for label in json.loads((tmp_path / "out/metrics.json").read_text())["labels"].values():
        assert (label["unknown"], label["positives"] + label["negatives"]) == (1, 11)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("{Lung nodul: [Lung nodule]}", "asks the cohort for 'Lung nodul', which it lacks"),
        ("{Lung nodule: [Nodule]}", "asks the probe for 'Nodule', which it lacks"),
        ("[Lung nodule]", "is no label map (labels = ['Lung nodule']"),
    ],
)
def test_label_file_with_a_class_that_nobody_knows(
    simcrop: Callable, cohort: Path, tmp_path: Path, labels: str, words: str
) -> None:
    assert simcrop("probe", features(tmp_path), cohort, "--out", tmp_path / "probe").code == 0
    (tmp_path / "map.yaml").write_text(f"source: ours\ntarget: theirs\nlabels: {labels}\n")
    ran = simcrop(
        *("transfer", tmp_path / "probe", cohort, "--map", tmp_path / "map.yaml", "--out", tmp_path / "out")
    )
    assert words in ran.refusal
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "verb", [("probe", "--no-baselines"), ("retrieve",), ("zero-shot", "--protocol", "ct-clip")]
)
def test_model_whose_preprocessing_is_not_the_cohorts(
    simcrop: Callable, line, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    shutil.copytree(line.cohort, tmp_path / "other", ignore=shutil.ignore_patterns("features", "sentences"))
    facts = json.loads((tmp_path / "other/cohort.json").read_text())
    (tmp_path / "other/cohort.json").write_text(json.dumps(facts | {"antialias": True}))
    number = pl.col("patient").rank("dense")
    change(
        tmp_path / "other",
        pl.when(number % 2 == 0).then(pl.lit("train")).otherwise(pl.lit("valid")).alias("split"),
        (number % 4 < 2).cast(pl.Int8).alias("label:Cardiomegaly"),
    )
    ran = simcrop(*verb[:1], line.run, tmp_path / "other", *verb[1:], "--out", tmp_path / "out")
    assert "was ingested with --antialias" in ran.refusal
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "nearest"), [("ct_clip", "ct-clip"), ("radfinder-3", "radfinder-t3"), ("HLIP", "hlip")]
)
def test_protocol_that_nobody_knows(
    simcrop: Callable, line, cohort: Path, tmp_path: Path, given: str, nearest: str
) -> None:
    ran = simcrop("zero-shot", line.run, cohort, "--protocol", given, "--out", tmp_path / "out")
    assert f"no protocol {given!r}, did you mean {nearest}?" in ran.refusal
    assert not (tmp_path / "out").exists()


def test_file_that_is_neither_model_nor_features(simcrop: Callable, cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "made.csv").write_text("id,1,2\n")
    ran = simcrop("probe", tmp_path / "made.csv", cohort, "--out", tmp_path / "out")
    assert "is neither a model folder nor features" in ran.refusal

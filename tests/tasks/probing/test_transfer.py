"""`simcrop transfer` on a probe and a cohort written by hand: what Fig. 2 shows, and refusals."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simcrop.data.layouts.rad_chestct import CLASSES
from simcrop.evaluation.heads.probe import fit_probe
from simcrop.files.digest import digest_of_files
from simcrop.metrics import auroc
from simcrop.phantom.findings.finding import LABELS
from simcrop.tasks.probing.heads import HEADS, load_heads, save_heads

D, SCANS, FOREIGN = 20, 90, "label:"
SETTINGS = {"pool": "mean", "model": "an encoder"}


def world(seed: int, labels: int, scans: int = SCANS) -> tuple[np.ndarray, np.ndarray]:
    """Features in which every label has a direction of its own."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((scans, labels)) < 0.4).astype(float)
    return truth @ np.eye(D)[:labels] * 2 + rng.normal(size=(scans, D)), truth


@pytest.fixture
def probed(tmp_path: Path) -> Path:
    """A folder with two heads of CT-RATE's labels, whose features were made elsewhere."""
    folder = tmp_path / "probe"
    folder.mkdir()
    features, truth = world(0, 18, 300)
    patients = np.arange(300) // 2
    found = {0.1: [fit_probe(features[:60], truth[:60], patients[:60], 0)], 1.0: []}
    found[1.0] = [fit_probe(features, truth, patients, seed) for seed in (0, 1)]
    learned = {0.1: {f"q{i}" for i in range(30)}, 1.0: {*(f"q{i}" for i in range(149)), "p44"}}
    save_heads(folder / HEADS, found, LABELS, SETTINGS, str(tmp_path / "made.parquet"), learned)
    return folder


@pytest.fixture
def rad(toy_cohort: Path, tmp_path: Path) -> Path:
    """A cohort of RAD-ChestCT's classes, as far as its table goes; its features in `made.parquet`."""
    features, truth = world(1, 18)
    of = {name: truth[:, i] for i, name in enumerate(LABELS)}
    of["Calcification"] = np.maximum(
        of["Arterial wall calcification"], of["Coronary artery wall calcification"]
    )
    index = pl.read_parquet(toy_cohort / "studies.parquet")
    index = index.drop([name for name in index.columns if name.startswith("label:")])
    rows = pl.concat([index.head(1)] * SCANS).with_columns(
        pl.Series("id", [f"scan{i:02}" for i in range(SCANS)]),
        pl.Series("patient", [f"r{i // 2:02}" for i in range(SCANS)]),
        *(pl.Series(f"label:{name}", of[name], dtype=pl.Int8) for name in CLASSES),
    )
    cohort = tmp_path / "rad"
    cohort.mkdir()
    for file in toy_cohort.iterdir():
        if file.is_file():
            (cohort / file.name).write_bytes(file.read_bytes())
    rows.write_parquet(cohort / "studies.parquet")
    vectors = pl.Series("embedding", features, dtype=pl.Array(pl.Float64, D))
    pl.DataFrame({"id": rows["id"]}).with_columns(vectors).write_parquet(tmp_path / "made.parquet")
    return cohort


def test_heads_of_ct_rate_are_judged_on_the_classes_of_rad_chestct(
    simcrop: Callable, probed: Path, rad: Path, tmp_path: Path
) -> None:
    ran = simcrop("transfer", probed, rad, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert list(metrics["labels"]) == list(CLASSES)
    assert metrics["macro_auroc"] > 0.85
    assert (metrics["seeds"], metrics["share"], metrics["patients"]["test"]) == (2, 1.0, SCANS // 2)
    assert set(metrics["label_map"]["dropped"]) == {"Mosaic attenuation pattern"}
    assert [name.split(",")[0] for name in metrics["beside"]] == [
        "Arterial wall calcification",
        "Coronary artery wall calcification",
    ]
    table, heads = pl.read_parquet(tmp_path / "out/predictions.parquet"), load_heads(probed)
    index = pl.read_parquet(rad / "studies.parquet")
    features = np.stack(pl.read_parquet(tmp_path / "made.parquet")["embedding"].to_numpy())
    two = [LABELS.index(name.split(",")[0]) for name in metrics["beside"]]
    expected = [
        auroc(each.scores(features)[:, two].max(1), index["label:Calcification"].to_numpy())
        for each in heads.probes
    ]
    assert metrics["labels"]["Calcification"]["auroc"] == pytest.approx(np.mean(expected))
    assert metrics["labels"]["Calcification"]["threshold"] is None
    assert table.height == 2 * SCANS * 16
    page = (tmp_path / "out/report.html").read_text()
    assert "RAD-ChestCT has no such abnormality" in page
    assert "The broken line is chance" in page


def named_anew(cohort: Path, name: str) -> None:
    """The last patient is called so."""
    rows = pl.read_parquet(cohort / "studies.parquet")
    of = pl.when(pl.col("patient") == "r44").then(pl.lit(name)).otherwise("patient")
    rows.with_columns(of.alias("patient")).write_parquet(cohort / "studies.parquet")


def test_patients_whom_the_heads_were_fitted_on_do_not_judge_them(
    simcrop: Callable, probed: Path, rad: Path, tmp_path: Path
) -> None:
    """The share decides: the heads of a tenth did not see this one."""
    named_anew(rad, "p44")
    ran = simcrop("transfer", probed, rad, "--out", tmp_path / "out")
    assert "the heads were fitted on 1 of the patients to be judged" in ran.refusal
    assert "p44" not in ran.refusal
    assert "--unrelated says that they are other people" in ran.refusal
    assert not (tmp_path / "out").exists()
    assert b"q1" not in (probed / HEADS).read_bytes()[:20_000].split(b'"patients')[-1]
    ran = simcrop("transfer", probed, rad, "--share", "0.1", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    note = json.loads((tmp_path / "out/metrics.json").read_text())["note"]
    assert "no patient judged here has the name of one whom the heads were fitted on" in note


def test_equal_names_of_two_cohorts_may_be_two_people(
    simcrop: Callable, probed: Path, rad: Path, tmp_path: Path
) -> None:
    """Of another cohort that is believed and repeated; in the heads' own cohort a name is one person."""
    named_anew(rad, "p44")
    ran = simcrop("transfer", probed, rad, "--unrelated", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    note = json.loads((tmp_path / "out/metrics.json").read_text())["note"]
    assert (
        "1 of the patients judged here have the name of one whom the heads were fitted on: said to be others"
        in note
    )
    heads = load_heads(probed)
    own = SETTINGS | {"cohort": digest_of_files(rad / "studies.parquet")}
    save_heads(probed / HEADS, {1.0: heads.probes}, LABELS, own, heads.source, {1.0: ["p44"]})
    refusal = simcrop("transfer", probed, rad, "--unrelated", "--out", tmp_path / "again").refusal
    assert "the heads were fitted on 1 of the patients to be judged" in refusal
    assert "unrelated" not in refusal


def test_heads_that_do_not_say_whom_they_learned_from_are_judged_with_a_note(
    simcrop: Callable, probed: Path, rad: Path, tmp_path: Path
) -> None:
    heads = load_heads(probed)
    found = {1.0: heads.probes}
    save_heads(probed / HEADS, found, LABELS, SETTINGS, str(tmp_path / "made.parquet"))
    ran = simcrop("transfer", probed, rad, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    note = json.loads((tmp_path / "out/metrics.json").read_text())["note"]
    assert "whether the heads were fitted on these patients is not known" in note


def test_share_and_split_are_those_asked_for(
    simcrop: Callable, probed: Path, rad: Path, tmp_path: Path
) -> None:
    ran = simcrop("transfer", probed, rad, "--share", "0.1", "--split", "nowhere", "--out", tmp_path / "out")
    assert "no study in split 'nowhere'" in ran.refusal
    assert simcrop("transfer", probed, rad, "--share", "0.1", "--out", tmp_path / "out").code == 0
    assert json.loads((tmp_path / "out/metrics.json").read_text())["seeds"] == 1
    assert (
        "has no share 0.3; it has 0.1, 1"
        in simcrop("transfer", probed, rad, "--share", "0.3", "--out", tmp_path / "other").refusal
    )


def test_features_of_another_width_and_folders_without_heads_are_refused(
    simcrop: Callable, probed: Path, rad: Path, tmp_path: Path
) -> None:
    table = pl.read_parquet(tmp_path / "made.parquet").with_columns(
        pl.col("embedding").arr.to_list().list.head(7)
    )
    table.write_parquet(tmp_path / "narrow.parquet")
    words = ("transfer", probed, rad, "--model", tmp_path / "narrow.parquet", "--out", tmp_path / "out")
    assert "read 20 features, these are 7" in simcrop(*words).refusal
    assert not (tmp_path / "out").exists()
    assert (
        "is no result of `simcrop probe`" in simcrop("transfer", rad, rad, "--out", tmp_path / "out").refusal
    )
    (probed / HEADS).write_bytes(b"torn")
    assert (
        "is no result of `simcrop probe`"
        in simcrop("transfer", probed, rad, "--out", tmp_path / "out").refusal
    )


def test_heads_come_back_as_they_were(probed: Path) -> None:
    features, truth = world(0, 18, 300)
    again = fit_probe(features, truth, np.arange(300) // 2, 1)
    found = load_heads(probed)
    assert (found.labels, found.pool, found.model, found.share) == (list(LABELS), "mean", "an encoder", 1.0)
    np.testing.assert_array_equal(found.probes[1].scores(features), again.scores(features))
    np.testing.assert_array_equal(found.probes[1].thresholds, again.thresholds)

"""`simcrop probe` from the command line: figures, predictions, refusals, and features computed once."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from torch import Tensor

from simcrop.data.store.cohort import open_cohort
from simcrop.evaluation.heads.views import VIEWS
from simcrop.files.digest import digest_of_files
from simcrop.metrics import auroc
from simcrop.model import Model, load
from simcrop.tasks.features.cohort_features import kept_features
from simcrop.tasks.probing.probe import ProbeOptions


def read(path: Path) -> dict[str, Any]:
    """As strict JSON, in which NaN has no place."""
    return json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(word))


@dataclass(frozen=True)
class Halves:
    """A cohort of which half the patients are held out, and a model that says it comes from the other half."""

    cohort: Path
    run: Path

    def studies(self, split: str) -> pl.DataFrame:
        return pl.read_parquet(self.cohort / "studies.parquet").filter(pl.col("split") == split)


@pytest.fixture(scope="module")
def halves(line, tmp_path_factory: pytest.TempPathFactory) -> Halves:

    def split(table: pl.DataFrame) -> pl.DataFrame:
        number = pl.col("patient").rank("dense") - 1
        return table.with_columns(
            pl.when(number % 2 == 0).then(pl.lit("train")).otherwise(pl.lit("valid")).alias("split"),
            (number % 4 < 2).cast(pl.Int8).alias("label:Cardiomegaly"),
        )

    home = tmp_path_factory.mktemp("halves")
    cohort = changed(line.cohort, home / "cohort", split)
    shutil.copytree(line.run / "model", home / "model")
    config = read(home / "model/config.json")
    config["provenance"]["cohort"] = digest_of_files(cohort / "studies.parquet")
    (home / "model/config.json").write_text(json.dumps(config))
    return Halves(cohort, home / "model")


def changed(cohort: Path, folder: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Path:
    """The cohort with another table of studies."""
    shutil.copytree(cohort, folder, ignore=shutil.ignore_patterns("features", "sentences"))
    table = pl.read_parquet(folder / "studies.parquet")
    change(table).write_parquet(folder / "studies.parquet")
    return folder


@pytest.fixture(scope="module")
def probed(halves: Halves, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from simcrop.tasks.probing.probe import probe

    out = tmp_path_factory.mktemp("probe") / "out"
    probe(str(halves.run), halves.cohort, out, ProbeOptions(seed=3))
    return out


def test_figures_say_what_was_judged_by_whom(halves: Halves, probed: Path) -> None:
    metrics = read(probed / "metrics.json")
    train, test = halves.studies("train"), halves.studies("valid")
    assert metrics["scans"] == {"train": train.height, "test": test.height}
    (fitted,) = metrics["shares"]["1"]["probes"]
    assert (fitted["seed"], fitted["scans"], fitted["view"] in VIEWS) == (3, train.height, True)
    assert [metrics[name] for name in ("seed", "seeds", "pool", "head")] == [3, 1, "mean", "logistic"]
    joined = "\n".join(sorted(set(test["patient"])))
    assert metrics["split_hash"]["test"] == hashlib.sha256(joined.encode()).hexdigest()
    assert len(metrics["labels"]) == 18
    judged = [label["auroc"] for label in metrics["labels"].values() if label["auroc"] is not None]
    assert len(metrics["labels_absent"]) == 18 - len(judged)
    assert metrics["macro_auroc"] == pytest.approx(np.mean(judged))
    for label in metrics["labels"].values():
        assert label["positives"] + label["negatives"] + label["unknown"] == test.height
    assert "has none of the test patients" in metrics["note"]
    run = read(probed / "run.json")
    assert (run["verb"], run["settings"]["train"], run["settings"]["test"]) == ("probe", "train", "valid")


def test_predictions_hold_a_row_per_scan_and_label_and_give_the_same_figures(
    halves: Halves, probed: Path
) -> None:
    table = pl.read_parquet(probed / "predictions.parquet")
    test, metrics = halves.studies("valid"), read(probed / "metrics.json")
    assert table.columns == ["share", "seed", "id", "patient", "label", "score", "truth"]
    assert table["patient"].dtype == pl.Int64  # a number, no name
    assert table.height == test.height * 18
    assert set(table["id"]) == set(test["id"])
    for (name,), rows in table.group_by("label"):
        truth = test.select("id", pl.col(f"label:{name}").alias("truth"))
        assert rows.select("id", "truth").equals(truth)
        again = auroc(rows["score"].cast(pl.Float64).to_numpy(), rows["truth"].to_numpy())
        expected = metrics["labels"][name]["auroc"]
        assert again == pytest.approx(expected) if expected is not None else np.isnan(again)


def test_features_are_those_of_embed_and_computed_once(
    simcrop: Callable, halves: Halves, probed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, cohort = load(halves.run), open_cohort(halves.cohort)
    one_by_one = {p: model.embed(cohort[3].volume(), p) for p in ("mean", "max")}
    monkeypatch.setattr(Model, "features_of", lambda *_: pytest.fail("computed again"))
    for pool, expected in one_by_one.items():
        np.testing.assert_allclose(kept_features(halves.run, cohort, pool)[3], expected, atol=1e-5)
    ran = simcrop("probe", halves.run, halves.cohort, "--out", tmp_path / "out", "--seed", "3")
    assert ran.code == 0
    assert ran.out.startswith("macro AUROC 0.") or ran.out.startswith("macro AUROC 1.")
    assert read(tmp_path / "out/metrics.json") == read(probed / "metrics.json")


def test_killed_probe_goes_on_with_the_features_that_it_lacks(
    simcrop: Callable, halves: Halves, probed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = changed(halves.cohort, tmp_path / "fresh", lambda table: table)
    passes: list[int] = []
    real = Model.features_of

    def stop_once(self: Model, volumes: Tensor) -> Tensor:
        passes.append(len(volumes))
        if len(passes) == 3:
            raise KeyboardInterrupt
        return real(self, volumes)

    monkeypatch.setattr("simcrop.tasks.features.scan_vectors.AT_ONCE", 4)
    monkeypatch.setattr(Model, "features_of", stop_once)
    words = ("probe", halves.run, fresh, "--out", tmp_path / "out", "--seed", "3", "--no-baselines")
    assert simcrop(*words).code == 130
    assert not (tmp_path / "out").exists()
    assert simcrop(*words).code == 0
    assert sum(passes) == len(open_cohort(fresh)) + 4  # the pass that was interrupted, twice
    again, before = (read(out / "metrics.json") for out in (tmp_path / "out", probed))
    assert again["macro_auroc"] == pytest.approx(before["macro_auroc"], abs=1e-3)


def test_random_start_and_label_frequency_stand_beside_the_model(halves: Halves, probed: Path) -> None:
    """The random start is the same encoder with other weights; whoever knows frequencies alone ranks at one half."""
    baselines = read(probed / "metrics.json")["baselines"]
    assert baselines["label frequency"]["macro_auroc"] == 0.5
    assert 0 < baselines["random start"]["macro_auroc"] < 1
    cohort = open_cohort(halves.cohort)
    trained, blind = (kept_features(halves.run, cohort, "mean", seed) for seed in (None, 3))
    assert blind.shape == trained.shape
    assert not np.allclose(blind, trained)


def test_shares_and_seeds_in_one_call(simcrop: Callable, halves: Halves, tmp_path: Path) -> None:
    words = ("--pool", "max", "--share", "0.8,1", "--seeds", "2", "--seed", "3", "--no-baselines")
    ran = simcrop("probe", halves.run, few_labels(halves, tmp_path), "--out", tmp_path / "out", *words)
    assert ran.code == 0, ran.err
    assert ran.out.count("macro AUROC") == 2
    metrics, patients = read(tmp_path / "out/metrics.json"), halves.studies("train")["patient"].n_unique()
    part, whole = metrics["shares"]["0.8"]["probes"], metrics["shares"]["1"]["probes"]
    assert [each["seed"] for each in part] == [each["seed"] for each in whole] == [3, 4]
    assert [each["patients"] for each in part + whole] == [round(0.8 * patients)] * 2 + [patients] * 2
    assert len({each["split_hash"] for each in part + whole}) == 3  # other patients for each seed
    assert metrics["macro_auroc"] == metrics["shares"]["1"]["macro_auroc"]
    assert list(metrics["baselines"]) == ["label frequency"]
    table = pl.read_parquet(tmp_path / "out/predictions.parquet")
    for share, seed in [(0.8, 3), (0.8, 4), (1.0, 3), (1.0, 4)]:
        assert table.filter(share=share, seed=seed).height == table.height / 4
    page = (tmp_path / "out/report.html").read_text()
    assert "80 % of the training patients" in page
    assert "Cardiomegaly" in page


def few_labels(halves: Halves, folder: Path) -> Path:
    """The cohort with the one label that every second patient of both halves has."""

    def strip(table: pl.DataFrame) -> pl.DataFrame:
        named = [name for name in table.columns if name.startswith("label:")]
        return table.drop(name for name in named if name != "label:Cardiomegaly")

    return changed(halves.cohort, folder / "few", strip)


def test_groups_of_a_column_are_judged_apart(simcrop: Callable, halves: Halves, tmp_path: Path) -> None:
    """Of a table joined by id; the toy cohort has too few scans for a figure, and the counts say so."""
    test = halves.studies("valid")
    table = tmp_path / "clinic.csv"
    pl.DataFrame({"id": test["id"][1:], "kernel": ["soft", *["sharp"] * (test.height - 2)]}).write_csv(table)
    words = ("--by", "kernel", "--table", table, "--by", "split", "--no-baselines")
    ran = simcrop("probe", halves.run, halves.cohort, "--out", tmp_path / "out", *words)
    assert ran.code == 0, ran.err
    found = [(row["column"], row["value"], row["scans"]) for row in read(tmp_path / "out/metrics.json")["by"]]
    sharp, all_of_it = test.height - 2, test.height
    assert found == [
        ("kernel", "sharp", sharp),
        ("kernel", "soft", 1),
        ("kernel", "not stated", 1),
        ("split", "valid", all_of_it),
    ]
    assert "Subgroups" in (tmp_path / "out/report.html").read_text()


def test_features_made_elsewhere_are_judged_as_a_models_own(
    simcrop: Callable, halves: Halves, probed: Path, tmp_path: Path
) -> None:
    """Ours, written as another's: the same figures, joined by id in another order, a scan too many listed."""
    cohort = open_cohort(halves.cohort)
    ids, vectors = cohort.index["id"].to_list(), kept_features(halves.run, cohort, "mean")
    made = tmp_path / "made"
    made.mkdir()
    for name, vector in [*zip(ids, vectors, strict=True), ("stranger", vectors[0])]:
        np.savez(made / f"{name}.nii.gz.npz", embedding=vector)
    words = ("probe", made, halves.cohort, "--out", tmp_path / "out", "--seed", "3")
    ran = simcrop(*words)
    assert ran.code == 0, ran.err
    metrics, own = read(tmp_path / "out/metrics.json"), read(probed / "metrics.json")
    assert metrics["macro_auroc"] == own["macro_auroc"]
    assert metrics["unmatched"] == ["stranger"]
    assert list(metrics["baselines"]) == ["label frequency"]  # there is no encoder to start anew
    assert "made elsewhere" in metrics["note"]
    (made / f"{ids[0]}.nii.gz.npz").unlink()
    assert f"lacks 1 of {len(ids)} scans: {ids[0]}" in simcrop(*words[:-3], tmp_path / "again").refusal


def refusal(
    simcrop: Callable, halves: Halves, tmp_path: Path, *words: object, cohort: Path | None = None
) -> str:
    message = simcrop("probe", halves.run, cohort or halves.cohort, "--out", tmp_path / "out", *words).refusal
    assert not (tmp_path / "out").exists()
    return message


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--test", "train"), "splits 'train' and 'train' share"),
        (("--train", "valid", "--test", "train"), "the training of this model and the test split share"),
        (("--test", "nowhere"), "no study in split 'nowhere'; it has train, valid"),
        (("--share", "0"), "--share wants more than 0"),
        (("--share", "0.01"), "--share 0.01 leaves 1 of 6 patients to learn from"),
        (("--share", "1,none"), "--share wants numbers with commas between"),
        (("--pool", "median"), "--pool wants mean or max, got 'median'"),
        (("--by", "age"), "--by age: no such column in"),
        (("--by", "findings"), "--by findings: tells single patients or holds text of theirs"),
        (("--by", "age", "--table", "nowhere.csv"), "nowhere.csv cannot be read as a CSV table"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    simcrop: Callable, halves: Halves, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    message = refusal(simcrop, halves, tmp_path, *words)
    assert sentence in message
    assert "train_1" not in message  # patients are counted, never named


def test_cohort_without_labels_is_refused(simcrop: Callable, halves: Halves, tmp_path: Path) -> None:
    bare = changed(
        halves.cohort, tmp_path / "bare", lambda table: table.drop(pl.selectors.starts_with("label:"))
    )
    assert "no labels" in refusal(simcrop, halves, tmp_path, cohort=bare)


def test_model_from_another_cohort_is_said_to_be_and_unknown_labels_are_counted(
    simcrop: Callable, halves: Halves, tmp_path: Path
) -> None:
    def forget(table: pl.DataFrame) -> pl.DataFrame:
        first = pl.int_range(pl.len()).over("split") == 0
        return table.with_columns(
            pl.when(first).then(None).otherwise(pl.col("label:Cardiomegaly")).alias("label:Cardiomegaly")
        )

    other = changed(halves.cohort, tmp_path / "other", forget)
    assert simcrop("probe", halves.run, other, "--out", tmp_path / "out").code == 0
    metrics = read(tmp_path / "out/metrics.json")
    assert "from another cohort" in metrics["note"]
    assert metrics["labels"]["Cardiomegaly"]["unknown"] == 1
    table = pl.read_parquet(tmp_path / "out/predictions.parquet").filter(pl.col("label") == "Cardiomegaly")
    assert table["truth"].null_count() == 1


def test_split_in_which_no_label_varies_is_refused(simcrop: Callable, halves: Halves, tmp_path: Path) -> None:
    def all_healthy(table: pl.DataFrame) -> pl.DataFrame:
        return table.with_columns(pl.selectors.starts_with("label:") * 0)

    dull = changed(halves.cohort, tmp_path / "dull", all_healthy)
    assert "no label can be judged" in refusal(simcrop, halves, tmp_path, cohort=dull)

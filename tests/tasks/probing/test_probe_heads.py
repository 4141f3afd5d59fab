"""`simcrop probe --head ...` on cohorts and features written by hand: three heads, classes that exclude one another,
fits that go on after a kill, transfer, comparison, and refusals.

Axes: s scan (90 of 45 patients), n token, d features.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, roc_auc_score

from simcrop.evaluation.heads import training as head_training
from simcrop.tasks.probing import fits as probe_fits
from simcrop.tasks.probing.heads import load_heads

SCANS, D = 90, 9
CLASSES, FINDINGS = ("Normal", "CP", "NCP"), ("Emphysema", "Atelectasis")
QUICK = "{batch: 16, lr: 1.0e-2, steps: 40, warmup: 4, patience: 5}"


def one_hot() -> np.ndarray:
    return np.eye(3, dtype=int)[np.random.default_rng(0).integers(0, 3, SCANS)]


def read(path: Path) -> dict[str, Any]:
    """As strict JSON, in which NaN has no place."""
    return json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(word))


def tokens_in(folder: Path, truth: np.ndarray, n: int = 12, key: str = "features") -> Path:
    """A file per scan as tools for slides write it; one token of each says the first label, and how many differs."""
    h5py = pytest.importorskip("h5py")
    folder.mkdir()
    rng = np.random.default_rng(5)
    for i, row in enumerate(truth):
        tokens = rng.normal(size=(n + i % 3, D)).astype(np.float32)
        tokens[rng.integers(n), :2] = 9, 6 * row[0] - 3
        with h5py.File(folder / f"scan{i:02}.h5", "w") as file:
            file[key] = tokens if key == "features" else tokens[0]
    return folder


@pytest.mark.parametrize("head", ["logistic", "linear", "attention"])
def test_classes_are_one_task_for_every_head(simcrop: Callable, ccii: Any, tmp_path: Path, head: str) -> None:
    """Figures of the file against scikit-learn's of the predictions."""
    features = tokens_in(tmp_path / "tokens", ccii.truth) if head == "attention" else ccii.features
    settings = () if head == "logistic" else ("--settings", ccii.settings)
    words = ("probe", features, ccii.cohort, "--head", head, *settings, "--seed", "3")
    ran = simcrop(*words, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    metrics, table = (
        read(tmp_path / "out/metrics.json"),
        pl.read_parquet(tmp_path / "out/predictions.parquet"),
    )
    scores, truth = (table[name].to_numpy().reshape(-1, 3) for name in ("score", "truth"))
    np.testing.assert_allclose(scores.sum(1), 1)
    classes, decided = truth.argmax(1), scores.argmax(1)
    assert (metrics["head"], metrics["labels_exclusive"]) == (head, True)
    assert metrics["accuracy"] == pytest.approx(accuracy_score(classes, decided))
    assert metrics["accuracy_low"] <= metrics["accuracy"] <= metrics["accuracy_high"]
    assert metrics["confusion"]["classes"] == list(CLASSES)
    np.testing.assert_allclose(metrics["confusion"]["scans"], confusion_matrix(classes, decided))
    each = roc_auc_score(classes, scores, multi_class="ovr", average=None)
    np.testing.assert_allclose([label["auroc"] for label in metrics["labels"].values()], each)
    assert metrics["macro_auroc"] == pytest.approx(np.mean(each))
    assert metrics["baselines"]["label frequency"]["macro_auroc"] == 0.5
    assert f"accuracy {metrics['accuracy']:.3f}" in ran.out
    page = (tmp_path / "out/report.html").read_text()
    assert "named NCP" in page
    assert f"{metrics['confusion']['scans'][0][0]:.4g} (" in page
    assert "learned from" in page
    if head != "attention":
        assert metrics["accuracy"] > 0.6


def test_labels_of_other_layouts_are_taken_one_by_one_and_the_user_may_say_otherwise(
    simcrop: Callable, ccii: Any, findings: Any, made: Callable, toy_cohort: Path, tmp_path: Path
) -> None:
    own = made(toy_cohort, tmp_path / "own", CLASSES, one_hot(), "folder")
    for name, of, flags, one_task in [
        ("a", findings, (), False),
        ("b", ccii, ("--not-exclusive",), False),
        ("c", own, (), False),
        ("d", own, ("--exclusive",), True),
    ]:
        ran = simcrop("probe", of.features, of.cohort, "--out", tmp_path / name, *flags)
        assert ran.code == 0, ran.err
        metrics = read(tmp_path / name / "metrics.json")
        assert (metrics["labels_exclusive"], "accuracy" in metrics) == (one_task, one_task)
        assert (metrics["labels"].popitem()[1]["threshold"] is None) == one_task


def test_cohort_whose_scans_have_two_classes_is_refused(
    simcrop: Callable, made: Callable, toy_cohort: Path, tmp_path: Path
) -> None:
    truth = one_hot()
    truth[1], truth[2] = [1, 1, 0], [0, 0, 0]
    odd = made(toy_cohort, tmp_path / "odd", CLASSES, truth, "cc-ccii")
    message = simcrop("probe", odd.features, odd.cohort, "--out", tmp_path / "out").refusal
    assert "scans have several and" in message
    assert "--not-exclusive takes each label by itself" in message
    assert "scan0" not in message
    assert not (tmp_path / "out").exists()


def test_linear_head_says_whose_settings_it_took_and_how_it_went(
    simcrop: Callable, findings: Any, tmp_path: Path
) -> None:
    """RAD-ChestCT has rows for 10 and 100 %: half the patients take the nearest, and both places say so."""
    words = ("probe", findings.features, findings.cohort, "--head", "linear", "--share", "0.5,1")
    ran = simcrop(*words, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    metrics = read(tmp_path / "out/metrics.json")
    half, whole = metrics["shares"]["0.5"]["settings"], metrics["shares"]["1"]["settings"]
    assert (half["own"], whole["own"]) == (False, True)
    assert whole["batch"] == 128  # more than there are scans
    page = (tmp_path / "out/report.html").read_text()
    for words_of in (half["whose"], whole["whose"]):
        assert words_of in page
    (fitted,) = metrics["shares"]["1"]["probes"]
    assert fitted["steps"] <= whole["steps"]
    assert fitted["ended_by"] in {"steps", "patience"}
    assert metrics["macro_auroc"] > 0.8
    assert all(label["threshold"] is not None for label in metrics["labels"].values())


def test_killed_probe_does_not_fit_again_what_was_fitted(
    simcrop: Callable, findings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit what an unbroken run gives; nothing is left in the cohort."""
    words = (*findings.words, "linear", "--share", "0.7,1", "--seeds", "2")
    assert simcrop(*words, "--out", tmp_path / "whole").code == 0
    real, seeds = head_training.fit_trained, list[int]()

    def stop_at_third(*arguments: Any, **named: Any) -> Any:
        seeds.append(arguments[4])
        if len(seeds) == 3:
            raise KeyboardInterrupt
        return real(*arguments, **named)

    monkeypatch.setattr(probe_fits, "fit_trained", stop_at_third)
    assert simcrop(*words, "--out", tmp_path / "out").code == 130
    assert not (tmp_path / "out").exists()
    assert len(list(findings.cohort.glob("features/*.fits/*"))) == 2
    assert simcrop(*words, "--out", tmp_path / "out").code == 0
    assert seeds == [0, 1, 0, 0, 1]  # the third once more, the first two not
    assert not list(findings.cohort.glob("features/*.fits"))
    for name in ("predictions.parquet", "metrics.json", "heads.safetensors", "report.html"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize("change", [("--seed", "1"), ("--head", "attention"), ("--settings", "luna16")])
def test_heads_of_other_settings_are_never_taken_for_these(
    simcrop: Callable,
    findings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str],
) -> None:
    features, fitted = tokens_in(tmp_path / "tokens", findings.truth), list[int]()
    real = head_training.fit_trained

    def stop_at(number: int) -> Callable[..., Any]:
        def fit(*arguments: Any, **named: Any) -> Any:
            fitted.append(arguments[4])
            if len(fitted) == number:
                raise KeyboardInterrupt
            return real(*arguments, **named)

        return fit

    words = ("probe", features, findings.cohort, "--out", tmp_path / "out", "--seeds", "2")
    before = ("--head", "linear", "--settings", findings.settings, "--seed", "0")
    monkeypatch.setattr(probe_fits, "fit_trained", stop_at(2))
    assert simcrop(*words, *before).code == 130
    fitted.clear()
    assert simcrop(*words, *before, *change).code == 130
    assert len(fitted) == 2


def test_heads_come_back_to_the_bit_and_are_transferred(
    simcrop: Callable, ccii: Any, findings: Any, tmp_path: Path
) -> None:
    for name, of, features in [
        ("linear", ccii, ccii.features),
        ("logistic", ccii, ccii.features),
        ("attention", findings, tokens_in(tmp_path / "tokens", findings.truth)),
    ]:
        settings = () if name == "logistic" else ("--settings", of.settings)
        words = ("probe", features, of.cohort, "--head", name, *settings)
        assert simcrop(*words, "--out", tmp_path / name).code == 0
        ran = simcrop(
            "transfer", tmp_path / name, of.cohort, "--split", "valid", "--out", tmp_path / f"{name}-on"
        )
        assert ran.code == 0, ran.err
        scores = [
            pl.read_parquet(tmp_path / folder / "predictions.parquet")["score"]
            for folder in (name, f"{name}-on")
        ]
        assert scores[0].equals(scores[1])
        heads = load_heads(tmp_path / name)
        assert (heads.head, heads.probes[0].exclusive) == (name, of is ccii)
    whole = ("transfer", tmp_path / "logistic", ccii.cohort, "--out", tmp_path / "refused")
    assert "the heads were fitted on 30 of the patients to be judged" in simcrop(*whole).refusal
    pooled = ("--model", findings.features, "--split", "valid", "--out", tmp_path / "refused")
    assert (
        "wants several vectors of each scan"
        in simcrop("transfer", tmp_path / "attention", findings.cohort, *pooled).refusal
    )


def test_probes_of_classes_can_be_compared(simcrop: Callable, ccii: Any, tmp_path: Path) -> None:
    for head, settings in (("logistic", ()), ("linear", ("--settings", ccii.settings))):
        words = ("probe", ccii.features, ccii.cohort, "--head", head, *settings)
        assert simcrop(*words, "--out", tmp_path / head).code == 0
    ran = simcrop("compare", tmp_path / "logistic", tmp_path / "linear", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    metrics = read(tmp_path / "out/metrics.json")
    assert list(metrics["pairs"][0]["labels"]) == list(CLASSES)
    own = [read(tmp_path / head / "metrics.json") for head in ("logistic", "linear")]
    for each in own:
        found = metrics["accuracy"][each["head"]]
        assert found == {name: each[name] for name in ("accuracy", "accuracy_low", "accuracy_high")}
    (pair,) = metrics["accuracy_pairs"]
    assert pair["accuracy_difference"] == pytest.approx(own[0]["accuracy"] - own[1]["accuracy"])
    assert pair["accuracy_difference_low"] <= pair["accuracy_difference"] <= pair["accuracy_difference_high"]
    assert "logistic − linear" in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--head", "liner"), "no head 'liner'; did you mean linear? There are logistic, linear, attention"),
        (("--head", "Attention"), "did you mean attention?"),
        (("--head", ""), "no head ''"),
        (("--settings", "ct-rate"), "--settings is of --head linear and attention"),
        (
            ("--head", "linear", "--settings", "ctrate"),
            "no table of head settings 'ctrate', did you mean ct-rate?",
        ),
        (("--head", "linear", "--settings", "nowhere.yaml"), "Neither a file nor one of"),
        (("--head", "linear", "--share", "0.01"), "--share 0.01 leaves 1 of 30 patients"),
        (("--head", "attention"), "wants several vectors of each scan"),
        (("--head", "attention", "--pool", "max"), "--pool is of the other heads"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    simcrop: Callable, findings: Any, tmp_path: Path, flags: tuple[str, ...], sentence: str
) -> None:
    words = ("probe", findings.features, findings.cohort, "--out", tmp_path / "out", *flags)
    assert sentence in simcrop(*words).refusal
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file.__setitem__("y_hat", np.ones(D, np.float32)), ""),
        (lambda file: file["features"].__setitem__((0, 0), np.nan), "numbers that are none"),
    ],
)
def test_tokens_made_elsewhere_are_looked_at_before_they_are_learned_from(
    simcrop: Callable, findings: Any, tmp_path: Path, spoil: Callable[[Any], None], sentence: str
) -> None:
    h5py = pytest.importorskip("h5py")
    folder = tokens_in(tmp_path / "tokens", findings.truth)
    with h5py.File(folder / "scan07.h5", "r+") as file:
        spoil(file)
    words = ("probe", folder, findings.cohort, "--head", "attention", "--settings", findings.settings)
    ran = simcrop(*words, "--out", tmp_path / "out")
    if sentence:
        assert sentence in ran.refusal
    else:
        assert ran.code == 0, ran.err  # one scan of a single vector among many


@pytest.mark.parametrize("key", ["y_hat", "npz", "npy"])
def test_pooled_features_are_refused_by_attention(
    simcrop: Callable, findings: Any, tmp_path: Path, key: str
) -> None:
    if key == "y_hat":
        folder = tokens_in(tmp_path / "made", findings.truth, key=key)
    else:
        folder = tmp_path / "made"
        folder.mkdir()
        for i, vector in enumerate(findings.values):
            path = folder / f"scan{i:02}.{key}"
            np.savez(path, embedding=vector) if key == "npz" else np.save(path, vector)
    words = ("probe", folder, findings.cohort, "--head", "attention", "--out", tmp_path / "out")
    assert (
        f"--head attention wants several vectors of each scan, and {folder} holds one"
        in simcrop(*words).refusal
    )

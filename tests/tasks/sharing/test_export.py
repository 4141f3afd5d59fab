"""Exported models: a card that is filled from the run, refused without a licence, and silent about places."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_models import SECRET

import simcrop as package
from simcrop.tasks.features.cohort_features import model_digest
from simcrop.tasks.record import redacted
from simcrop.tasks.sharing.card import front_matter

LICENCE = ("--licence", "apache-2.0")
PROBED = {
    "macro_auroc": 0.7123,
    "macro_auroc_low": 0.65,
    "macro_auroc_high": 0.77,
    "labels": {
        "Lung nodule": {"auroc": 0.61, "auroc_low": 0.5, "auroc_high": 0.7, "average_precision": None}
    },
    "baselines": {"random start": {"macro_auroc": 0.55, "macro_auroc_low": 0.5, "macro_auroc_high": 0.6}},
    "shares": {"1": {}},
    "head": "logistic",
    "scans": {"train": 40, "test": 20},
    "patients": {"train": 38, "test": 19},
    "split_hash": {"train": "ab" * 32, "test": "ef" * 32},
    "by": [{"column": "hospital", "value": SECRET, "macro_auroc": 0.5}],
    "unmatched": [f"{SECRET}_1"],
    "note": "the model comes from another cohort",
}


def results(folder: Path, model: str, verb: str = "probe", **change: Any) -> Path:
    folder.mkdir()
    settings = {"model": model, "table": f"/data/{SECRET}.csv"}
    (folder / "run.json").write_text(json.dumps({"verb": verb, "settings": settings}))
    (folder / "metrics.json").write_text(json.dumps({**PROBED, **change}))
    return folder


def head_of(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.split("---\n")[1])


def test_card_tells_what_the_run_is(simcrop: Callable, run: Path, tmp_path: Path) -> None:
    probed = results(tmp_path / "probe", model_digest(run / "model"))
    out = tmp_path / "out"
    ran = simcrop("export", run, *LICENCE, "--results", probed, "--out", out)
    assert ran.code == 0, ran.err
    card = (out / "README.md").read_text()
    head = head_of(card)
    assert head["license"] == "apache-2.0"
    assert head["library_name"] == "simcrop"
    assert head["pipeline_tag"] == "image-feature-extraction"
    assert head["datasets"] == ["ibrahimhamamci/CT-RATE"]
    for words in (
        "licence of the data: CC BY 4.0",
        "24 x 28 x 15 voxels of 14 x 12 x 24 mm",
        "window -1000 to 1000 HU",
        "3 steps; loss 9.000 -> 8.000",
        "| mean AUROC | 0.712 (0.650 to 0.770) |",
        "| Lung nodule, AUROC | 0.610 (0.500 to 0.700) |",
        "| for comparison, random start: mean AUROC | 0.550 (0.500 to 0.600) |",
        "test `efefefefefefefef`",
        "research only: it is not a medical device",
        "absent anatomy",
        "left and right",
    ):
        assert words in card, words
    assert "average precision" not in card  # which was not defined
    assert "phantom" not in card


def test_nothing_that_is_exported_or_bundled_names_a_place_a_cohort_or_a_patient(
    simcrop: Callable, run: Path, tmp_path: Path
) -> None:
    probed = results(tmp_path / "probe", model_digest(run / "model"))
    for verb, more in (("export", (*LICENCE, "--onnx", "--results", probed)), ("bundle", ())):
        assert simcrop(verb, run, *more, "--out", tmp_path / verb).code == 0
        for path in (p for p in (tmp_path / verb).rglob("*") if p.is_file()):
            content = path.read_bytes().decode("latin-1")
            for secret in (SECRET, str(tmp_path.parent), str(run.parent), str(Path(package.__file__).parent)):
                assert secret not in content, (path, secret)


def test_model_trained_on_phantoms_says_so_and_names_no_data_set(
    simcrop: Callable, small_run: Callable[..., Path], tmp_path: Path
) -> None:
    told = {"made_by": "phantom", "data_licence": "made by `simcrop phantom`: no patient"}
    run = small_run(tmp_path / "run", provenance=told)
    assert simcrop("export", run, *LICENCE, "--out", tmp_path / "out").code == 0
    card = (tmp_path / "out/README.md").read_text()
    assert "it has seen phantoms alone" in card
    assert "datasets" not in head_of(card)


def test_card_tells_what_the_weights_that_a_run_started_from_have_learned(
    simcrop: Callable, small_run: Callable[..., Path], tmp_path: Path
) -> None:
    first = {"layout": "rad-chestct", "data_licence": "CC BY-NC-ND 4.0"}
    second = {
        "layout": "ct-rate",
        "start": {"source": "x", "parent": {"provenance": first, "split": "train"}},
    }
    start = {"source": "y", "sha256": "ab" * 32, "parent": {"provenance": second, "split": "train"}}
    told = {"made_by": "phantom", "data_licence": "no licence needed", "start": start}
    run = small_run(tmp_path / "run", provenance=told)
    assert simcrop("export", run, *LICENCE, "--out", tmp_path / "out").code == 0
    card = (tmp_path / "out/README.md").read_text()
    assert "phantoms alone" not in card
    assert head_of(card)["datasets"] == ["ibrahimhamamci/CT-RATE"]
    before = [line for line in card.splitlines() if "started from have learned before" in line]
    assert len(before) == 2
    assert "CT-RATE; licence of those data: not stated by the cohort" in before[0]
    assert "RAD-ChestCT; licence of those data: CC BY-NC-ND 4.0" in before[1]


def test_figures_of_a_folder_that_a_model_merely_lies_in_are_not_its_own(
    simcrop: Callable, exported: Path, tmp_path: Path
) -> None:
    shutil.copytree(exported, tmp_path / "shelf/mine")
    figures = {"steps": 77, "segmentation_scans": 6, "dice:liver": 0.9, "dice_low:liver": 0.8}
    (tmp_path / "shelf/metrics.json").write_text(json.dumps(figures))
    assert simcrop("export", tmp_path / "shelf/mine", *LICENCE, "--out", tmp_path / "out").code == 0
    card = (tmp_path / "out/README.md").read_text()
    assert "77 steps" not in card
    assert "dice" not in card


def change_run(run: Path, **change: Any) -> None:
    (run / "run.json").write_text(json.dumps(json.loads((run / "run.json").read_text()) | change))


def test_figures_beside_another_model_or_of_another_verb_are_not_its_own(
    simcrop: Callable, small_run: Callable[..., Path], tmp_path: Path
) -> None:
    run = small_run(tmp_path / "run", provenance={"data_licence": "CC BY 4.0"})
    digest = model_digest(run / "model")
    for number, (change, told) in enumerate(
        [({"model": digest}, True), ({"model": "0" * 64}, False), ({"model": digest, "verb": "probe"}, False)]
    ):
        change_run(run, **change)
        out = tmp_path / f"out{number}"
        assert simcrop("export", run, *LICENCE, "--out", out).code == 0
        assert ("3 steps; loss 9.000" in (out / "README.md").read_text()) == told


def test_card_of_a_checkpoint_tells_its_step_and_none_of_the_figures_of_the_end(
    simcrop: Callable, small_run: Callable[..., Path], tmp_path: Path
) -> None:
    run = small_run(tmp_path / "run", provenance={"data_licence": "CC BY 4.0"})
    checkpoint = run / "checkpoints/step-00000002"
    shutil.copytree(run / "model", checkpoint)
    (run / "model/text").rename(run / "checkpoints/text")
    (checkpoint / "state.json").write_text(json.dumps({"step": 2}))
    assert simcrop("export", checkpoint, *LICENCE, "--out", tmp_path / "out").code == 0
    card = (tmp_path / "out/README.md").read_text()
    assert "\n- 2 steps\n" in card
    assert "loss" not in card


def test_card_says_in_what_the_run_is_not_its_recipes_source(
    simcrop: Callable, small_run: Callable[..., Path], tmp_path: Path
) -> None:
    claim = {"source": "the paper", "values": {"vision.depth": 8, "vision.heads": 3}}
    run = small_run(tmp_path / "run", claim=claim)
    ran = simcrop("export", run, *LICENCE, "--data-licence", "CC BY 4.0", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    card = (tmp_path / "out/README.md").read_text()
    assert "the recipe follows the paper, but for:" in card
    assert "not as there: vision.depth = 1, there 8" in card
    assert "vision.heads" not in card


def test_no_card_without_both_licences(
    simcrop: Callable, run: Path, small_run: Callable[..., Path], tmp_path: Path
) -> None:
    assert "--licence" in simcrop("export", run, "--out", tmp_path / "out").refusal
    assert "--licence" in simcrop("export", run, "--licence", " ", "--out", tmp_path / "out").refusal
    silent = small_run(tmp_path / "run", provenance={"data_licence": "not stated by the cohort"})
    refusal = simcrop("export", silent, *LICENCE, "--out", tmp_path / "out").refusal
    assert "--data-licence" in refusal
    assert not (tmp_path / "out").exists()


def test_licence_that_the_hub_does_not_know_goes_by_its_name(run: Path) -> None:
    from simcrop.model.folder import read_config
    from simcrop.model.portable import load_any
    from simcrop.tasks.sharing.card import Told

    recipe, config = load_any(run / "model").recipe, read_config(run / "model")
    told = Told(recipe, config, {"parameters": 1}, "Ward 7 licence", "CC BY 4.0", ())
    head = front_matter(told)
    assert (head["license"], head["license_name"]) == ("other", "Ward 7 licence")
    spelled = front_matter(replace(told, licence="CC BY-NC-SA 4.0"))
    assert (spelled["license"], spelled.get("license_name")) == ("cc-by-nc-sa-4.0", None)


def test_results_of_another_model_or_of_nothing_are_refused(
    simcrop: Callable, run: Path, tmp_path: Path
) -> None:
    words = ("export", run, *LICENCE, "--out", tmp_path / "out", "--results")
    other = results(tmp_path / "other", "ab" * 32)
    assert "of another model, by its digest" in simcrop(*words, other).refusal
    ground = results(tmp_path / "ground", model_digest(run / "model"), verb="ground")
    assert "was made by `simcrop ground`" in simcrop(*words, ground).refusal
    assert "holds no results" in simcrop(*words, tmp_path).refusal
    assert not (tmp_path / "out").exists()


def test_results_follow_a_model_that_was_exported(
    simcrop: Callable, run: Path, exported: Path, tmp_path: Path
) -> None:
    probed = results(tmp_path / "probe", model_digest(run / "model"))
    assert simcrop("export", exported, *LICENCE, "--results", probed, "--out", tmp_path / "out").code == 0
    assert "0.712" in (tmp_path / "out/README.md").read_text()


def test_folder_is_replaced_only_when_asked_and_whole(
    simcrop: Callable, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("export", run, *LICENCE, "--out", tmp_path / "out")
    assert simcrop(*words).code == 0
    assert "--overwrite replaces it" in simcrop(*words).refusal
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}

    def burst(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("simcrop.tasks.sharing.export.write_card", burst)
        assert "disk is full" in simcrop(*words, "--overwrite").refusal
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before
    assert simcrop(*words, "--overwrite").code == 0
    assert "choose another --out" in simcrop("export", run, *LICENCE, "--out", run / "model/x").refusal


@pytest.mark.parametrize("verb", ["export", "bundle"])
def test_command_in_the_record_names_options_alone(verb: str) -> None:
    argv = [
        "/bin/simcrop",
        "--debug",
        verb,
        f"/data/{SECRET}",
        "--out",
        f"/data/{SECRET}/out",
        f"--licence={SECRET}",
    ]
    assert redacted(argv) == ["simcrop", "--debug", "--out", "--licence"]
    script = [f"/home/{SECRET}/share.py", f"/data/{SECRET}", "--to=all"]
    assert redacted(script, verb) == ["share.py", "--to"]


def test_segmentation_leaves_with_what_it_was_judged_by(
    simcrop: Callable, segmenter_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/model").symlink_to(segmenter_folder)
    dice = {f"dice{bound}:liver": value for bound, value in (("", 0.9), ("_low", 0.85), ("_high", 0.95))}
    judged = {"segmentation_scans": 6, "segmentation_patients": 5, "split_hash": "ab" * 32, **dice}
    (tmp_path / "run/metrics.json").write_text(json.dumps({**judged, "training": {"steps": 5}}))
    (tmp_path / "run/run.json").write_text(json.dumps({"verb": "segment", "settings": {}}))
    words = (*LICENCE, "--data-licence", "CC BY 4.0", "--out", tmp_path / "out")
    ran = simcrop("export", tmp_path / "run", *words)
    assert ran.code == 0, ran.err
    card = (tmp_path / "out/README.md").read_text()
    assert head_of(card)["pipeline_tag"] == "image-segmentation"
    assert "marks left lung, liver" in card
    assert "| dice:liver | 0.900 (0.850 to 0.950) |" in card
    assert "scans: 6; patients: 5" in card
    assert simcrop("bundle", tmp_path / "out", "--out", tmp_path / "bundle").code == 0
    assert package.load_segmenter(tmp_path / "bundle").names == ("left lung", "liver")

"""The study on natural anatomies at toy size: whole, resumable, and held to its bars."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcrop.data.samples.dataset import cut, placement_of
from simcrop.evaluation.pointing_game import Pointed
from simcrop.experiments import inserted, natural
from simcrop.experiments.arms import Arm
from simcrop.experiments.cohorts import PhantomCohorts, Plan, draw_cohorts
from simcrop.experiments.experiment import Experiment
from simcrop.experiments.inserted import ask_about_inserted
from simcrop.experiments.natural import ARMS, MAE, PARTS, PLUS, RANDOM, SCAN, reproduce_natural
from simcrop.experiments.natural_text import bars, inserted_tables, readable, times_swapped
from simcrop.experiments.scores import tells_presence
from simcrop.experiments.shifted import shifted

SMALL = (
    "input.spacing_mm=[5.5, 5.5, 10]",
    "input.shape=[48, 40, 32]",
    "input.patch=[8, 8, 4]",
    "optim.steps=1",
    "optim.batch=4",
    "vision.depth=1",
    "vision.dim=48",
    "vision.heads=2",
    "engine.monitor=1",
)
PLAN = Plan(12, 0, 0, 10, "real")
FEW = (*ARMS, PARTS[-1])


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    folder = tmp_path_factory.mktemp("natural") / "out"
    common = (*SMALL, f"text.model={tiny_bert}", "text.report_length=96", "text.sentence_length=40")

    def stop_at_the_ceiling(line: str) -> None:
        if line.startswith("ceiling: taught, linear"):
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(natural, "draw_cohorts", partial(draw_cohorts, workers=1))
        patch.setattr(natural, "PARTS", FEW[len(ARMS) :])
        patch.setattr(natural, "SHARE", 0.5)  # a tenth would be one patient
        patch.setattr("simcrop.experiments.scores.DRAWS", 20)
        patch.setattr("simcrop.evaluation.heads.probe.FOLDS", 1)
        run = partial(reproduce_natural, folder, (0,), common, plan=PLAN, at_once=1)
        with pytest.raises(KeyboardInterrupt):
            run(say=stop_at_the_ceiling)
        assert not list(folder.rglob("features/*.npz"))
        models = {path: path.stat().st_mtime_ns for path in folder.rglob("model.safetensors")}
        found = json.dumps(run(resume=True))
        patch.setattr("simcrop.experiments.experiment.probe_scores", None)
        moved = shutil.copytree(folder, folder.with_name("moved"))
        again = json.dumps(reproduce_natural(moved, *run.args[1:], resume=True, **run.keywords))
        assert again == found, "what is finished is not probed again, wherever its folder lies"
    assert all(path.stat().st_mtime_ns == before for path, before in models.items())
    return folder


def results(out: Path) -> dict[str, Any]:
    return json.loads((out / "results.json").read_text())


def test_every_arm_stands_beside_its_ceiling(out: Path) -> None:
    found = results(out)
    assert set(found["arms"]) == {arm.name for arm in FEW}
    assert len(found["ceiling"]) == 3
    for ceiling in found["ceiling"].values():
        assert len(ceiling["labels"]) == 18
    for name, arm in found["arms"].items():
        for what in ("probe", "probe_share"):
            assert arm[what]["low"] <= arm[what]["value"] <= arm[what]["high"], name
        assert ("tells_presence" in arm) == ("pointing" in arm) == (name != MAE.name)
    assert set(found["scans"]) == {"pretrain", "test"}


def test_the_page_says_which_bar_is_met(out: Path) -> None:
    text = (out / "natural.md").read_text()
    for arm in FEW:
        assert f"| {arm.name} |" in text
    assert "taught, linear stem, max" in text
    found = bars(results(out))
    assert len(found) == 14
    assert text.count("| met |") == sum(met for *_, met in found)
    assert text.count("| missed |") == sum(not met for *_, met in found)


def test_more_seeds_may_be_asked_for_later(out: Path) -> None:
    assert "seeds" not in json.loads((out / "run.json").read_text())["settings"]


def test_scans_whose_field_of_view_is_moved_are_asked_about_too(out: Path) -> None:
    found = results(out)["arms"]
    assert {name for name, arm in found.items() if "shifted" in arm} == {PLUS.name, SCAN.name}
    cohort = PhantomCohorts(out / "cohorts", PLAN).open("test")
    study, (wider, *_) = cohort[0], shifted(cohort, 30.0)
    x, y, z = study.shape
    assert np.array_equal(wider.read()[:x, :y, :z], study.read())
    assert (wider.read()[x:] == -1000).all()
    for arm, mm in ((PLUS, 0), (SCAN, 30)):
        spec = arm.build(0, SMALL).input.spec
        apart = placement_of(wider, spec).affine - placement_of(study, spec).affine
        np.testing.assert_allclose(apart[:3, 3], mm, atol=6)
        assert np.mean(cut(wider, spec, None) != cut(study, spec, None)) < (1 if mm else 0.1)


def test_arms_are_judged_side_by_side(out: Path, tmp_path: Path) -> None:
    """In processes of their own, as by this one."""
    copy = shutil.copytree(out, tmp_path / "out")
    shutil.rmtree(copy / "features")
    shutil.rmtree(copy / "scores")
    experiment = Experiment(copy, PhantomCohorts(copy / "cohorts", PLAN), ARMS, (0,), SMALL, "pretrain")
    lines: list[str] = []
    experiment.judge({PLUS: [("both", 1.0, 0.0)], MAE: [("mean", 1.0, 0.0)]}, 2, lines.append)
    assert lines == [f"judging: {arm.name}, seed 0" for arm in (PLUS, MAE)]
    made = sorted(path.relative_to(copy) for path in copy.glob("features/*"))
    assert len(made) == 4
    assert [(copy / path).read_bytes() for path in made] == [(out / path).read_bytes() for path in made]
    assert len(list(copy.glob("scores/*"))) == 2
    experiment.judge({PLUS: [("both", 1.0, 0.0)]}, 2, lines.append)
    assert len(lines) == 2, "what is judged is not judged again"


def test_findings_in_real_scans_are_asked_about(out: Path, real_data: Path, tmp_path: Path) -> None:
    scan = real_data / "ct/nsclc_radiomics_lung1_001/LUNG1-001_shrink2.nii.gz"
    (tmp_path / "scans").mkdir()
    shutil.copy(scan, tmp_path / "scans" / "somebody.nii.gz")
    experiment = Experiment(out, PhantomCohorts(out / "cohorts", PLAN), ARMS, (0,), SMALL)
    found = ask_about_inserted(experiment, (PLUS, RANDOM), tmp_path / "scans", lambda _: None, insertions=2)
    assert (found["scans"], found["insertions"], found["refused"]) == (1, 2, 0)
    assert set(found["arms"]) == {PLUS.name, RANDOM.name}
    for arm in found["arms"].values():
        assert arm["hit"]["low"] <= arm["hit"]["value"] <= arm["hit"]["high"]
        assert set(arm["kinds"]) == set(arm["swapped_kinds"])
    titles = [title for title, *_ in inserted_tables(found)]
    assert titles[0].startswith("Pointing in real scans: 2 insertions into 1 real scans")


def test_findings_in_other_scans_or_for_more_seeds_are_asked_about_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, bool]] = []
    stop = RuntimeError("enough is seen")

    def put(out: Path, scans: Path, patients: int, seed: int, overwrite: bool) -> None:
        del out, patients, seed
        made.append((scans.name, overwrite))
        raise stop

    monkeypatch.setattr(inserted, "phantom_in_real_scans", put)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    asked = {"scans": str((tmp_path / "a").resolve()), "insertions": 60, "seeds": [0], "arms": [PLUS.name]}
    folder = tmp_path / "inserted"
    (folder / "raw").mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps({"scans": 1, "arms": {}, "asked": asked}))
    settings = {"background": asked["scans"], "patients": 60, "seed": 0}
    (folder / "raw/run.json").write_text(json.dumps({"verb": "phantom", "settings": settings}))

    def ask(scans: str, *seeds: int) -> dict[str, Any]:
        experiment = Experiment(tmp_path, PhantomCohorts(tmp_path, PLAN), ARMS, seeds, SMALL)
        return ask_about_inserted(experiment, (PLUS,), tmp_path / scans, lambda _: None)

    assert ask("a", 0) == {"scans": 1, "arms": {}}
    assert not made
    for scans, seeds in (("a", (0, 1)), ("b", (0,))):
        with pytest.raises(RuntimeError, match="enough"):
            ask(scans, *seeds)
    assert made == [("a", False), ("b", True)]


def test_bars_are_those_of_the_worst_seed_and_of_the_highest_ceiling() -> None:
    def figure(value: float, *seeds: float) -> dict[str, Any]:
        return {"value": value, "low": value - 0.01, "high": value + 0.01, "by_seed": list(seeds)}

    plus = {
        "probe": figure(0.86),
        "probe_share": figure(0.74),
        "pointing": {"hit": figure(0.7, 0.72, 0.64), "swapped": figure(0.1, 0.1, 0.17)},
        "pointing_over": {"prior": figure(0.31)},
        "pointing_kinds": {"Lung nodule": [0.4, 0.29], "Emphysema": [0.8, 0.5], "Atelectasis": [0.7, 0.01]},
        "swapped_kinds": {"Lung nodule": [0.3, 0.29], "Emphysema": [0.2, 0.26], "Atelectasis": [0.1, 0.1]},
        "tells_presence": figure(0.8),
    }
    arms = {
        PLUS.name: plus,
        "SimCroP plus, mispaired scans": {"probe": figure(0.79)},
        RANDOM.name: {"probe": figure(0.75)},
    }
    over = {RANDOM.name: figure(0.11), MAE.name: figure(0.005)}
    read = {"Lung nodule": 0.6, "Emphysema": 0.7, "Atelectasis": 0.74}
    ceiling = {
        "a": {"value": 0.5, "labels": read},
        "b": {"value": 0.88, "labels": {**read, "Emphysema": 0.9}},
    }
    assert readable(ceiling) == ["Emphysema"]
    assert times_swapped(plus, ["Emphysema", "Cardiomegaly"]) == pytest.approx([4, 0.5 / 0.26])
    missed = {
        what for what, *_, met in bars({"arms": arms, "plus_over": over, "ceiling": ceiling}) if not met
    }
    assert missed == {
        "probe AUROC, a tenth of the labels",
        "over MAE, same stem",
        "over MAE, lower bound",
        "pointing, worst seed",
        "pointing, times swapped, worst seed",
        "pointing, times swapped, worst kind and seed of those read at 0.75 or more",
        "pointing at nodules, worst seed",
        "mispaired from random, at most",
    }


def test_presence_is_the_auroc_of_the_best_patch_within_a_scan() -> None:
    rng = np.random.default_rng(0)
    maps, swapped = rng.random((30, 7)) + 0.2, rng.random((30, 7))
    swapped[3] = np.nan
    maps[:, 0] = -np.inf
    patients = [f"p{n // 2}" for n in range(30)]
    pointed = Pointed(maps, swapped, np.ones((30, 7)), ["a"] * 30, patients)
    asked = ~np.isnan(swapped).any(1)
    expected = np.mean(maps[asked].max(1) > swapped[asked].max(1))  # each against the one of its own scan
    found = tells_presence([pointed])
    assert found.by_seed[0] == pytest.approx(expected)
    assert found.interval().low < expected < found.interval().high


def test_arms_differ_in_their_objective_or_in_what_they_are_named_for() -> None:
    plus = PLUS.build(1)
    for arm in ARMS:
        recipe = arm.build(1)
        assert (recipe.input, recipe.vision, recipe.optim, recipe.init) == (
            plus.input,
            plus.vision,
            plus.optim,
            plus.init,
        )
    assert plus.vision.stem == ("statistics",)
    different: list[Arm] = [arm for arm in PARTS if arm.build(1) != plus]
    assert len(different) == len(PARTS)

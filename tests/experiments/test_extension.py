"""The study of the method's parts at toy size: whole, resumable, and with its test part opened last."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from simcrop.errors import SimcropError
from simcrop.experiments import extension
from simcrop.experiments.arms import CT_CLIP, MAE, MISPAIRED, PAPER, PLUS, RANDOM
from simcrop.experiments.cached import POOLS
from simcrop.experiments.cohorts import Plan, draw_cohorts
from simcrop.experiments.extension import ARMS, BESIDE, HARDER, INPUTS, reproduce_extension
from simcrop.experiments.extension_results import aims
from simcrop.experiments.scores import Reached, over_cohorts
from simcrop.experiments.side_by_side import Say
from simcrop.files.whole import read_json

SMALL = (
    "optim.steps=1",
    "optim.batch=4",
    "vision.depth=1",
    "vision.dim=48",
    "vision.heads=2",
    "engine.monitor=1",
)
EASY, HARD = Plan(6, 8, 8, 10), Plan(4, 8, 0, 10, "real")
# All methods, a control and a side question; the others differ in settings, with which every arm is built below.
FEW_BESIDE = BESIDE[:2]
DRAWS = 40  # for the intervals, a tenth of what the experiment draws


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, said: list[str], tiny_bert: Path) -> Path:
    folder = tmp_path_factory.mktemp("extension") / "out"
    common = (*SMALL, f"text.model={tiny_bert}", "text.report_length=96", "text.sentence_length=40")

    def stop_at_the_choice(line: str) -> None:
        said.append(line)
        if len([line for line in said if "choosing part" in line]) == 1:
            raise KeyboardInterrupt

    def run(say: Say, resume: bool) -> None:
        reproduce_extension(folder, (0,), "tiny", common, say, resume, easy=EASY, hard=HARD, at_once=1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extension, "draw_cohorts", partial(draw_cohorts, workers=1))
        patch.setattr(extension, "BESIDE", FEW_BESIDE)
        patch.setattr("simcrop.experiments.scores.DRAWS", DRAWS)
        patch.setattr(
            "simcrop.evaluation.heads.probe.FOLDS", 1
        )  # how a penalty is chosen is tested with the probe
        with pytest.raises(KeyboardInterrupt):
            run(stop_at_the_choice, resume=False)
        assert list(folder.rglob("features/*-choose.npz"))
        assert not list(folder.rglob("features/*-test.npz")), "the test part was opened before the choice"
        models = {path: path.stat().st_mtime_ns for path in folder.rglob("model.safetensors")}
        assert sum(path.parent.name == "model" for path in models) == len(ARMS) + len(FEW_BESIDE) + len(
            HARDER
        ) + len(POOLS)
        run(said.append, resume=True)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("model.safetensors")} == models
    return folder


def test_the_choice_is_written_down_before_the_test_part_is_opened(out: Path, said: list[str]) -> None:
    opened = said.index("the test part is opened")
    assert said.count("the test part is opened") == 1
    assert not any("choosing part" in line for line in said[opened:])
    chosen = (out / "chosen.json").stat().st_mtime_ns
    looked = [path.stat().st_mtime_ns for path in out.rglob("features/*-test.npz")]
    assert len(looked) == len(ARMS) + len(FEW_BESIDE) + len(HARDER)
    assert chosen <= min(looked)


def test_the_learnability_check_comes_before_any_comparison(out: Path, said: list[str]) -> None:
    check = next(place for place, line in enumerate(said) if line.startswith("learnability: by_hand "))
    assert all(line.startswith("Supervised ") for line in said[:check])
    assert set(read_json(out / "learnability.json")) == {"by_hand", "supervised_mean", "supervised_max"}


def test_every_arm_is_judged_with_an_interval(out: Path) -> None:
    results = json.loads((out / "results.json").read_text())
    assert set(results["easy"]["arms"]) == {arm.name for arm in (*ARMS, *FEW_BESIDE)}
    for name, arm in results["easy"]["arms"].items():
        probe = arm["probe"]
        assert probe["low"] <= probe["value"] <= probe["high"], name
        assert ("pointing" in arm) == (not name.startswith(MAE.name))
    assert set(results["easy"]["plus_over"]) == set(results["easy"]["arms"]) - {PLUS.name}
    assert results["easy"]["split_hash"] != results["hard"]["split_hash"]
    assert len(results["hard"]["positives"]) == 18
    assert len(aims(results)) == 9


def test_the_table_names_every_arm(out: Path) -> None:
    text = (out / "extension.md").read_text()
    for arm in (*ARMS, *FEW_BESIDE):
        assert f"| {arm.name} |" in text
    assert "73.4" in text, "the paper's own figures stand beside"


def test_every_arm_can_be_built_at_the_size_for_a_gpu() -> None:
    for arm in (*ARMS, *BESIDE, *HARDER):
        recipe = arm.build(0, INPUTS["small"])
        assert recipe.input.shape == (96, 96, 48)
        assert recipe.input.grid.shape == (6, 6, 6)


def test_unknown_size_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match="tiny or small"):
        reproduce_extension(tmp_path / "out", size="huge")
    assert not (tmp_path / "out").exists()


def test_arms_differ_in_their_objective_only() -> None:
    plus = PLUS.build(1)
    for arm in (RANDOM, MAE, PAPER, CT_CLIP, MISPAIRED):
        recipe = arm.build(1)
        assert (recipe.input, recipe.optim, recipe.aug, recipe.init) == (
            plus.input,
            plus.optim,
            plus.aug,
            plus.init,
        )
        assert recipe.vision == plus.vision, arm.name
    assert MISPAIRED.build(1).data.mispaired
    assert not PLUS.build(1).data.mispaired


def test_an_interval_over_seeds_and_patients_holds_the_mean() -> None:
    rng = np.random.default_rng(0)
    patients = np.repeat([f"p{n}" for n in range(40)], 2)
    good, bad = rng.random(80) < 0.8, rng.random(80) < 0.3

    def rate(values: np.ndarray) -> Reached:
        return over_cohorts([lambda rows: float(values[rows].mean())], patients)

    better, worse = rate(good), rate(bad)
    assert better.interval().low < good.mean() < better.interval().high
    assert better.over(worse).low > 0.2
    assert worse.over(better).high < -0.2


def test_what_a_seed_does_to_both_is_no_difference_between_them() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([[0.2], [0.5], [0.8]]) + rng.normal(0, 0.01, (3, 400))
    one = Reached(np.array([0.21, 0.51, 0.81]), drawn + 0.01)
    other = Reached(np.array([0.2, 0.5, 0.8]), drawn)
    over = one.over(other)
    assert (over.value, over.low, over.high) == pytest.approx((0.01, 0.01, 0.01))
    # Those that both have count; the others say nothing of the difference.
    fewer = Reached(np.array([0.8, 0.1, 0.2]), drawn[[2, 1, 0]], (2, 7, 0))
    over = one.over(fewer)
    assert (over.value, over.low, over.high) == pytest.approx((0.01, 0.01, 0.01))
    apart = Reached(other.by_seed, drawn, (3, 4, 5))
    assert one.over(apart).value == pytest.approx(0.01)
    assert one.over(apart).high > 0.2

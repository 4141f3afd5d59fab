"""A run whose model is a running mean of what was trained: continued to the bit, and taken from wherever it lies."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from simcrop.config import Recipe, build_recipe
from simcrop.engine.checkpoint import checkpoints
from simcrop.engine.journal import read_journal
from simcrop.model import load
from simcrop.objectives.needs import Components
from simcrop.tasks.folder import read_run
from simcrop.tasks.training.pretrain import pretrain, untrained

HEAD = {"hidden": 19, "bottleneck": 7, "outputs": 11, "frozen_epochs": 40}  # in the first two of three steps
TEACHER, STUDENT = "teacher.vision.", "vision."


@pytest.fixture(scope="module")
def run(toy_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dino") / "run"
    pretrain(toy_cohort, recipe(), folder)
    return folder


def recipe(**groups: Any) -> Recipe:
    tree: dict[str, Any] = {
        "method": "dino",
        "input": {"spacing_mm": [14, 12, 24], "shape": [24, 28, 15], "patch": [6, 4, 5]},
        "vision": {"depth": 1, "dim": 36, "heads": 3, "pos_embed": "learned"},
        "head": HEAD,
        "views": {"small": 2},
        "teacher": {"momentum": 0.5},
        "optim": {"lr": 3e-3, "batch": 4, "epochs": 100, "warmup_epochs": 1, "steps": 3},
        "engine": {"precision": "fp32", "micro_batch": 2},
        "checkpoint": {"every": 1},
    }
    return build_recipe({**tree, **groups}, "toy")


def state(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoints(folder / "checkpoints")[-1] / "model.safetensors")


def test_it_goes_on_to_the_bit_with_its_teacher_and_its_centre(
    run: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    shutil.rmtree(cut / "model")
    shutil.rmtree(checkpoints(cut / "checkpoints")[-1])
    assert pretrain(toy_cohort, recipe(), cut, resume=True).finished
    one, other = state(run), state(cut)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert one["center"].any()
    assert not torch.equal(one[f"{TEACHER}position"], one[f"{STUDENT}position"])
    assert (
        read_journal(run / "journal.jsonl")[-1]["views"] == read_journal(cut / "journal.jsonl")[-1]["views"]
    )


def test_directions_rest_as_long_as_they_are_to(run: Path) -> None:
    start = checkpoints(run / "checkpoints")
    prototypes = [load_file(of / "model.safetensors")["head.prototypes.weight"] for of in start]
    torch.manual_seed(recipe().seed)
    drawn = recipe().build(Components(recipe().input.grid)).head.prototypes.weight  # type: ignore[union-attr]
    assert [torch.equal(weight, drawn) for weight in prototypes] == [
        True,
        False,
    ]  # after two steps, and three


def test_its_model_is_the_teacher_whether_finished_or_not(run: Path) -> None:
    trained = state(run)
    teacher = {n.removeprefix(TEACHER): t for n, t in trained.items() if n.startswith(TEACHER)}
    for folder in (run, checkpoints(run / "checkpoints")[-1]):
        vision = load(folder, "cpu").vision.state_dict()
        assert vision.keys() == teacher.keys()
        assert all(torch.equal(vision[name], tensor) for name, tensor in teacher.items())
    assert set(load_file(run / "model" / "model.safetensors")) == {f"{STUDENT}{name}" for name in teacher}


@pytest.mark.parametrize("part", ["model", "checkpoints"])
def test_another_run_starts_from_the_teacher_and_so_does_its_own(
    run: Path, toy_cohort: Path, tmp_path: Path, part: str
) -> None:
    folder = run / "model" if part == "model" else checkpoints(run / "checkpoints")[-1]
    start = untrained(toy_cohort, recipe(init={"model": str(folder)}), tmp_path / "start")
    for name, tensor in load(run, "cpu").vision.state_dict().items():
        assert torch.equal(load(start, "cpu").vision.state_dict()[name], tensor)
    told = read_run(start)["start"]
    assert told["loaded"] == sorted(f"{STUDENT}{name}" for name in load(run, "cpu").vision.state_dict())
    assert ("center" in told["skipped"], f"{STUDENT}cls_token" in told["skipped"]) == (part != "model",) * 2

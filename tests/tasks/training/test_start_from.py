"""A run that starts from another's encoder: every key accounted for, and what does not fit refused.

Axes: n patch, d features.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from simcrop.config import Recipe, build_recipe
from simcrop.data.store.cohort import open_cohort
from simcrop.errors import SimcropError
from simcrop.model import load
from simcrop.nn.position import interpolate_positions, sincos_3d, sincos_hw
from simcrop.tasks.folder import read_run
from simcrop.tasks.labelled import provenance_note
from simcrop.tasks.training.pretrain import pretrain, untrained
from simcrop.tasks.training.start_from import lines_of

Tree = dict[str, Any]
LARGER = {"shape": [30, 28, 20]}  # 5 x 7 x 4 patches


@pytest.fixture
def tree(toy_tree: Tree) -> Tree:
    return {**toy_tree, "optim": {**toy_tree["optim"], "steps": 2}}


def changed(tree: Tree, **groups: Tree | str) -> Recipe:
    """The toy with settings changed; MAE knows fewer groups of them than SimCroP."""
    merged = {
        **tree,
        **{n: {**tree.get(n, {}), **g} if isinstance(g, dict) else g for n, g in groups.items()},
    }
    unknown = ("report_decoder", "fusion", "align") if groups.get("method") == "mae" else ()
    return build_recipe({name: group for name, group in merged.items() if name not in unknown}, "toy")


@pytest.fixture
def source(toy_cohort: Path, tree: Tree, tmp_path: Path) -> Callable[..., Path]:
    """The folder of an untrained model, other than what another seed draws."""

    def write(**groups: Tree | str) -> Path:
        recipe = changed({**tree, "seed": 5}, **groups)
        return untrained(toy_cohort, recipe, tmp_path / f"source-{recipe.method}")

    return write


def start(cohort: Path, recipe: Recipe, out: Path) -> torch.nn.Module:
    return load(untrained(cohort, recipe, out), "cpu").vision


def test_the_encoder_is_the_other_s_and_every_key_of_the_file_is_named(
    toy_cohort: Path, tree: Tree, source: Callable, tmp_path: Path
) -> None:
    folder = source()
    there = load(folder, "cpu")
    recipe = changed(tree, method="mae", init={"model": str(folder)})
    ours = start(toy_cohort, recipe, tmp_path / "start")
    for name, tensor in there.vision.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name
    told = read_run(tmp_path / "start")["start"]
    assert set(told["loaded"]) == {f"vision.{name}" for name in there.vision.state_dict()}
    others = {name for name in there.state_dict() if not name.startswith(("vision.", "text."))}
    assert set(told["skipped"]) == others
    assert others
    assert told["new"] == ["vision_decoder"]
    assert told["notes"] == []
    assert len(told["sha256"]) == 64


def test_what_comes_after_the_start_is_the_same_run_whatever_it_is_continued(
    toy_cohort: Path, tree: Tree, source: Callable, tmp_path: Path
) -> None:
    folder = source()
    recipe = changed({**tree, "checkpoint": {"every": 1}}, init={"model": str(folder)})
    whole = pretrain(toy_cohort, recipe, tmp_path / "whole")
    assert whole.finished
    page = (tmp_path / "whole" / "report.html").read_text()
    assert "Where it starts" in page
    assert "vision.transformer.blocks.0.attn.qkv.weight" in page
    assert "projection.center" in page or "projection.vision" in page

    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "model")
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "step-00000002")
    shutil.rmtree(folder)  # a run that has begun loads nothing again
    assert pretrain(toy_cohort, recipe, tmp_path / "cut", resume=True).finished
    one, other = (load(tmp_path / name, "cpu").state_dict() for name in ("whole", "cut"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    for name in ("whole", "cut"):
        config = json.loads((tmp_path / name / "model" / "config.json").read_text())
        assert config["provenance"]["start"]["source"] == f"init.model = {folder}"
        assert read_run(tmp_path / name)["start"]["loaded"]


@pytest.mark.parametrize("cls", [True, False])
def test_a_start_from_images_is_told_alike(
    toy_cohort: Path, tree: Tree, source: Callable, tmp_path: Path, cls: bool
) -> None:
    state = load(source(method="mae"), "cpu").vision.transformer.state_dict()
    extra = {"cls_token": torch.ones(1, 1, 36), "pos_embed": torch.ones(1, 50, 36)}
    save_file({**state, **extra}, tmp_path / "mae.safetensors")
    init = {"mae": str(tmp_path / "mae.safetensors"), "patch_embed": "skip"}
    recipe = changed(tree, method="mae", vision={"cls_token": cls}, init=init)
    start(toy_cohort, recipe, tmp_path / "start")
    told = read_run(tmp_path / "start")["start"]
    loaded = {f"transformer.{name}" for name in state} | ({"cls_token"} if cls else set())
    assert set(told["loaded"]) == {f"vision.{name}" for name in loaded}
    assert set(told["skipped"]) == {"pos_embed"} | (set() if cls else {"cls_token"})
    assert f"{len(told['skipped'])} of the file left aside" in lines_of(told)[0]
    assert told["new"] == ["vision.patch_embed.bias", "vision.patch_embed.weight", "vision_decoder"]


POSITIONS = {
    ("learned", "learned"): "interpolated",
    ("sincos3d", "sincos3d"): "computed",
    ("sincos_hw", "sincos_hw"): "computed",
    ("sincos_hw", "learned"): "computed",
}


@pytest.mark.parametrize(("there", "here"), POSITIONS)
def test_positions_follow_the_grid(
    toy_cohort: Path, tree: Tree, source: Callable, tmp_path: Path, there: str, here: str
) -> None:
    folder = source(method="mae", vision={"pos_embed": there})
    codes = load(folder, "cpu").vision.position
    init = {"model": str(folder)}
    recipe = changed(tree, method="mae", vision={"pos_embed": here}, input=LARGER, init=init)
    ours = start(toy_cohort, recipe, tmp_path / "start")
    if there == "learned":
        assert torch.equal(ours.position, interpolate_positions(codes, (4, 7, 3), (5, 7, 4)))
    else:
        code = sincos_hw if there == "sincos_hw" else sincos_3d
        assert torch.equal(ours.position, code((5, 7, 4), 36))
    notes = read_run(tmp_path / "start")["start"]["notes"]
    assert any(POSITIONS[there, here] in note for note in notes)
    assert "input.shape = [30,28,20], there [24,28,15]" in notes


def test_what_is_usual_at_each_place_comes_with_the_encoder(
    toy_cohort: Path, tree: Tree, source: Callable, tmp_path: Path
) -> None:
    vision = {"stem": ["statistics"]}
    folder = source(method="mae", vision=vision, data={"share": 0.5})
    recipe = changed(tree, method="mae", vision=vision, init={"model": str(folder)})
    ours, there = start(toy_cohort, recipe, tmp_path / "start"), load(folder, "cpu").vision
    assert torch.equal(ours.statistics.mean, there.statistics.mean)
    wider = changed(tree, method="mae", vision=vision, input=LARGER, init={"model": str(folder)})
    with pytest.raises(SimcropError, match="stem of statistics"):
        untrained(toy_cohort, wider, tmp_path / "wider")
    assert not (tmp_path / "wider").exists()


def test_settings_of_a_random_start_are_named_and_not_used(
    toy_cohort: Path, tree: Tree, source: Callable, tmp_path: Path
) -> None:
    vision = {"pos_embed": "learned", "cls_token": False}
    folder = source(method="mae", vision=vision)
    init = {"model": str(folder), "position": "centred", "attention_out": 0}
    ours = start(toy_cohort, changed(tree, method="mae", vision=vision, init=init), tmp_path / "start")
    assert torch.equal(ours.position, load(folder, "cpu").vision.position)
    notes = " ".join(read_run(tmp_path / "start")["start"]["notes"])
    assert "init.position = centred" in notes
    assert "init.attention_out = 0" in notes


def test_networks_of_convolutions_start_from_one_another_only(
    toy_cohort: Path, tree: Tree, tmp_path: Path
) -> None:
    small = {"spacing_mm": [14, 12, 24], "shape": [24, 32, 16], "patch": [8, 8, 4]}
    cnn = {"method": "supervised-cnn", "vision": {"dim": 16}, "input": small}
    folder = untrained(toy_cohort, build_recipe({**cnn, "seed": 5}, "toy"), tmp_path / "cnn")
    again = build_recipe({**cnn, "init": {"model": str(folder)}}, "toy")
    ours, there = start(toy_cohort, again, tmp_path / "start"), load(folder, "cpu").vision
    assert all(torch.equal(ours.state_dict()[name], tensor) for name, tensor in there.state_dict().items())
    other = changed(tree, method="mae", input=small, init={"model": str(folder)})
    with pytest.raises(SimcropError, match="another kind of network"):
        untrained(toy_cohort, other, tmp_path / "out")


OTHER: dict[str, tuple[Tree, str]] = {
    "wider": ({"vision": {"dim": 48}}, "vision.dim = 36, there 48 (as there: --set vision.dim=48)"),
    "deeper": ({"vision": {"depth": 3}}, "--set vision.depth=3"),
    "other heads": ({"vision": {"heads": 4}}, "--set vision.heads=4"),
    "other patches": (
        {"input": {"patch": [4, 4, 5]}},
        "input.patch = [6,4,5], there [4,4,5] (as there: --set input.patch=[4,4,5])",
    ),
    "no class token": ({"vision": {"cls_token": False}}, "--set vision.cls_token=false"),
    "windows": ({"vision": {"windows": [[-1, 0]]}}, "--set vision.windows=[[-1.0,0.0]]"),
    "two things": (
        {"vision": {"depth": 1, "pos_embed": "sincos_hw"}},
        "--set vision.depth=1 --set vision.pos_embed=sincos_hw",
    ),
    "learned positions": ({"vision": {"pos_embed": "learned"}}, "--set vision.pos_embed=learned"),
}


@pytest.mark.parametrize("case", OTHER)
def test_another_encoder_is_refused_with_what_would_make_it_the_same(
    toy_cohort: Path, tree: Tree, source: Callable, tmp_path: Path, case: str
) -> None:
    groups, words = OTHER[case]
    recipe = changed(tree, method="mae", init={"model": str(source(method="mae", **groups))})
    with pytest.raises(SimcropError) as refused:
        pretrain(toy_cohort, recipe, tmp_path / "run")
    assert words in refused.value.sentence
    assert "\n" not in refused.value.sentence
    assert not (tmp_path / "run").exists()


def test_two_starts_and_a_model_that_is_none_are_refused(
    toy_cohort: Path, tree: Tree, source: Callable, tmp_path: Path
) -> None:
    with pytest.raises(SimcropError, match=r"init\.mae and init\.model exclude one another"):
        changed(tree, init={"model": "run", "mae": "mae.safetensors"})
    folder = source(method="mae")
    weights = folder / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:900])
    for path, words in (("nowhere", "no such folder"), (tmp_path, "holds no model"), (folder, "damaged")):
        with pytest.raises(SimcropError, match=words):
            pretrain(toy_cohort, changed(tree, method="mae", init={"model": str(path)}), tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_patients_that_the_first_of_several_models_has_seen_judge_none_of_them(
    toy_cohort: Path, tree: Tree, source: Callable, tmp_path: Path
) -> None:
    folder = source(method="mae", data={"split": "valid"})
    for name in ("second", "third"):
        recipe = changed(tree, method="mae", init={"model": str(folder)})
        folder = untrained(toy_cohort, recipe, tmp_path / name)
    config = json.loads((folder / "model" / "config.json").read_text())
    cohort = open_cohort(toy_cohort)
    with pytest.raises(SimcropError, match="that this one started from"):
        provenance_note(config, cohort, cohort.select("valid"))

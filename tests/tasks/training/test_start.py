"""Where an encoder starts.

Axes: n patch, p voxel, d features.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simcrop.config import Recipe, build_recipe
from simcrop.data.samples.dataset import cut
from simcrop.data.store.cohort import Study, open_cohort
from simcrop.engine.journal import read_journal
from simcrop.engine.progress import silent
from simcrop.errors import SimcropError
from simcrop.model import load
from simcrop.nn.stem import MIN_SPREAD, statistics_of
from simcrop.nn.vit import ViT
from simcrop.tasks.training.pretrain import pretrain, untrained
from simcrop.tasks.training.samples import training_studies
from simcrop.tasks.training.start import CohortSample

Tree = dict[str, Any]
LEARNED = {"pos_embed": "learned", "cls_token": False}


@pytest.fixture
def tree(toy_tree: Tree) -> Tree:
    return {**toy_tree, "optim": {**toy_tree["optim"], "steps": 2}}


def changed(tree: Tree, init: Tree, vision: Tree | None = None) -> Recipe:
    return build_recipe({**tree, "vision": {**tree["vision"], **(vision or {})}, "init": init}, "toy")


def start(cohort: Path, recipe: Recipe, out: Path) -> ViT:
    return load(untrained(cohort, recipe, out)).vision


def test_with_centred_positions_the_mean_patch_of_each_place_is_nothing(
    toy_cohort: Path, tree: Tree, tmp_path: Path
) -> None:
    plain = start(toy_cohort, changed(tree, {}, LEARNED), tmp_path / "plain")
    recipe = changed(tree, {"position": "centred"}, LEARNED)
    vision = start(toy_cohort, recipe, tmp_path / "centred")
    scans = torch.stack(
        [
            torch.from_numpy(cut(s, recipe.input.spec, None))[None]
            for s in training_studies(open_cohort(toy_cohort), recipe)
        ]
    )
    usual = vision.embed(recipe.input.grid.split(scans)).mean(0)
    torch.testing.assert_close(vision.position + usual, plain.position, atol=1e-5, rtol=1e-4)
    with pytest.raises(SimcropError, match="pos_embed = learned"):
        pretrain(toy_cohort, changed(tree, {"position": "centred"}), tmp_path / "fixed")


def test_with_attention_output_at_zero_a_token_speaks_of_its_own_patch_only(
    toy_cohort: Path, tree: Tree, tmp_path: Path
) -> None:
    patches = torch.rand(1, changed(tree, {}).input.grid.count, changed(tree, {}).input.grid.voxels)
    other = patches.clone()
    other[0, 1:] += 0.5
    for scale, local in ((0.0, True), (1.0, False)):
        vision = start(toy_cohort, changed(tree, {"attention_out": scale}), tmp_path / str(scale))
        with torch.no_grad():
            first, again = vision.encode(patches).patches[0, 0], vision.encode(other).patches[0, 0]
        assert torch.allclose(first, again, atol=1e-5) == local


def test_attention_output_at_zero_is_learned_away(toy_cohort: Path, tree: Tree, tmp_path: Path) -> None:
    assert pretrain(toy_cohort, changed(tree, {"attention_out": 0.0}), tmp_path / "run").finished
    blocks = load(tmp_path / "run").vision.transformer.blocks
    assert all(block.attn.proj.weight.abs().max() > 0 for block in blocks)


def test_loaded_attention_is_not_scaled(toy_cohort: Path, tree: Tree, tmp_path: Path) -> None:
    recipe = changed(tree, {"mae": "weights.safetensors", "attention_out": 0.0})
    with pytest.raises(SimcropError, match=r"not with init\.mae"):
        pretrain(toy_cohort, recipe, tmp_path / "run")


def test_what_is_usual_is_learned_from_the_training_scans_and_kept_in_the_model(
    toy_cohort: Path, tree: Tree, tmp_path: Path
) -> None:
    recipe = changed(tree, {}, {"stem": ["statistics"]})
    vision = start(toy_cohort, recipe, tmp_path / "start")
    scans = [
        torch.from_numpy(cut(study, recipe.input.spec, None))[None]
        for study in training_studies(open_cohort(toy_cohort), recipe)
    ]
    assert vision.statistics is not None
    seen = statistics_of(recipe.input.grid.split(torch.stack(scans)))[:, :, None].double()
    torch.testing.assert_close(vision.statistics.mean, seen.mean(0).float(), atol=1e-5, rtol=1e-4)
    spread = seen.std(0, correction=0).float() + MIN_SPREAD
    torch.testing.assert_close(vision.statistics.spread, spread, atol=1e-4, rtol=1e-3)
    assert pretrain(toy_cohort, recipe, tmp_path / "run").finished
    trained = load(tmp_path / "run").vision.statistics
    assert torch.equal(trained.mean, vision.statistics.mean)
    assert torch.equal(trained.spread, vision.statistics.spread)


def test_compiled_blocks_are_asked_for_by_a_setting(
    toy_cohort: Path, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(type(module).__name__))
    untrained(toy_cohort, changed(tree, {}), tmp_path / "plain")
    assert compiled == []
    recipe = changed({**tree, "engine": {**tree["engine"], "compile": True}}, {})
    untrained(toy_cohort, recipe, tmp_path / "compiled")
    assert compiled == ["Block"] * 3
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(SimcropError, match="needs a C\\+\\+ compiler that works"):
        untrained(toy_cohort, recipe, tmp_path / "refused")


def test_large_cohorts_are_sampled_by_seed_and_every_scan_of_the_sample_is_counted(
    toy_cohort: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simcrop.tasks.training.start.SCANS", 3)
    counted: list[tuple[int, int]] = []

    def sample(seed: int) -> CohortSample:
        recipe = changed({**tree, "seed": seed}, {})
        studies = training_studies(open_cohort(toy_cohort), recipe)
        return CohortSample(studies, recipe, lambda: lambda done, total, _: counted.append((done, total)))

    scans = [torch.stack(list(sample(seed).scans())) for seed in (0, 0, 1)]
    assert counted == [(1, 3), (2, 3), (3, 3)] * 3
    assert torch.equal(scans[0], scans[1])
    assert len({tuple(sample(seed).chosen) for seed in range(10)}) > 1


def test_of_a_sample_those_that_cannot_be_read_are_left_out_unless_several_in_a_row_cannot(
    toy_cohort: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simcrop.data.samples.reading.PAUSES_S", (0.0,))
    monkeypatch.setattr("simcrop.tasks.training.start.SCANS", 3)
    recipe = changed(tree, {})
    studies = training_studies(open_cohort(toy_cohort), recipe)
    sample = CohortSample(studies, recipe, lambda: silent)
    gone: set[str] = set()

    def cut_or_not(study: Study, *how: Any) -> np.ndarray:
        if study.id in gone:
            raise SimcropError("corrupt-volume", "damaged")
        return cut(study, *how)

    monkeypatch.setattr("simcrop.tasks.training.start.cut", cut_or_not)
    first, second, third = sample.scans()
    gone |= {studies[sample.chosen[1]].id, studies[sample.others[0]].id}
    replaced = list(sample.scans())
    assert len(replaced) == 3
    assert torch.equal(torch.cat(replaced[:2]), torch.cat([first, third]))
    assert not torch.equal(replaced[2], second)
    everyone = [*sample.chosen, *sample.others]
    gone |= {studies[index].id for index in everyone[1:5]}
    with pytest.raises(SimcropError, match=f"study {studies[everyone[4]].id}: damaged"):
        list(sample.scans())


def test_a_run_that_is_resumed_does_not_look_at_the_cohort_again(
    toy_cohort: Path, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = changed(tree, {"position": "centred"}, {**LEARNED, "stem": ["statistics"]})
    looked: list[int] = []
    scans = CohortSample.scans
    monkeypatch.setattr(CohortSample, "scans", lambda self: (looked.append(1), scans(self))[1])
    pretrain(toy_cohort, recipe, tmp_path / "run")
    assert looked == [1, 1]  # once for the stem, once for the positions
    before = (tmp_path / "run" / "model" / "model.safetensors").read_bytes()
    assert pretrain(toy_cohort, recipe, tmp_path / "run", resume=True).finished
    assert looked == [1, 1]
    assert (tmp_path / "run" / "model" / "model.safetensors").read_bytes() == before


def test_a_run_that_is_told_to_go_on_and_to_replace_starts_as_one_that_replaces(
    toy_cohort: Path, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start, record and precision are those of a new run, whatever lay in the folder."""
    loaded = pretrain(toy_cohort, changed(tree, {}), tmp_path / "loaded")
    assert loaded.finished
    recipe = changed({**tree, "engine": {"precision": "auto"}}, {"model": str(tmp_path / "loaded")})
    for run, more in (("new", {}), ("replaced", {}), ("replaced", {"resume": True, "overwrite": True})):
        slow = run == "new" or bool(more)
        monkeypatch.setattr("simcrop.engine.precision.processor_multiplies_bf16", lambda slow=slow: not slow)
        assert pretrain(toy_cohort, recipe, tmp_path / run, **more).finished
    new, replaced = (json.loads((tmp_path / run / "run.json").read_text()) for run in ("new", "replaced"))
    assert new["settings"]["engine.precision"] == replaced["settings"]["engine.precision"] == "fp32"
    assert new["start"] == replaced["start"]
    losses = [
        [row["loss"] for row in read_journal(tmp_path / run / "journal.jsonl")] for run in ("new", "replaced")
    ]
    assert losses[0] == losses[1]

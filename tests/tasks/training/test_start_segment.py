"""A segmentation starts from any encoder that there is, on the grid of its own windows, or says why it cannot.

Axes: x y z voxels, n patch, d features.
"""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.weights.conftest import released_state

from simcrop.config import Recipe, load_recipe
from simcrop.data.ingest import ingest
from simcrop.data.store.cohort import open_cohort
from simcrop.data.store.format import FINDINGS
from simcrop.errors import SimcropError
from simcrop.nn.position import interpolate_positions, sincos_3d, sincos_hw
from simcrop.phantom.cohort import Request, write_cohort
from simcrop.tasks.folder import read_run
from simcrop.tasks.training.components import with_known_classes
from simcrop.tasks.training.pretrain import untrained
from simcrop.tasks.training.samples import samples_of, training_studies
from simcrop.tasks.weights import import_weights

SPACING = (22.0, 22.0, 40.0)
SMALL = (
    "input.spacing_mm=[22,22,40]",
    "input.shape=[8,16,8]",
    "vision.depth=2",
    "vision.dim=24",
    "vision.heads=2",
    "data.split=",
)
GRID, THERE = (1, 2, 2), (2, 2, 2)  # patches of 8 x 8 x 4 voxels


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three chests with both lungs and a trachea."""
    folder = tmp_path_factory.mktemp("lungs")
    write_cohort(folder / "raw", Request("luna16", 3, 1, "tiny"))
    ingest(folder / "raw", "luna16", folder / "cohort", SPACING)
    return folder / "cohort"


def recipe(*settings: str) -> Recipe:
    return load_recipe("segment-tiny", [*SMALL, *settings])


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


@pytest.mark.parametrize("code", ["sincos3d", "learned"])
def test_from_a_run_the_encoder_comes_with_positions_for_the_window(
    cohort: Path, tmp_path: Path, code: str
) -> None:
    """The public code drops the checkpoint's positions (flaw 10)."""
    kind = f"vision.pos_embed={code}"
    there = load_recipe("mae-tiny", [*SMALL, "input.shape=[16,16,8]", kind, "seed=5"])
    source = untrained(cohort, there, tmp_path / "mae")
    made = untrained(cohort, recipe(kind, f"init.model={source}"), tmp_path / "segment")
    ours, theirs = weights(made), weights(source)
    shared = [name for name in theirs if name.startswith("vision.") and name != "vision.position"]
    assert all(torch.equal(ours[name], theirs[name]) for name in shared)
    if code == "learned":
        expected = interpolate_positions(theirs["vision.position"], THERE, GRID)
        torch.testing.assert_close(ours["vision.position"], expected)
    started = read_run(made)["start"]
    assert started["new"] == ["decoder"]
    assert set(started["loaded"]) >= set(shared)
    assert any(name.startswith("decoder.") for name in ours)


@pytest.mark.parametrize(("depth", "taps"), [(8, (3, 5, 8)), (12, (4, 8, 12))])
def test_from_the_released_checkpoint_of_either_depth_every_block_is_loaded(
    cohort: Path, tmp_path: Path, depth: int, taps: tuple[int, ...]
) -> None:
    """There a checkpoint of 8 blocks would leave 4 random ones unnoticed (flaw 9)."""
    torch.save({"model": released_state(depth, patch=(8, 8, 4))}, tmp_path / "released.pth")
    import_weights("released", tmp_path / "released.pth", tmp_path / "model")
    same = (
        f"vision.depth={depth}",
        "vision.dim=128",
        "vision.pos_embed=sincos_hw",
        f"init.model={tmp_path / 'model'}",
    )
    asked = recipe(*same)
    assert asked.tapped(asked.input.grid) == taps
    made = untrained(cohort, asked, tmp_path / "segment")
    ours, theirs = weights(made), load_file(tmp_path / "model" / "model.safetensors")
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    assert f"vision.transformer.blocks.{depth - 1}.mlp.fc2.weight" in theirs
    assert read_run(made)["start"]["new"] == ["decoder"]
    with pytest.raises(SimcropError, match=f"vision.depth = 2, there {depth}"):
        untrained(cohort, recipe(*same, "vision.depth=2"), tmp_path / "shallow")
    assert not (tmp_path / "shallow").exists()


def test_from_images_the_blocks_are_loaded_and_the_rest_is_named(cohort: Path, tmp_path: Path) -> None:
    plain = recipe()
    state = plain.vision.build(plain.input.grid).transformer.state_dict()
    save_file(
        {**state, "cls_token": torch.ones(1, 1, 24), "pos_embed": torch.ones(1, 50, 24)},
        tmp_path / "mae.safetensors",
    )
    made = untrained(
        cohort, recipe(f"init.mae={tmp_path / 'mae.safetensors'}", "init.patch_embed=skip"), tmp_path / "run"
    )
    assert all(
        torch.equal(weights(made)[f"vision.transformer.{name}"], tensor) for name, tensor in state.items()
    )
    assert read_run(made)["start"]["new"] == [
        "decoder",
        "vision.patch_embed.bias",
        "vision.patch_embed.weight",
    ]


def test_an_encoder_of_one_grid_goes_to_no_window(cohort: Path, tmp_path: Path) -> None:
    stem = "vision.stem=[statistics,linear]"
    source = untrained(
        cohort, load_recipe("mae-tiny", [*SMALL, "input.shape=[16,16,8]", stem]), tmp_path / "mae"
    )
    with pytest.raises(SimcropError, match="with a stem of statistics, cannot read") as refused:
        untrained(cohort, recipe(stem, f"init.model={source}"), tmp_path / "segment")
    assert "\n" not in refused.value.sentence


def test_positions_of_windows_are_those_of_their_own_grid() -> None:
    """All three axes, whatever their sizes: the public code takes the cube root of the count (flaw 10)."""
    vision = recipe("vision.dim=24").vision
    grid = recipe().input.grid
    assert torch.equal(vision.build(grid).position, sincos_3d(GRID, 24))
    assert not torch.equal(sincos_3d(GRID, 24), sincos_hw(GRID, 24))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("classes=[left lung, trachae]",), "no class 'trachae', did you mean trachea"),
        (("vary.flips=[0.5,0,0]",), "class 'left lung' has a side"),
        (
            ("aug.flip_lr=true",),
            "segment draws windows of scans: aug, data.mispaired and input.centre are not",
        ),
        (
            ("input.spacing_mm=[1.5,1.5,3]",),
            "ingest it with --spacing 1.5,1.5,3, or set input.spacing_mm to its own",
        ),
        (("data.split=elsewhere",), "no study in split 'elsewhere'"),
    ],
)
def test_what_cannot_be_learned_is_one_line_and_no_folder(
    cohort: Path, tmp_path: Path, settings: tuple[str, ...], words: str
) -> None:
    with pytest.raises(SimcropError, match=words) as refused:
        untrained(cohort, recipe(*settings), tmp_path / "run")
    assert "\n" not in refused.value.sentence
    assert not (tmp_path / "run").exists()


def test_classes_come_from_the_cohort_and_none_is_learned_that_no_mask_has(cohort: Path) -> None:
    studies = training_studies(open_cohort(cohort), recipe())
    assert with_known_classes(recipe(), studies).classes == tuple(studies.classes.values())
    windows = samples_of(studies, with_known_classes(recipe("classes=[trachea]"), studies))
    assert windows.numbers == (5,)  # type: ignore[attr-defined]
    more = replace(studies, classes={**studies.classes, 9: "spleen"})
    with pytest.raises(
        SimcropError, match="class 'spleen' is marked in none of its 3 studies; without it: --set"
    ):
        with_known_classes(recipe(), more)


def test_marks_of_sentences_are_no_classes_whose_lack_is_background(cohort: Path, tmp_path: Path) -> None:
    studies = replace(training_studies(open_cohort(cohort), recipe()), classes={})
    with pytest.raises(SimcropError, match="names a class to learn"):
        with_known_classes(recipe(), studies)
    (tmp_path / FINDINGS).touch()
    for asked in (recipe(), recipe("classes=[trachea]")):
        with pytest.raises(SimcropError, match="cannot be learned as background") as caught:
            with_known_classes(asked, replace(studies, path=tmp_path))
        assert caught.value.reason == "no-class"


def test_a_cohort_without_masks_is_refused(toy_cohort: Path, tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match=r"none of its .* studies has a mask to learn from"):
        untrained(toy_cohort, recipe(), tmp_path / "run")


def test_a_share_is_drawn_among_the_patients_with_masks(cohort: Path) -> None:
    whole = open_cohort(cohort)
    first = whole.index["id"][0]
    index = whole.index.with_columns(
        pl.when(pl.col("id") == first).then(None).otherwise(pl.col("mask_checksum")).alias("mask_checksum")
    )
    assert first not in training_studies(replace(whole, index=index), recipe()).index["id"].to_list()
    assert len(training_studies(replace(whole, index=index), recipe("data.share=0.5"))) == 1

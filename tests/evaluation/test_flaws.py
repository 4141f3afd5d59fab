"""Flaws of the public code that an evaluation of features must not repeat, by their numbers in this project's own list:
for each a test here or elsewhere.
"""

import ast
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from simcrop.data.store.cohort import open_cohort
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError
from simcrop.evaluation.features import pooled_features, volumes_of
from simcrop.model import load

TESTS = Path(__file__).parents[1]
HERE = "evaluation/test_flaws.py"
FLAWS = {
    1: (
        "two effusions of RAD-ChestCT are one column",
        "data/layouts/test_rad_chestct.py::test_no_two_classes_are_made_of_the_same_columns",
    ),
    2: (
        "patients of CC-CCII are on both sides",
        "data/layouts/test_cc_ccii.py::test_all_scans_of_a_patient_are_in_one_part_and_the_split_is_stored",
        "tasks/test_bad_evaluations.py::test_cohort_that_cannot_be_judged",
    ),
    3: ("chosen on the test scans", f"{HERE}::test_flaw_3_nothing_that_is_chosen_depends_on_the_test_scans"),
    5: ("shares drawn by volume", f"{HERE}::test_flaw_5_a_share_takes_every_volume_of_a_patient_or_none"),
    6: (
        "calcification chosen by test AUC",
        "evaluation/test_label_map.py::test_larger_of_two_probabilities_counts_whatever_scores_better",
        "tasks/probing/test_transfer.py::test_heads_of_ct_rate_are_judged_on_the_classes_of_rad_chestct",
    ),
    7: ("orientation as it comes", f"{HERE}::test_flaw_7_features_do_not_depend_on_how_a_file_is_turned"),
    8: (
        "scans are mirrored",
        "tasks/features/test_augmented_views.py::test_crop_moves_no_further_than_it_may_and_is_never_mirrored",
    ),
    9: ("blocks left random unnoticed", f"{HERE}::test_flaw_9_a_model_that_lacks_blocks_is_refused"),
    10: (
        "grids are cubes, positions know no depth",
        "nn/test_patch.py::test_patch_number_and_grid_coordinates_name_the_same_box",
        "nn/test_position.py::test_every_axis_matters_and_is_written_in_its_own_third",
    ),
    11: (
        "encoder in training mode, its final norm thrown away",
        f"{HERE}::test_flaw_11_frozen_encoder_repeats_itself_and_keeps_its_final_norm",
    ),
}


@pytest.mark.parametrize("number", FLAWS)
def test_every_flaw_has_a_test(number: int) -> None:
    for name in FLAWS[number][1:]:
        file, _, function = name.partition("::")
        there = {
            node.name
            for node in ast.parse((TESTS / file).read_text()).body
            if isinstance(node, ast.FunctionDef)
        }
        assert function in there, name


ROWS = 48
IDS = [f"scan{i:02}" for i in range(ROWS)]


@pytest.fixture
def cohort(toy_cohort: Path, tmp_path: Path) -> Path:
    """Three volumes of each of sixteen patients, half of whom are judged; its features in `made.parquet`."""
    folder, row, random = tmp_path / "cohort", np.arange(ROWS), np.random.default_rng(0)
    folder.mkdir()
    for file in toy_cohort.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    index = pl.read_parquet(folder / "studies.parquet")
    index = index.drop([name for name in index.columns if name.startswith("label:")])
    truth = row // 3 % 2
    pl.concat([index.head(1)] * ROWS).with_columns(
        pl.Series("id", IDS),
        pl.Series("patient", [f"p{i // 3:02}" for i in row]),
        pl.Series("split", np.where(row < ROWS // 2, "train", "valid")),
        pl.Series("label:Emphysema", truth, dtype=pl.Int8),
    ).write_parquet(folder / "studies.parquet")
    write_features(tmp_path, truth[:, None] + random.normal(size=(ROWS, 6)))
    return folder


def write_features(folder: Path, rows: np.ndarray) -> None:
    pl.DataFrame({"id": IDS, "embedding": rows.tolist()}).write_parquet(folder / "made.parquet")


def test_flaw_3_nothing_that_is_chosen_depends_on_the_test_scans(
    simcrop: Callable, cohort: Path, tmp_path: Path
) -> None:
    """Other test scans with another truth: the same view, penalty, weights and thresholds to the bit."""
    words = ("probe", tmp_path / "made.parquet", cohort, "--out")
    assert simcrop(*words, tmp_path / "one").code == 0
    table, half = pl.read_parquet(cohort / "studies.parquet"), ROWS // 2
    others = 1 - table["label:Emphysema"].to_numpy()[half:]
    truth = np.concatenate([table["label:Emphysema"].to_numpy()[:half], others])
    table.with_columns(pl.Series("label:Emphysema", truth)).write_parquet(cohort / "studies.parquet")
    rows = np.array(pl.read_parquet(tmp_path / "made.parquet")["embedding"].to_list())
    write_features(tmp_path, np.concatenate([rows[:half], 100 * rows[half:] + 7]))
    assert simcrop(*words, tmp_path / "two").code == 0
    one, two = (load_file(tmp_path / name / "heads.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_flaw_5_a_share_takes_every_volume_of_a_patient_or_none(
    simcrop: Callable, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simcrop.tasks.probing import probe as task

    drawn: list[np.ndarray] = []
    real = task.some_patients
    monkeypatch.setattr(task, "some_patients", lambda *how: (drawn.append(real(*how)), drawn[-1])[1])
    words = ("probe", tmp_path / "made.parquet", cohort, "--share", "0.5,1", "--seeds", "3")
    ran = simcrop(*words, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert len(drawn) == 6
    for rows in drawn:
        volumes = rows.reshape(-1, 3)
        assert (volumes.all(1) == volumes.any(1)).all()
    assert sorted(rows.sum() for rows in drawn) == [12, 12, 12, 24, 24, 24]


def test_flaw_7_features_do_not_depend_on_how_a_file_is_turned(line, scan: Callable) -> None:
    """The same chest stored the other way round, its affine saying so."""
    model, hu = load(line.run), scan(0, (40, 36, 30)).astype(np.float32)
    hu[25:, 5:15] = 300  # unlike on its two sides, its front and its back
    affine = np.diag([5.5, 5.5, 10.0, 1.0])
    turned = np.diag([-5.5, -5.5, 10.0, 1.0])
    turned[:2, 3] = 39 * 5.5, 35 * 5.5
    one = model.embed(Volume(hu, affine))
    np.testing.assert_allclose(model.embed(Volume(hu[::-1, ::-1].copy(), turned)), one, atol=1e-5)
    as_it_comes = model.embed(Volume(hu[::-1, ::-1].copy(), affine))
    assert np.abs(as_it_comes - one).max() > 1e-3


def test_flaw_9_a_model_that_lacks_blocks_is_refused(simcrop: Callable, line, tmp_path: Path) -> None:
    """Eight blocks in the file, twelve in the config: four would stay random."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in ("config.json", "tokenizer", "text"):
        (folder / file).symlink_to(line.run / "model" / file)
    state = load_file(line.run / "model/model.safetensors")
    last = next(name for name in state if name.startswith("vision.") and ".blocks.0." in name).partition(
        ".blocks."
    )[0]
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(f"{last}.blocks.0.")}
    assert len(kept) < len(state)
    save_file(kept, folder / "model.safetensors")
    ran = simcrop("embed", folder, line.cohort, "--out", tmp_path / "out")
    assert f"{last}.blocks.0." in ran.refusal
    assert not (tmp_path / "out").exists()
    with pytest.raises(SimcropError):
        load(folder)


def test_flaw_11_frozen_encoder_repeats_itself_and_keeps_its_final_norm(line) -> None:
    model, studies = load(line.run), [open_cohort(line.cohort)[i] for i in range(2)]
    assert not any(module.training for module in model.modules())
    normed: list[torch.Tensor] = []
    norm = next(module for name, module in model.vision.named_modules() if name.endswith("transformer.norm"))
    norm.register_forward_hook(lambda _module, _given, found: normed.append(found))
    once, again = pooled_features(model, studies), pooled_features(model, studies)
    np.testing.assert_array_equal(once["mean"], again["mean"])
    patches = model.features_of(volumes_of(studies, model.spec))
    assert torch.equal(normed[-1][:, -patches.shape[1] :], patches)
    np.testing.assert_allclose(once["mean"], patches.mean(1).numpy(), atol=1e-5)

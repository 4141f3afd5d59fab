"""Flaws of the public segmentation code, and for each a test that ours does not have it.

| there | test |
| --- | --- |
| warm-up as long as the run, and a validation that steers it | `test_a_warm_up_as_long_as_the_run_is_refused` |
| validation cases are test cases | `test_segment.py`: whoever was learned from is not judged |
| flips across a side with classes that have one | `test_no_recipe_mirrors_left_and_right` |
| the class token and cubic grids | `test_any_grid_and_no_class_token_reach_the_decoder` |
| layers of a network of twelve alone | `test_layers_are_spread_and_those_of_the_public_code_can_be_asked_for` |
| Dice with background in it | `test_background_is_no_class` |
| scored on a resampled crop | `test_a_mask_drawn_from_truth_is_perfect_and_resampling_costs_what_it_costs` |
| outside of a scan is water | `test_what_lies_outside_of_a_scan_is_air` |
| a cache of another spacing | `test_a_cohort_of_another_spacing_is_refused_when_it_learns_and_when_it_judges` |
| absent organs are 0 or 1, distances a constant | `test_absent_organs_are_left_out_and_distances_are_measured` |
| another network for inference, masks on the crop | `test_segment.py`: judged on the grid of the file |
| the window of lungs for the abdomen, unsaid | `test_a_run_says_its_window` |

Lengths in mm.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from lungs import toy

from simcrop.config import load_recipe, recipe_names
from simcrop.data.resampling.back import LabelsBack
from simcrop.data.samples.windows import as_channels
from simcrop.data.store.cohort import Study, open_cohort
from simcrop.data.volume import spacing_of
from simcrop.errors import SimcropError
from simcrop.evaluation.segmentation import ScanScores, judge, score_scan
from simcrop.model.sliding_window import logit_slabs
from simcrop.nn.unetr import tap
from simcrop.objectives.needs import Components
from simcrop.objectives.segment import Segment, SegmentSettings
from simcrop.tasks.segmentation.segment import segment
from simcrop.tasks.training.job import prepare_job
from simcrop.tasks.training.samples import training_studies

RECIPES = [name for name in recipe_names() if name.startswith("segment-")]
NAMES = {1: "left lung", 2: "right lung", 3: "trachea"}


@pytest.fixture(scope="module")
def study(marked: Path) -> Study:
    return open_cohort(marked)[0]


def score(study: Study, labels: np.ndarray, names: dict[int, str] = NAMES) -> ScanScores:
    truth = as_channels(study.source_mask(), (3, 4, 5))
    return score_scan(study.id, study.patient, labels, truth, spacing_of(study.source_affine), names)


@pytest.mark.parametrize("name", RECIPES)
def test_a_warm_up_as_long_as_the_run_is_refused(name: str) -> None:
    epochs = load_recipe(name).optim.epochs
    with pytest.raises(SimcropError, match="leave nothing of epochs"):
        load_recipe(name, [f"optim.warmup_epochs={epochs}"])


@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_mirrors_left_and_right(name: str) -> None:
    sided = load_recipe(name, ["classes=[left kidney, spleen]"])
    assert sided.window_needs is not None
    assert sided.window_needs.variation.flips[0] == 0
    mirrored = load_recipe(name, ["classes=[left kidney, spleen]", "vary.flips=[0.5, 0, 0]"])
    with pytest.raises(SimcropError, match="'left kidney' has a side"):
        _ = mirrored.window_needs


@pytest.mark.parametrize("name", ["segment-paper-btcv", "segment-paper-luna16"])
def test_layers_are_spread_and_those_of_the_public_code_can_be_asked_for(name: str) -> None:
    words = "vision.depth=12", "decoder.taps=[4,7,10,12]"
    for count, layers in enumerate([(2, 4, 6, 8), (3, 6, 9, 12), (4, 7, 10, 12)]):
        recipe = load_recipe(name, list(words[:count]))
        assert isinstance(recipe, SegmentSettings)
        assert recipe.tapped(recipe.input.grid) == layers


def test_any_grid_and_no_class_token_reach_the_decoder() -> None:
    recipe = toy("classes=[a, b]", "vision.pos_embed=sincos_hw", "vision.cls_token=true")
    objective = recipe.build(Components(recipe.input.grid))
    assert isinstance(objective, Segment)
    with torch.no_grad():
        volume = torch.rand(2, 1, 16, 12, 8)
        taps = tap(objective.vision, volume, objective.taps)
        assert [tuple(tap.shape) for tap in taps] == [(2, 4 * 3 * 4, 24)] * len(objective.taps)
        assert objective.decoder(volume, taps).shape == (2, 3, 16, 12, 8)


def test_background_is_no_class(study: Study) -> None:
    """A mask without a single organ is right in nine voxels of ten, and worth nothing."""
    judged = judge([score(study, np.zeros(study.source_shape, np.int16))], seed=0)
    assert judged.means["dice"].value == 0
    assert [of.name for of in judged.classes] == list(NAMES.values())


def test_a_mask_drawn_from_truth_is_perfect_and_resampling_costs_what_it_costs(study: Study) -> None:
    truth = as_channels(study.source_mask(), (3, 4, 5))
    perfect = judge([score(study, truth)], seed=0).means
    assert (perfect["dice"].value, perfect["hd95_mm"].value, perfect["nsd"].value) == (1, 0, 1)

    stored = as_channels(study.mask(), (3, 4, 5))
    back = LabelsBack(study.source_shape, study.source_affine, study.shape, study.affine)
    back.take(np.stack([stored == channel for channel in range(4)]).astype(np.float32))
    there_and_back = score(study, back.labels).scores
    # Voxels of 16 x 14 x 24 mm hold a lung badly and a trachea hardly: on their own grid both would be called perfect.
    assert 0.8 < there_and_back["left lung"].dice < 0.95
    assert there_and_back["trachea"].dice < there_and_back["right lung"].dice


def test_what_lies_outside_of_a_scan_is_air() -> None:
    seen = list[torch.Tensor]()

    def network(windows: torch.Tensor) -> torch.Tensor:
        seen.append(windows)
        return torch.zeros(len(windows), 2, *windows.shape[2:])

    list(
        logit_slabs(torch.zeros(3, 5, 2), None, (6, 8, 4), network, 2)
    )  # water all over, smaller than a window
    (window,) = seen
    assert window.min() == -1
    assert int((window == 0).sum()) == 3 * 5 * 2


def test_a_cohort_of_another_spacing_is_refused_when_it_learns_and_when_it_judges(
    marked: Path, tmp_path: Path
) -> None:
    with pytest.raises(SimcropError, match="is not stored at"):
        segment(marked, toy("input.spacing_mm=[8, 7, 12]"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_absent_organs_are_left_out_and_distances_are_measured(study: Study) -> None:
    truth = as_channels(study.source_mask(), (3, 4, 5))
    names = NAMES | {4: "spleen"}
    moved, invented = np.zeros_like(truth), truth.copy()
    moved[1:] = truth[:-1]
    invented[:3, :3, :3] = 4
    one, other = score(study, moved, names), score(study, invented, names)
    assert all(math.isnan(of.scores["spleen"].dice) for of in (one, other))
    assert other.scores["spleen"].false_positive
    step = spacing_of(study.source_affine)[0]
    assert one.scores["left lung"].hd95_mm == pytest.approx(step, rel=0.01)
    judged = judge([one, other], seed=0)
    spleen = judged.classes[3]
    assert (spleen.present, spleen.absent, spleen.false_positives) == (0, 2, 1)
    assert judged.unseen == ("spleen",)
    assert judged.means["dice"].value == pytest.approx(
        np.mean([of.means["dice"].value for of in judged.classes[:3]])
    )


def test_a_run_says_its_window(marked: Path, tmp_path: Path) -> None:
    assert load_recipe("segment-paper-btcv").input.window_hu == (-1000, 1000)
    segment(marked, toy("input.window_hu=[-175, 250]", "optim.steps=1", "data.share=0.2"), tmp_path / "run")
    config = json.loads((tmp_path / "run/model/config.json").read_text())
    assert config["preprocessing"]["window_hu"] == [-175, 250]
    assert "<td>input.window_hu</td><td>(-175.0, 250.0)</td>" in (tmp_path / "run/report.html").read_text()


def test_scans_that_cannot_be_read_are_counted_among_scans_and_not_among_windows(
    marked: Path, tmp_path: Path
) -> None:
    recipe, cohort = toy("windows.per_scan=7", "classes=[left lung]"), open_cohort(marked)
    studies = training_studies(cohort, recipe)
    _, job = prepare_job(cohort, studies, recipe, tmp_path / "out")
    assert (job.studies, job.order.count) == (len(studies), 7 * len(studies))

"""What a run is made of: its monitor asks the sentences that the run has gathered, and no report a second time; how its
parts are computed is as its settings say.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from simcrop.config import build_recipe, load_recipe
from simcrop.data.samples.text_features import document_frequencies
from simcrop.data.store.cohort import open_cohort
from simcrop.engine.job import EngineSettings
from simcrop.errors import SimcropError
from simcrop.evaluation import monitor as monitors
from simcrop.evaluation.monitor import AlignmentMonitor
from simcrop.nn.transformer import Transformer
from simcrop.objectives.method import Objective
from simcrop.objectives.needs import Components
from simcrop.tasks.training.job import prepare_job, take_ways
from simcrop.tasks.training.pretrain import pretrain
from simcrop.tasks.training.samples import training_studies


@pytest.mark.parametrize("share", [1, 0.5])
def test_monitor_counts_sentences_in_the_bank_that_holds_all_of_its_split(
    toy_cohort: Path, toy_tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    recipe = build_recipe({**toy_tree, "data": {**toy_tree.get("data", {}), "share": share}}, "toy")
    cohort = open_cohort(toy_cohort)
    _, job = prepare_job(cohort, training_studies(cohort, recipe), recipe, tmp_path / "out")
    assert isinstance(job.monitor, AlignmentMonitor)
    asked = []

    def counted(*of: Any) -> torch.Tensor:
        asked.append(1)
        return document_frequencies(*of)

    monkeypatch.setattr(monitors, "document_frequencies", counted)
    found, flat = job.monitor.sentences, []
    for study in job.monitor.studies:
        flat += monitors.Report(study.findings, study.impression).sentences
    reports = (
        monitors.Report(study.findings, study.impression).sentences for study in cohort.select("train")
    )
    assert torch.equal(found.document_frequency, document_frequencies(flat, reports))
    assert found.document_frequency.max() > 0
    assert asked == ([] if share == 1 else [1])


@pytest.fixture
def objective(toy_cohort: Path, toy_tree: dict[str, Any], tmp_path: Path) -> Objective:
    recipe, cohort = build_recipe(toy_tree, "toy"), open_cohort(toy_cohort)
    return prepare_job(cohort, training_studies(cohort, recipe), recipe, tmp_path / "out")[0]


def test_graphs_are_for_a_card_and_for_every_vision_transformer(objective: Objective) -> None:
    asked = EngineSettings(cuda_graphs=True)
    with pytest.raises(
        SimcropError, match=r"engine\.cuda_graphs = true is for CUDA devices, and this run is on cpu"
    ):
        take_ways(objective, asked, torch.device("cpu"))
    transformers = [module for module in objective.modules() if isinstance(module, Transformer)]
    assert not any(module.replay for module in transformers)
    take_ways(objective, asked, torch.device("cuda"))
    assert len(transformers) == 2
    assert all(module.replay for module in transformers)


def test_graphs_are_refused_where_there_is_no_vision_transformer() -> None:
    recipe = load_recipe("supervised-cnn-tiny", ["vision.dim=16", "head.labels=[nodule]"])
    objective, card = recipe.build(Components(recipe.input.grid)), torch.device("cuda")
    take_ways(objective, EngineSettings(), card)
    with pytest.raises(
        SimcropError, match=r"cuda_graphs = true is for vision transformers, and there is none"
    ):
        take_ways(objective, EngineSettings(cuda_graphs=True), card)


@pytest.mark.parametrize(
    ("other", "named"),
    [({"recompute": True}, "engine.recompute"), ({"sharding": "full"}, "engine.sharding = full")],
)
def test_graphs_and_what_moves_or_frees_memory_do_not_go_together(other: dict[str, Any], named: str) -> None:
    with pytest.raises(SimcropError, match=f"engine.cuda_graphs and {named} do not go together"):
        EngineSettings(cuda_graphs=True, **other)


def test_what_replays_gets_all_that_is_trained_and_nothing_else(objective: Objective) -> None:
    """Without a card: a stand-in that computes as always sees each call in training, and none that taps or judges."""
    [transformer, *_] = [module for module in objective.modules() if isinstance(module, Transformer)]
    x = torch.randn(2, 5, transformer.norm.normalized_shape[0])
    usual, seen = transformer(x), []

    def stand_in(x: torch.Tensor, skip_attention: bool) -> torch.Tensor:
        seen.append(skip_attention)
        return transformer.through(x, skip_attention).last

    transformer.replay = stand_in
    torch.testing.assert_close(transformer(x), usual)
    transformer(x, skip_attention=True)
    transformer.depths(x, taps=[1])
    transformer.eval()(x)
    assert seen == [False, True]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"optim": {"batch": 3}, "engine": {"micro_batch": 2}}, "optim.batch = 3 cannot be shared"),
        ({"engine": {"cuda_graphs": True}}, "engine.cuda_graphs = true is for CUDA devices"),
    ],
)
def test_what_cannot_be_computed_so_is_refused_before_anything_is_gathered(
    toy_cohort: Path,
    toy_tree: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, dict[str, Any]],
    words: str,
) -> None:
    monkeypatch.setattr("simcrop.tasks.training.train.prepare_job", None)
    tree = toy_tree | {group: {**toy_tree.get(group, {}), **given} for group, given in change.items()}
    with pytest.raises(SimcropError, match=words):
        pretrain(toy_cohort, build_recipe(tree, "toy"), tmp_path / "run")
    assert not (tmp_path / "run").exists()

"""What a run is made of: its monitor asks the sentences that the run has gathered, and no report a second time."""

from pathlib import Path
from typing import Any

import pytest
import torch

from simcrop.config import build_recipe
from simcrop.data.store.cohort import open_cohort
from simcrop.evaluation import monitor as monitors
from simcrop.evaluation.monitor import AlignmentMonitor, document_frequencies
from simcrop.tasks.job import prepare_job
from simcrop.tasks.training_samples import training_studies


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
    reports = (monitors.Report(study.findings, study.impression) for study in cohort.select("train"))
    assert torch.equal(found.document_frequency, document_frequencies(flat, reports))
    assert found.document_frequency.max() > 0
    assert asked == ([] if share == 1 else [1])

"""The monitor of a run: held-out patients only, the training's own frequencies, the same answer when asked again."""

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from simcrop.config import Recipe, build_recipe
from simcrop.data.samples.dataset import cut
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.data.store.cohort import Study, open_cohort
from simcrop.engine.journal import read_journal
from simcrop.evaluation.monitor import UNREAD, Aligning, build_monitor, held_out
from simcrop.model import load
from simcrop.objectives.method import Objective
from simcrop.objectives.needs import Components
from simcrop.tasks.folder import read_json

FIGURES = {
    "align_accuracy",
    "align_accuracy_blank",
    "align_accuracy_mispaired",
    "retrieval_auc",
    "effective_rank",
}


def build(line, **align: object) -> tuple[Objective, Recipe, Tokenizer]:
    """The toy recipe's own method, untrained."""
    trained = load(line.run)
    tree = trained.recipe.model_dump(mode="json")
    recipe = build_recipe({**tree, "align": {**tree["align"], **align}}, "test")
    assert trained.tokenizer is not None
    torch.manual_seed(0)
    components = Components(recipe.input.grid, trained.text, trained.tokenizer)
    return recipe.build(components).eval(), recipe, trained.tokenizer


def test_figures_are_whole_and_the_same_when_asked_again(line) -> None:
    objective, recipe, tokenizer = build(line)
    monitor = build_monitor(objective, open_cohort(line.cohort), recipe, tokenizer)
    assert monitor is not None
    figures = monitor()
    assert set(figures) <= FIGURES
    assert {"align_accuracy", "align_accuracy_blank"} <= set(figures)
    assert monitor() == figures
    assert 0 <= figures["align_accuracy"] <= 1
    objective.get_parameter("vision.patch_embed.weight").data.mul_(0)
    changed = monitor()
    assert changed["align_accuracy"] == pytest.approx(changed["align_accuracy_blank"])


def test_a_study_that_cannot_be_read_is_left_out_and_counted(line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simcrop.data.samples.reading.PAUSES_S", (0.0,))
    objective, recipe, tokenizer = build(line)
    cohort = open_cohort(line.cohort)
    built = build_monitor(objective, cohort, recipe, tokenizer)
    assert built is not None
    monitor = replace(built, studies=tuple(cohort.select("train")[i] for i in range(3)))
    gone = monitor.studies[1]

    def cut_or_not(study: Study, *how: Any) -> np.ndarray:
        if study == gone:
            raise OSError(errno.ESTALE, "Stale file handle")
        return cut(study, *how)

    monkeypatch.setattr("simcrop.evaluation.monitor.cut", cut_or_not)
    others = replace(monitor, studies=tuple(study for study in monitor.studies if study != gone))
    assert monitor() == pytest.approx(others() | {UNREAD: 1}, rel=1e-5)
    assert replace(monitor, studies=(gone,))() == {UNREAD: 1}


def test_trained_text_is_encoded_anew_and_frozen_text_gives_the_same_once(line) -> None:
    objective, recipe, tokenizer = build(line)
    cohort = open_cohort(line.cohort)
    assert isinstance(objective, Aligning)
    cached = build_monitor(objective, cohort, recipe, tokenizer)
    assert cached is not None
    frozen = cached()
    assert cached.sentences.features is not None
    objective.text.frozen = False
    trained = build_monitor(objective, cohort, recipe, tokenizer)
    assert trained is not None
    assert trained() == pytest.approx(frozen, abs=1e-4)
    assert trained.sentences.tokens is not None
    objective.text.bert.embeddings.word_embeddings.weight.data.mul_(-1)
    assert cached() == frozen
    assert trained() != pytest.approx(frozen, abs=1e-4)


def test_method_that_aligns_nothing_or_keeps_nobody_out_is_not_monitored(line) -> None:
    cohort = open_cohort(line.cohort)
    objective, recipe, tokenizer = build(line, use_sa=False)
    assert isinstance(objective, Aligning)
    assert build_monitor(objective, cohort, recipe, tokenizer) is None
    assert build_monitor(nn.Linear(2, 3), cohort, recipe, tokenizer) is None
    objective, recipe, tokenizer = build(line)
    everyone = build_recipe({**recipe.model_dump(mode="json"), "data": {"split": ""}}, "test")
    assert build_monitor(objective, cohort, everyone, tokenizer) is None


def test_held_out_are_one_study_per_patient_never_one_trained_on(line) -> None:
    cohort = open_cohort(line.cohort)
    chosen = held_out(cohort, "train")
    trained = set(cohort.select("train").index["patient"])
    assert chosen
    assert len({study.patient for study in chosen}) == len(chosen)
    assert not {study.patient for study in chosen} & trained
    assert held_out(cohort, "valid") == []
    one = chosen[0].patient
    known = pl.when(pl.col("patient") == cohort.select("train")[0].patient).then(pl.lit(one))
    mixed = replace(cohort, index=cohort.index.with_columns(known.otherwise("patient").alias("patient")))
    assert one not in {study.patient for study in held_out(mixed, "train")}
    # Trained on no split that exists: whoever is in `valid` is held out, evenly chosen.
    assert len(held_out(cohort, "nobody", at_most=1)) == 1


def test_run_writes_its_controls_into_journal_figures_and_page(line) -> None:
    rows = read_journal(line.run / "journal.jsonl")
    monitored = [row for row in rows if "monitored" in row]
    assert monitored
    assert monitored[-1]["step"] == rows[-1]["step"]
    metrics = read_json(line.run / "metrics.json")
    assert {name: metrics[name] for name in monitored[-1]["monitored"]} == monitored[-1]["monitored"]
    page = Path(line.run / "report.html").read_text()
    assert "Does it look at the image?" in page
    assert "in CT-RATE these are the test set" in page
    assert "monitored" not in [name.removesuffix("_last") for name in metrics]

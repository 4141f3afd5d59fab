"""A method that nobody has heard of: one file beside the others and one YAML, and every verb knows it.

It has an encoder of its own, a convolution of another patch size, and asks for all that a method may ask for: texts,
masks, a tensor of its own, a rate of its own, and a head that only training needs.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from simcrop import objectives
from simcrop.config import load_recipe
from simcrop.data.ingest import ingest
from simcrop.data.store.cohort import open_cohort
from simcrop.engine.optim import build_optimizer
from simcrop.model import load
from simcrop.objectives.registry import methods
from simcrop.phantom import write_ct_rate
from simcrop.tasks.training.components import gather_inputs

METHOD = '''
"""Throw-away: tells how bright a scan is, how much of it is marked, and which report is its own."""

from typing import ClassVar

import torch
from einops import rearrange
from torch import nn

from simcrop import losses
from simcrop.losses import Compared
from simcrop.nn.encoder import VisionEncoder, VisionFeatures
from simcrop.objectives.method import MethodSettings, Objective, ProjectionHead, Term
from simcrop.objectives.needs import TextNeeds
from simcrop.objectives.texts import text_features
from simcrop.settings import Settings


class ConvSettings(Settings):
    dim: int = 10

    def build(self, grid):
        return Conv(self, grid)


class Conv(VisionEncoder):
    """One convolution, no attention."""

    def __init__(self, settings, grid):
        super().__init__()
        self.grid, self.width, self.layers = grid, settings.dim, 1
        self.conv = nn.Conv3d(1, settings.dim, grid.patch, grid.patch)

    def tokens(self, volume, mask=None, skip_attention=False, taps=()):
        del mask, skip_attention
        features = rearrange(self.conv(volume), "b d x y z -> b (x y z) d")
        return VisionFeatures(None, features, tuple(features for _ in taps))


class Space(ProjectionHead):
    def __init__(self, width, text_width):
        super().__init__()
        self.image, self.words = nn.Linear(width, 6), nn.Linear(text_width, 6)

    def patches(self, features):
        return self.image(features)

    def sentences(self, features):
        return self.words(features.float())


class ThrowAwaySettings(MethodSettings):
    name: ClassVar[str] = "throw-away"
    kept: ClassVar[tuple[str, ...]] = ("vision.", "projection.")

    vision: ConvSettings = ConvSettings()

    def build(self, components):
        return ThrowAway(self, components)

    @property
    def text_needs(self):
        return TextNeeds("findings", "mean")

    @property
    def wants_masks(self):
        return True

    def extra(self, samples):
        return {"brightness": torch.stack([sample.volume.float().mean() / 1000 for sample in samples])}

    def projection_head(self, text):
        return Space(self.vision.dim, text.width)


class ThrowAway(Objective):
    def __init__(self, settings, components):
        super().__init__()
        self.text = components.reader[0]
        self.vision = settings.vision.build(components.grid)
        self.projection = settings.projection_head(self.text)
        self.guess = nn.Linear(settings.vision.dim, 2)

    @property
    def terms(self):
        return {
            "bright": Term(1.0, "how bright a scan is and how much of it is marked"),
            "own": Term(0.5, "whole scans and their reports", compares_samples=True, aligns=True),
        }

    def rate_of(self, name):
        return 5.0 if name.startswith("guess.") else 1.0

    def decays(self, name, parameter):
        return name.startswith("vision.")

    def forward(self, batch):
        pooled = self.vision(batch.volume).pooled
        marked = (batch.mask > 0).float().mean((1, 2, 3, 4))
        told = torch.stack([batch.extra["brightness"], marked], dim=1)
        texts = self.projection.sentences(text_features(batch.sentences, self.text, "mean"))
        images = self.projection.patches(pooled[:, None])[:, 0]
        own = Compared(texts, images, batch.sentences.image_index, {}, {})
        return {"bright": (self.guess(pooled) - told).square().mean(), "own": own}

    def scores(self, name, compared):
        return compared.texts @ compared.images.T

    def contrast(self, name, scores, compared):
        return losses.paired_nce(scores.T[compared.image_index], torch.zeros_like(compared.image_index))
'''
RECIPE = """
method: throw-away
input: {spacing_mm: [14, 12, 24], shape: [24, 28, 15], patch: [8, 7, 5]}
optim: {lr: 1.0e-3, batch: 4, steps: 2}
engine: {precision: fp32, monitor: 1}
"""


@pytest.fixture
def recipe(tmp_path: Path, tiny_bert: Path) -> Iterator[Path]:
    """The method's file in the folder of methods, and its YAML."""
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "throw_away.py").write_text(METHOD)
    path = tmp_path / "throw-away.yaml"
    path.write_text(RECIPE + f"text: {{model: {tiny_bert}, report_length: 64, sentence_length: 40}}\n")
    objectives.__path__.append(str(tmp_path / "methods"))
    try:
        yield path
    finally:
        objectives.__path__.remove(str(tmp_path / "methods"))
        sys.modules.pop("simcrop.objectives.throw_away", None)


@pytest.fixture
def cohort(tmp_path: Path, mark: Callable) -> Path:
    """Phantom scans of which the first has a label volume: the left half of the chest."""
    write_ct_rate(tmp_path / "raw", patients=8, seed=3, size="tiny")
    ingest(tmp_path / "raw", "ct-rate", tmp_path / "cohort", (14.0, 12.0, 24.0))
    first = open_cohort(tmp_path / "cohort")[0]
    labels = np.zeros(first.source_shape)
    labels[: first.source_shape[0] // 2] = 2
    mark(tmp_path / "cohort", {first.id: labels}, {2: "half"})
    return tmp_path / "cohort"


def test_a_new_method_goes_from_its_file_to_a_page_an_embedding_and_a_heat_map(
    recipe: Path, cohort: Path, tmp_path: Path, simcrop: Callable
) -> None:
    assert "throw-away" in methods()
    ran = simcrop("pretrain", cohort, "--recipe", recipe, "--out", tmp_path / "run")
    assert ran.code == 0, ran

    rows = [json.loads(line) for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()]
    assert {"bright", "own"} <= set(rows[-1])
    assert (
        "align_accuracy" in rows[-1]["monitored"]
    )  # one of its terms aligns, so it is asked whether it looks

    page = (tmp_path / "run" / "report.html").read_text()
    assert "how bright a scan is and how much of it is marked" in page
    assert "Samples are compared in own: all 4 of a batch" in page

    model = load(tmp_path / "run")
    names = {name for name, _ in model.named_parameters()}
    assert "vision.conv.weight" in names
    assert not [name for name in names if name.startswith("guess.")]
    assert load(next((tmp_path / "run" / "checkpoints").glob("step-*"))).grid.patch == (8, 7, 5)

    assert simcrop("embed", tmp_path / "run", cohort, "--out", tmp_path / "embedding").code == 0
    vectors = pl.read_parquet(tmp_path / "embedding" / "embeddings.parquet")["embedding"]
    assert len(vectors[0]) == 10
    scan = pl.read_parquet(cohort / "studies.parquet")["source_path"][0]
    words = ("--sentence", "A nodule.", "--out", tmp_path / "heat")
    assert simcrop("ground", tmp_path / "run", scan, *words).code == 0


def test_its_answers_reach_the_batch_and_the_optimiser(recipe: Path, cohort: Path, tmp_path: Path) -> None:
    from simcrop.data.store.cohort import open_cohort
    from simcrop.engine.order import SampleDraw
    from simcrop.tasks.training.job import prepare_job
    from simcrop.tasks.training.samples import training_studies

    settings = load_recipe(str(recipe))
    studies = training_studies(open_cohort(cohort), settings)
    objective, job = prepare_job(open_cohort(cohort), studies, settings, tmp_path / "out")
    batch = job.collate([job.dataset[SampleDraw(i, i)] for i in range(3)])
    assert batch.mask.shape == batch.volume.shape
    assert set(batch.mask[0].unique().tolist()) == {0, 2}
    assert not batch.mask[1:].any()
    torch.testing.assert_close(batch.extra["brightness"], batch.volume.float().mean((1, 2, 3, 4)) / 1000)
    assert batch.to(torch.device("cpu")).extra["brightness"].shape == (3,)

    groups = {
        (group["weight_decay"], group["scale"]): len(group["params"])
        for group in build_optimizer(objective, settings.optim).param_groups
    }
    assert groups == {(0.05, 1.0): 2, (0.0, 5.0): 2, (0.0, 1.0): 4}
    assert gather_inputs(open_cohort(cohort), studies, settings).texts is not None


def test_it_is_gone_with_its_file() -> None:
    assert "throw-away" not in methods()

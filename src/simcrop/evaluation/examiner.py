"""The controls of `controls.py` on a fixed set of held-out studies, asked again and again while a method learns.

Axes: b study, s sentence (of all reports, flat), n patch, d features, e features that sentences and patches share.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from simcrop.config import Recipe
from simcrop.data.batch import Sentences, owners
from simcrop.data.cohort import Cohort, Study
from simcrop.data.preprocess import InputSpec
from simcrop.data.report import Report
from simcrop.data.sentence_bank import build_bank
from simcrop.data.words import Tokenizer
from simcrop.evaluation.controls import control_figures
from simcrop.evaluation.features import in_passes, volumes_of
from simcrop.nn.patch import PatchGrid
from simcrop.nn.text import Pool, TextEncoder
from simcrop.nn.vision import VisionEncoder
from simcrop.objectives.method import TextSpace
from simcrop.objectives.texts import text_features

HELD_OUT, AT_MOST, AT_ONCE = "valid", 64, 8
ALIGNING = {"align", "cross_image", "contrast"}  # terms that bring images and texts together
AIR = -1.0


@runtime_checkable
class Aligning(Protocol):
    """A method in training that brings patches and sentences into one space."""

    grid: PatchGrid
    vision: VisionEncoder
    aligner: TextSpace
    text: TextEncoder

    @property
    def weights(self) -> dict[str, float]: ...


@dataclass(frozen=True, eq=False)
class Examiner:
    """Called without a word, it gives the controls of `objective` as it stands, which should be in eval mode."""

    objective: Aligning
    studies: tuple[Study, ...]
    sentences: Sentences
    spec: InputSpec
    pool: Pool
    k: int

    @torch.no_grad()
    def __call__(self) -> dict[str, float]:
        objective, device = self.objective, self.objective.vision.patch_embed.weight.device
        sentences = self.sentences.to(device)
        said = objective.aligner.sentences(text_features(sentences, objective.text, self.pool))
        features = torch.cat(
            [self.look(volumes_of(some, self.spec)) for some in in_passes(self.studies, AT_ONCE)]
        )
        blank = self.look(torch.full((1, 1, *self.spec.shape), AIR))
        return control_figures(
            said,
            sentences,
            objective.aligner.patches(features),
            objective.aligner.patches(blank)[0],
            features.mean(1),
            self.k,
        )

    def look(self, volumes: Tensor) -> Tensor:
        """Features `(b, n, d)` of all patches of `(b, 1, x, y, z)`, nothing hidden."""
        device = self.objective.vision.patch_embed.weight.device
        return self.objective.vision(self.objective.grid.split(volumes.to(device))).patches


def build_examiner(
    objective: nn.Module,
    cohort: Cohort,
    recipe: Recipe,
    tokenizer: Tokenizer | None,
    reports: Iterable[Report],
) -> Examiner | None:
    """The examiner of a run that learns from `reports`; None when it aligns nothing or nothing is held out."""
    reading = recipe.reading
    if reading is None or tokenizer is None or not isinstance(objective, Aligning):
        return None
    studies = held_out(cohort, recipe.data.split) if ALIGNING & set(objective.weights) else []
    if not studies:
        return None
    said = [Report(study.findings, study.impression).sentences for study in studies]
    sentences = prepare(said, objective.text, tokenizer, reading.pool, recipe.text.sentence_length)
    sentences = replace(sentences, share=shares([text for of_one in said for text in of_one], reports))
    return Examiner(
        objective,
        tuple(studies),
        sentences,
        recipe.input.spec,
        reading.pool,
        recipe.boxes(objective.grid.count),
    )


def held_out(cohort: Cohort, trained_on: str, at_most: int = AT_MOST) -> list[Study]:
    """One study of each patient who is held out and has a report, evenly chosen; none when all are trained on."""
    if trained_on in {"", HELD_OUT}:
        return []
    index = cohort.index
    known = index.filter(pl.col("split") == trained_on)["patient"].unique()
    mine = (
        (pl.col("split") == HELD_OUT) & (pl.col("sentences") > 0) & ~pl.col("patient").is_in(known.to_list())
    )
    first = (
        index.with_row_index("row").filter(mine).unique("patient", keep="first", maintain_order=True)["row"]
    )
    chosen = np.unique(np.linspace(0, len(first) - 1, min(at_most, len(first))).round().astype(int))
    return [cohort[int(first[int(i)])] for i in chosen]


def prepare(
    said: Sequence[list[str]], text: TextEncoder, tokenizer: Tokenizer, pool: Pool, length: int
) -> Sentences:
    """The sentences of all reports; encoded here when the text encoder is frozen, as word pieces when it is trained."""

    @torch.no_grad()
    def encode(texts: list[str]) -> Tensor:
        tokens = tokenizer.encode(texts, length)
        return text.pool(text(tokens), tokens.mask, pool).float()

    bank = build_bank(said, encode if text.frozen else None)
    flat = [sentence for of_one in said for sentence in of_one]
    key = torch.tensor(bank.numbers(flat), dtype=torch.long)
    return Sentences(
        owner=owners([len(of_one) for of_one in said]),
        key=key,
        share=bank.share[key],
        features=None if bank.features is None else bank.features[key],
        tokens=tokenizer.encode(flat, length) if bank.features is None else None,
    )


def shares(said: Sequence[str], reports: Iterable[Report]) -> Tensor:
    """In what share of the training reports each sentence stands; 0 for one that no training report says."""
    wanted, count, total = set(said), Counter[str](), 0
    for report in reports:
        count.update(wanted & set(report.sentences))
        total += 1
    return torch.tensor([count[sentence] / max(1, total) for sentence in said], dtype=torch.float32)

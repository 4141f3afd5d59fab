"""The controls of `controls.py` on a fixed set of held-out studies, measured again and again while a method learns.

Axes: b study, s sentence (of all reports, flat), n patch, d features, e features that sentences and patches share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol, runtime_checkable

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from simcrop.config import Recipe
from simcrop.data.preprocess import InputSpec
from simcrop.data.report import Report
from simcrop.data.samples.batch import Sentences, image_indices
from simcrop.data.samples.dataset import cut
from simcrop.data.samples.reading import read_patiently
from simcrop.data.samples.text_features import SentenceBank, build_bank, document_frequencies
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.data.store.cohort import Cohort, Study
from simcrop.errors import SimcropError
from simcrop.evaluation.controls import control_metrics
from simcrop.nn.encoder import VisionEncoder
from simcrop.nn.text_encoder import Pool, TextEncoder
from simcrop.objectives.method import ProjectionHead, Term
from simcrop.objectives.texts import encode_texts, text_features

HELD_OUT, AT_MOST, AT_ONCE = "valid", 64, 8
UNREAD = "held_out_unread"  # how many were left out
AIR = -1.0


@runtime_checkable
class Aligning(Protocol):
    """A method in training that brings patches and sentences into one space."""

    vision: VisionEncoder
    projection: ProjectionHead
    text: TextEncoder

    @property
    def terms(self) -> dict[str, Term]: ...


@dataclass(frozen=True, eq=False)
class AlignmentMonitor:
    """Called, it gives the controls of `objective` as it stands, which should be in eval mode.

    `training`: the studies whose reports say how common a sentence is; `k`: patches of a region; `scored`: those
    that score a sentence; `skip_attention`: sentences are sought among patches that do not see each other. `bank`: the
    sentences of `training`, where they are kept; elsewhere its reports are split again.
    """

    objective: Aligning
    tokenizer: Tokenizer
    studies: tuple[Study, ...]
    training: Cohort
    spec: InputSpec
    pool: Pool
    length: int
    k: int
    scored: int
    skip_attention: bool = False
    bank: SentenceBank | None = None

    @torch.no_grad()
    def __call__(self) -> dict[str, float]:
        """A study that cannot be read is left out and counted: the training, which never sees it, goes on."""
        # In its place stays air: processes that hold parts of one network must all look as often as the others.
        scans = torch.full((len(self.studies), 1, *self.spec.shape), AIR)
        seen = torch.zeros(len(self.studies), dtype=torch.bool)
        for number, study in enumerate(self.studies):
            if (volume := patient_or_none(study, self.spec)) is not None:
                scans[number, 0], seen[number] = torch.from_numpy(volume), True
        unread = {} if seen.all() else {UNREAD: float((~seen).sum())}
        return self.figures(scans, seen.to(self.device)) | unread

    def figures(self, scans: Float[Tensor, "b 1 x y z"], seen: Bool[Tensor, " b"]) -> dict[str, float]:
        """Of the studies that were `seen`; none where none was."""
        projection, sentences = self.objective.projection, self.sentences
        volumes = scans.split(AT_ONCE)
        features = torch.cat([self.features(batch, self.skip_attention) for batch in volumes])
        pooled = features.mean(1)
        if self.skip_attention:
            pooled = torch.cat([self.features(batch).mean(1) for batch in volumes])
        blank = self.features(torch.full((1, 1, *self.spec.shape), AIR), self.skip_attention)
        embeddings = projection.sentences(text_features(sentences, self.objective.text, self.pool))
        patches, air = projection.patches(features), projection.patches(blank)[0]
        if not seen.any():
            return {}
        mine = seen[sentences.image_index]
        asked = Sentences(
            (seen.cumsum(0) - 1)[sentences.image_index[mine]],
            sentences.sentence_id[mine],
            sentences.document_frequency[mine],
        )
        return control_metrics(embeddings[mine], asked, patches[seen], air, pooled[seen], self.k, self.scored)

    def features(self, volumes: Tensor, skip_attention: bool = False) -> Tensor:
        """Features `(b, n, d)` of all patches of `(b, 1, x, y, z)`, nothing masked."""
        return self.objective.vision(volumes.to(self.device), skip_attention=skip_attention).patches

    @property
    def device(self) -> torch.device:
        return self.objective.vision.device

    @cached_property
    def sentences(self) -> Sentences:
        """Of all reports; encoded once when the text encoder is frozen, kept as word pieces when it is trained."""
        reports = [Report(study.findings, study.impression).sentences for study in self.studies]
        flat = [sentence for sentences in reports for sentence in sentences]
        bank = build_bank(reports, self.encode if self.objective.text.frozen else None)
        sentence_id = torch.tensor(bank.ids(flat), dtype=torch.long)
        cached = bank.features
        return Sentences(
            image_index=image_indices([len(sentences) for sentences in reports]),
            sentence_id=sentence_id,
            document_frequency=self.document_frequency(flat),
            features=None if cached is None else cached[sentence_id.to(cached.device)],
            tokens=self.tokenizer.encode(flat, self.length) if cached is None else None,
        ).to(self.device)

    def document_frequency(self, sentences: Sequence[str]) -> Tensor:
        """In what share of the training reports that say something each stands."""
        if self.bank is not None:
            return self.bank.frequencies(sentences)
        reports = (Report(study.findings, study.impression).sentences for study in self.training)
        return document_frequencies(sentences, reports)

    def encode(self, texts: list[str]) -> Tensor:
        """One pooled vector per sentence, `(s, d)`."""
        tokens = self.tokenizer.encode(texts, self.length).to(self.device)
        return encode_texts(tokens, self.objective.text, self.pool).float()


def build_monitor(
    objective: nn.Module,
    cohort: Cohort,
    recipe: Recipe,
    tokenizer: Tokenizer | None,
    bank: SentenceBank | None = None,
) -> AlignmentMonitor | None:
    """The monitor of a run on this cohort; None when the method aligns nothing or no study is held out. `bank`: the
    sentences of all studies of the run's split, where they are kept.
    """
    needs, split = recipe.text_needs, recipe.data.split
    if needs is None or tokenizer is None or not isinstance(objective, Aligning):
        return None
    aligns = any(term.aligns for term in objective.terms.values())
    studies = held_out(cohort, split) if aligns else []
    if not studies:
        return None
    return AlignmentMonitor(
        objective,
        tokenizer,
        tuple(studies),
        cohort.select(split),
        recipe.input.spec,
        needs.pool,
        recipe.text_length,
        recipe.boxes(objective.vision.grid.count),
        recipe.scored(objective.vision.grid.count),
        needs.skip_attention,
        bank,
    )


def patient_or_none(study: Study, spec: InputSpec) -> np.ndarray | None:
    """The middle of a scan as the network sees it; None where it cannot be read, as in training after a while."""
    try:
        return read_patiently(partial(cut, study, spec, None))
    except SimcropError as error:
        if error.reason == "bad-setting":
            raise
        return None


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

"""Samples become a batch: volumes joined, reports as word pieces, sentences flat.

Axes: b study, x y z voxels (RAS+), s sentence, l label.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from simcrop.data.report import Report
from simcrop.data.samples.batch import Batch, Sentences, Unit, image_indices
from simcrop.data.samples.dataset import Sample
from simcrop.data.samples.kept_texts import opened_texts
from simcrop.data.samples.text_features import SentenceBank
from simcrop.data.samples.tokenizer import Tokenizer, Tokens
from simcrop.errors import SimcropError
from simcrop.files.mapped import Mapped


def texts_of(report: Report, unit: Unit | None) -> list[str]:
    """What meets the image: every sentence of the findings, or one text per study; nothing where nothing is said, and
    for a method that reads whole reports word by word alone.
    """
    if unit is None:
        return []
    if unit == "sentence":
        return report.sentences
    text = report.text if unit == "report" else Report(report.findings, "").text
    return [text] if text else []


@dataclass(frozen=True)
class Texts:
    """How reports enter a batch. `bank`: every distinct text of the cohort. Lengths in word pieces, specials included;
    `predicted`: whole reports come as word pieces, too; `known`: of studies by id, the texts' places in the bank, so
    that no report is split again in every epoch; `normal`: of studies by id, where each text is about one organ, which
    of the organs are so; `mapped`: the file that holds all of these texts, read as it is used.
    """

    tokenizer: Tokenizer
    bank: SentenceBank
    report_length: int
    text_length: int
    unit: Unit | None = "sentence"
    predicted: bool = True
    known: Mapping[str, Int[np.ndarray, " s"]] = field(default_factory=dict)
    normal: Mapping[str, Bool[np.ndarray, " s"]] | None = None
    mapped: Mapped | None = None

    def __reduce_ex__(self, protocol: Any) -> str | tuple[Any, ...]:
        """A loading process that is started afresh gets the name of the file, and opens it itself."""
        if self.mapped is None:
            return super().__reduce_ex__(protocol)
        how = self.tokenizer, self.report_length, self.text_length, self.unit, self.predicted
        return reopened, (self.mapped.path, *how)

    def report(self, reports: list[Report]) -> Tokens:
        """Padded to the longest."""
        if not self.predicted:
            return unread(len(reports))[0]
        return self.tokenizer.encode([report.text for report in reports], self.report_length)

    def sentences(self, samples: Sequence[Sample]) -> Sentences:
        """Flat, those of one report after those of the other. A loading process keeps no more of the file in memory
        than the texts of one batch.
        """
        try:
            return self.said(samples)
        finally:
            if self.mapped is not None:
                self.mapped.release()

    def said(self, samples: Sequence[Sample]) -> Sentences:
        """As the batch has them: copies."""
        ids = [self.ids(sample) for sample in samples]
        sentences = self.stated(ids)
        if self.normal is not None:
            normal = np.concatenate([self.normal[sample.id] for sample in samples])
            organ = torch.tensor(
                [number for of_one in ids for number in range(len(of_one))], dtype=torch.long
            )
            return replace(sentences, organ=organ, normal=torch.from_numpy(normal))
        if self.bank.opposite is None:
            return sentences
        opposite, claims = self.stated([self.turned(of_one) for of_one in ids]), self.bank.claims
        said = None if claims is None else claims[sentences.sentence_id]
        return replace(sentences, opposite=opposite, claims=said)

    def turned(self, ids: Int[np.ndarray, " s"]) -> Int[np.ndarray, " s"]:
        """The opposites of one report's sentences; a sentence stays itself where it has none, or where the report says
        that as well.
        """
        opposite = self.opposite_ids[ids]
        return np.where(np.isin(opposite, ids), ids, opposite)

    @cached_property
    def opposite_ids(self) -> Int[np.ndarray, " u"]:
        return np.zeros(0, int) if self.bank.opposite is None else self.bank.opposite.numpy()

    def stated(self, ids: Sequence[Int[np.ndarray, " _"]]) -> Sentences:
        """Texts of the bank, report by report."""
        sentence_id = torch.from_numpy(np.concatenate(ids).astype(np.int64))
        cached, level = self.bank.features, self.bank.level
        return Sentences(
            image_index=image_indices([len(of_one) for of_one in ids]),
            sentence_id=sentence_id,
            document_frequency=self.bank.document_frequency[sentence_id],
            features=None if cached is None else cached[sentence_id],
            tokens=self.tokens(sentence_id) if cached is None else None,
            size_mm=self.bank.size_mm[sentence_id],
            most=max(map(len, ids), default=0),
            level=None if level is None else level[sentence_id],
        )

    def ids(self, sample: Sample) -> Int[np.ndarray, " s"]:
        """Where the texts of one study stand in the bank."""
        known = self.known.get(sample.id)
        if known is not None:
            return known
        return np.array(self.bank.ids(texts_of(sample.report, self.unit)), dtype=np.int32)

    def tokens(self, ids: Int[Tensor, " s"]) -> Tokens:
        """Texts of the bank as word pieces."""
        return self.tokenizer.encode([self.bank.texts[i] for i in ids.tolist()], self.text_length)


def reopened(
    file: Path, tokenizer: Tokenizer, report_length: int, text_length: int, unit: Unit | None, predicted: bool
) -> Texts:
    """As they were in the process that has kept them."""
    kept = opened_texts(file)
    how = report_length, text_length, unit, predicted
    return Texts(tokenizer, kept.bank, *how, kept.known, kept.normal, kept.mapped)


# Further tensors of a batch, by name.
Extra = Callable[[Sequence[Sample]], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Collate:
    """Samples to a batch. Without `texts` no report is read; `labels` names the columns of the batch's labels; `masks`:
    label volumes are joined, a study without one has zeros; `extra` makes what else the method wants.
    """

    texts: Texts | None = None
    labels: tuple[str, ...] = ()
    masks: bool = False
    extra: Extra | None = None

    def __call__(self, samples: list[Sample | SimcropError]) -> Batch | SimcropError:
        good: list[Sample] = []
        for sample in samples:
            if isinstance(sample, SimcropError):
                return sample
            good.append(sample)
        reports = [sample.report for sample in good]
        report, sentences = unread(len(good))
        if self.texts is not None:
            report, sentences = self.texts.report(reports), self.texts.sentences(good)
        return Batch(
            ids=tuple(sample.id for sample in good),
            unread=tuple(one for sample in good for one in sample.unread),
            volume=torch.stack([sample.volume for sample in good]),
            report=report,
            sentences=sentences,
            labels=label_table([sample.labels for sample in good], self.labels) if self.labels else None,
            mask=torch.stack([mask_of(sample) for sample in good]) if self.masks else None,
            extra={} if self.extra is None else self.extra(good),
            seeds=tuple(sample.seed for sample in good),
            window_hu=good[0].window_hu,
            fine=fine_of(good),
        )


def mask_of(sample: Sample) -> Int[Tensor, "1 x y z"]:
    return torch.zeros_like(sample.volume, dtype=torch.int16) if sample.mask is None else sample.mask


def fine_of(samples: Sequence[Sample]) -> Tensor | None:
    """Those of all samples, or of none."""
    finer = [sample.fine for sample in samples if sample.fine is not None]
    return torch.stack(finer) if finer else None


def unread(studies: int) -> tuple[Tokens, Sentences]:
    """Reports nobody read: no word piece long, and no sentence."""
    ids, nobody = torch.zeros(studies, 0, dtype=torch.long), torch.zeros(0, dtype=torch.long)
    return Tokens(ids, ids.bool(), ids), Sentences(
        image_index=nobody, sentence_id=nobody, document_frequency=torch.zeros(0), most=0
    )


def label_table(known: Sequence[Mapping[str, int | None]], names: Sequence[str]) -> Float[Tensor, "b l"]:
    """0, 1, or NaN where a study's label is unknown."""
    values = [[labels.get(name) for name in names] for labels in known]
    return torch.tensor([[float("nan") if v is None else float(v) for v in row] for row in values])

"""Studies of a cohort as pre-training samples: a crop of the scan, the report's word pieces, its sentences.

Axes: x y z voxels (RAS+). Everything random about a sample comes from the seed of its draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from simcrop.data.batch import Batch, Sentences, owners
from simcrop.data.cohort import Cohort, Study
from simcrop.data.preprocess import InputSpec, Triple, centred_start, crop_or_pad, resample, to_unit
from simcrop.data.report import Report
from simcrop.data.sentence_bank import SentenceBank
from simcrop.data.volume import spacing_of
from simcrop.data.words import Tokenizer
from simcrop.errors import SimcropError


@runtime_checkable
class Draw(Protocol):
    """Which study, and the seed of everything random about it."""

    @property
    def index(self) -> int: ...

    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class Sample:
    """One study, read and cut."""

    id: str
    volume: Float[Tensor, "1 x y z"]
    report: Report


class StudyCrops(Dataset):
    """Reads a crop of `spec.shape` from each study, in the middle or anywhere."""

    def __init__(
        self, studies: Cohort | Sequence[Study], spec: InputSpec, random_crop: bool, flip_lr: bool = False
    ) -> None:
        self.studies, self.spec, self.random_crop, self.flip_lr = studies, spec, random_crop, flip_lr

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, draw: Draw) -> Sample | SimcropError:
        """A sample; or its error as a value, because an exception loses its fields on the way between processes."""
        study = self.studies[draw.index]
        random = np.random.default_rng(draw.seed) if self.random_crop else None
        try:
            volume = cut(study, self.spec, random)
        except SimcropError as error:
            return SimcropError(error.reason, f"study {study.id}: {error.sentence}")
        if self.flip_lr and np.random.default_rng((draw.seed, 1)).random() < 0.5:
            volume = volume[::-1].copy()
        return Sample(study.id, torch.from_numpy(volume)[None], Report(study.findings, study.impression))


def cut(study: Study, spec: InputSpec, random: np.random.Generator | None) -> np.ndarray:
    """One crop of a stored scan, float32 in [-1, 1]; a cohort stored at another spacing is resampled on the way."""
    if np.allclose(spacing_of(study.affine), spec.spacing_mm, rtol=1e-4):
        start = crop_start(study.shape, spec.shape, random)
        return to_unit(study.crop(start, spec.shape), spec.window_hu)
    hu = resample(study.volume(), spec.spacing_mm).hu
    x, y, z = hu.shape
    return to_unit(crop_or_pad(hu, crop_start((x, y, z), spec.shape, random), spec.shape), spec.window_hu)


def crop_start(have: Triple, want: Triple, random: np.random.Generator | None) -> Triple:
    """Any start that wastes nothing: inside where the scan is larger, in the middle where it is smaller."""
    middle = centred_start(have, want)
    if random is None:
        return middle
    x, y, z = (
        int(random.integers(0, h - w + 1)) if h > w else m for h, w, m in zip(have, want, middle, strict=True)
    )
    return x, y, z


@dataclass(frozen=True)
class Collate:
    """Samples to a batch: reports padded to the longest, sentences flat."""

    tokenizer: Tokenizer
    bank: SentenceBank
    report_length: int
    sentence_length: int

    def __call__(self, samples: list[Sample | SimcropError]) -> Batch | SimcropError:
        good: list[Sample] = []
        for sample in samples:
            if isinstance(sample, SimcropError):
                return sample
            good.append(sample)
        return Batch(
            ids=tuple(sample.id for sample in good),
            volume=torch.stack([sample.volume for sample in good]),
            report=self.tokenizer.encode([sample.report.text for sample in good], self.report_length),
            sentences=self.sentences([sample.report.sentences for sample in good]),
        )

    def sentences(self, reports: list[list[str]]) -> Sentences:
        said = [sentence for report in reports for sentence in report]
        key = torch.tensor(self.bank.numbers(said), dtype=torch.long)
        cached = self.bank.features
        return Sentences(
            owner=owners([len(report) for report in reports]),
            key=key,
            share=self.bank.share[key],
            features=None if cached is None else cached[key],
            tokens=self.tokenizer.encode(said, self.sentence_length) if cached is None else None,
        )

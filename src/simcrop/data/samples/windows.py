"""Windows of scans with masks, for segmentation: where they lie, what they are called, and how they are varied.

Axes: x y z voxels of the stored grid (RAS+), of which a window is much less than the scan. Masks come as channels: 0 is
everything that has no name, then the classes in their order. All that is random comes from the seed of the draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Int
from torch.utils.data import Dataset

from simcrop.data.preprocess import InputSpec, Triple, centred_start, triple
from simcrop.data.report import Report
from simcrop.data.samples.dataset import Sample, as_tensor, check_alike, is_stored_at, read_one
from simcrop.data.samples.reading import Draw
from simcrop.data.samples.varied import Variation
from simcrop.data.store.cohort import Cohort, Study
from simcrop.data.store.mask_file import mask_path, read_mask
from simcrop.errors import SimcropError

REMEMBERED = 1024  # marked voxels of each class of a scan


@dataclass(frozen=True)
class WindowNeeds:
    """How a method wants them. `per_scan`: windows of each scan in an epoch; `marked`: which share of them is drawn
    around a marked voxel, any of them alike or (`by_class`) any class alike, while the rest lies anywhere.
    """

    per_scan: int
    marked: float
    by_class: bool
    variation: Variation


class StudyWindows(Dataset):
    """`per_scan` windows of each study, one after the other. `numbers`: of the masks' classes, in the order of the
    channels; what else is marked belongs to channel 0.
    """

    def __init__(
        self, studies: Cohort | Sequence[Study], spec: InputSpec, needs: WindowNeeds, numbers: Sequence[int]
    ) -> None:
        self.studies, self.spec, self.needs = studies, spec, needs
        self.numbers = tuple(numbers)

    def __len__(self) -> int:
        return len(self.studies) * self.needs.per_scan

    def __getitem__(self, draw: Draw) -> Sample | SimcropError:
        """A window: of the study drawn, or of another where that cannot be read; or its error as a value."""
        return read_one(self.read, draw, len(self), lambda index: self.study(index).id)

    def study(self, index: int) -> Study:
        return self.studies[index // self.needs.per_scan]

    def read(self, draw: Draw) -> Sample:
        """Raises SimcropError where the scan or its mask cannot be read."""
        study, random = self.study(draw.index), np.random.default_rng(draw.seed)
        check_stored_at(study, self.spec)
        change = self.needs.variation.drawn(random)
        shape = change.seen(self.spec.shape)
        around = self.marked_voxel(study, random) if random.random() < self.needs.marked else None
        start = window_start(study.shape, shape, around, random)
        mask = as_channels(study.mask_crop(start, shape), self.numbers)
        hu = change.of_scan(study.crop(start, shape), self.spec.shape, self.spec.window_hu)
        mask = change.of_mask(mask, self.spec.shape)
        report = Report(study.findings, study.impression)
        return Sample(
            study.id, as_tensor(hu, False), report, {}, as_tensor(mask, False), self.spec.window_hu, draw.seed
        )

    def marked_voxel(self, study: Study, random: np.random.Generator) -> Triple | None:
        """One of the voxels of the classes that are learned; None where there are none."""
        counts, voxels = marked_voxels(study.home, study.with_mask, study.mask_checksum, self.numbers)
        if not counts.any():
            return None
        weights = (counts > 0) if self.needs.by_class else counts
        chosen = voxels[int(random.choice(len(counts), p=weights / weights.sum()))]
        return triple(chosen[int(random.integers(len(chosen)))].tolist())


@cache
def marked_voxels(
    home: Path, id: str, checksum: str | None, numbers: tuple[int, ...]
) -> tuple[Int[np.ndarray, " c"], tuple[Int[np.ndarray, "n 3"], ...]]:
    """How many voxels each class has, and some of them, the same in every process; a mask is looked through once."""
    del checksum  # a part of what is remembered by
    mask = read_mask(mask_path(home, id))
    where = np.flatnonzero(mask)
    values, random = mask.ravel()[where], np.random.default_rng(0)
    found = [where[values == number] for number in numbers]
    some = [random.choice(one, REMEMBERED, replace=False) if len(one) > REMEMBERED else one for one in found]
    voxels = tuple(np.stack(np.unravel_index(one, mask.shape), axis=-1).astype(np.int16) for one in some)
    return np.array([len(one) for one in found]), voxels


def window_start(have: Triple, want: Triple, around: Triple | None, random: np.random.Generator) -> Triple:
    """Anywhere, or with a voxel in the middle, as far as the scan goes; a scan that is smaller lies in the middle."""
    middle = centred_start(have, want)
    if around is None:
        around = triple(
            [
                int(random.integers(h - w + 1)) + w // 2 if h > w else 0
                for h, w in zip(have, want, strict=True)
            ]
        )
    x, y, z = (
        min(max(a - w // 2, 0), h - w) if h > w else m
        for a, h, w, m in zip(around, have, want, middle, strict=True)
    )
    return x, y, z


def as_channels(mask: Int[np.ndarray, "x y z"], numbers: Sequence[int]) -> Int[np.ndarray, "x y z"]:
    """The data set's numbers as places in `numbers`, counted from 1; 0 for all others."""
    table = np.zeros(max(int(mask.max()), *numbers) + 1, np.int16)
    table[list(numbers)] = np.arange(1, len(numbers) + 1)
    return table[mask]


def check_stored_at(study: Study, spec: InputSpec) -> None:
    """A window is cut from what is stored, not from a scan that is resampled for each anew."""
    if not is_stored_at(study, spec):
        mm = ",".join(f"{edge:g}" for edge in spec.spacing_mm)
        raise SimcropError(
            "bad-setting",
            f"the cohort is not stored at input.spacing_mm = {list(spec.spacing_mm)}: ingest it with --spacing {mm}, "
            "or set input.spacing_mm to its own",
        )
    check_alike(study, spec)


def numbers_of(names: Sequence[str], classes: Mapping[int, str]) -> tuple[int, ...]:
    """The numbers in a cohort's masks that stand for these classes."""
    by_name = {name: number for number, name in classes.items()}
    return tuple(by_name[name] for name in names)

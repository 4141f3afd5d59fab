"""Studies of a cohort as pre-training samples: a crop of the scan, the report's word pieces, its sentences.

Axes: b study, x y z voxels (RAS+), l label. Everything random about a sample comes from the seed of its draw.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import Dataset

from simcrop.data.preprocess import (
    InputSpec,
    Placement,
    Triple,
    centred_start,
    crop_or_pad,
    placement_of_whole,
    resample,
    start_in,
    to_unit,
    triple,
    whole,
)
from simcrop.data.report import Report
from simcrop.data.samples.batch import Unread
from simcrop.data.samples.reading import OTHERS, Draw, other_draw, read_patiently
from simcrop.data.store.cohort import Cohort, Study
from simcrop.data.volume import spacing_of
from simcrop.errors import SimcropError

HERE: Triple = (0, 0, 0)


@dataclass(frozen=True)
class Sample:
    """One study, read and cut; `mask` where the data set has one and it was asked for. `window_hu`: which HU of the
    volume become [-1, 1] on the device; None when it lies there already. `seed`: of all that is random about it;
    `unread`: those that were to be read here before it; `fine`: the same crop at a multiple of its resolution.
    """

    id: str
    volume: Int[Tensor, "1 x y z"] | Float[Tensor, "1 x y z"]
    report: Report
    labels: Mapping[str, int | None] = field(default_factory=dict)
    mask: Int[Tensor, "1 x y z"] | None = None
    window_hu: tuple[float, float] | None = None
    seed: int = 0
    unread: tuple[Unread, ...] = ()
    fine: Int[Tensor, "1 i j k"] | Float[Tensor, "1 i j k"] | None = None


class StudyCrops(Dataset):
    """Reads a crop of `spec.shape` from each study, in the middle or anywhere.

    `scan_of`, when given, names for each study the one whose scan stands in for its own: a control. With `masks` the
    label volume is cut alike. `half`: so many voxels earlier, along each axis by chance, a crop in the middle begins.
    """

    def __init__(
        self,
        studies: Cohort | Sequence[Study],
        spec: InputSpec,
        random_crop: bool,
        flip_lr: bool = False,
        scan_of: Sequence[int] | None = None,
        masks: bool = False,
        half: Triple = HERE,
    ) -> None:
        self.studies, self.spec, self.random_crop, self.flip_lr = studies, spec, random_crop, flip_lr
        self.scan_of, self.masks, self.half = scan_of, masks, half

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, draw: Draw) -> Sample | SimcropError:
        """A sample: of the study drawn, or of another where that cannot be read, by the draw's own seed.

        Or its error as a value, because an exception loses its fields on the way between processes.
        """
        return read_one(self.read, draw, len(self), lambda index: self.scan(index).id)

    def read(self, draw: Draw) -> Sample:
        """Raises SimcropError where the scan or its label volume cannot be read."""
        study, scan = self.studies[draw.index], self.scan(draw.index)
        flip = self.flipped(draw)
        back = self.back(draw)
        volume = cut_hu(scan, self.spec, self.random(draw), back)
        mask = cut_mask(scan, self.spec, self.random(draw), back) if self.masks else None
        report = Report(study.findings, study.impression)
        labelled = None if mask is None else as_tensor(mask, flip)
        crop = as_tensor(volume, flip)
        return Sample(study.id, crop, report, study.labels, labelled, self.spec.window_hu, draw.seed)

    def flipped(self, draw: Draw) -> bool:
        """Whether left and right are exchanged."""
        return self.flip_lr and bool(np.random.default_rng((draw.seed, 1)).random() < 0.5)

    def random(self, draw: Draw) -> np.random.Generator | None:
        """Says where the crop lies, anew for each call: what is cut with the same draw lies at the same place."""
        return np.random.default_rng(draw.seed) if self.random_crop else None

    def back(self, draw: Draw) -> Triple:
        """By how many voxels the crop begins earlier."""
        if self.half == HERE:
            return HERE
        chance = np.random.default_rng((draw.seed, 6)).integers(0, 2, 3)
        return triple([int(n) for n in chance * self.half])

    def scan(self, index: int) -> Study:
        return self.studies[index if self.scan_of is None else self.scan_of[index]]


def read_one(
    read: Callable[[Draw], Sample], draw: Draw, count: int, id_of: Callable[[int], str]
) -> Sample | SimcropError:
    """The sample drawn, or another of `count` where its study cannot be read, by the draw's own seed; or the error as a
    value.
    """
    unread: list[Unread] = []
    while True:
        try:
            return replace(read_patiently(lambda: read(draw)), unread=tuple(unread))  # noqa: B023
        except SimcropError as error:
            scan = id_of(draw.index)
            error = SimcropError(error.reason, f"study {scan}: {error.sentence}")
            if error.reason == "bad-setting" or len(unread) == min(OTHERS, count - 1):
                return error
            unread.append(Unread(scan, error))
            draw = other_draw(draw, count)


def derangement(patients: Sequence[str], seed: int) -> list[int]:
    """For each study, given by its patient, one of another patient, each used once: in a ring of random order, in which
    the studies of a patient stand together, everyone takes the one as many places on as any patient has studies.
    Raises SimcropError where one patient has more than half of all.
    """
    drawn = np.random.default_rng((seed, 5)).permutation(len(patients))
    _, first, whose, counts = np.unique(
        np.asarray(patients)[drawn], return_index=True, return_inverse=True, return_counts=True
    )
    if 2 * counts.max() > len(patients):
        raise SimcropError("bad-setting", "data.mispaired: one patient has more than half of the studies")
    ring = drawn[np.argsort(first[whose], kind="stable")]
    taken = np.empty(len(patients), dtype=int)
    taken[ring] = np.roll(ring, -counts.max())
    return taken.tolist()


def cut(study: Study, spec: InputSpec, random: np.random.Generator | None) -> np.ndarray:
    """One crop of a stored scan as the network sees it, float32 in [-1, 1]; or the whole of it, resized from what is
    stored.
    """
    if spec.fit == "resize" and random is None:
        return whole(study.volume(), spec).numpy()
    return to_unit(cut_hu(study, spec, random), spec.window_hu)


def cut_hu(
    study: Study, spec: InputSpec, random: np.random.Generator | None, back: Triple = HERE
) -> np.ndarray:
    """The same in HU: int16 as stored, or float32 where the cohort's spacing is another and it is resampled now. It
    begins `back` voxels earlier.
    """
    refuse_whole(spec)
    if is_stored_at(study, spec):
        check_alike(study, spec)
        return study.crop(earlier(stored_start(study, spec, random), back), spec.shape)
    hu = resample(study.volume(), spec.spacing_mm, spec.antialias).hu
    return crop_or_pad(hu, earlier(start_of(hu, spec, random), back), spec.shape)


def placement_of(
    study: Study, spec: InputSpec, random: np.random.Generator | None = None, back: Triple = HERE
) -> Placement:
    """Where that crop lies in the scan's file, whatever spacing the cohort is stored at."""
    if spec.fit == "resize":
        return placement_of_whole(study.shape, study.affine, spec, (study.source_shape, study.source_affine))
    if is_stored_at(study, spec):
        return study.placement(spec, earlier(stored_start(study, spec, random), back))
    again = resample(study.volume(), spec.spacing_mm, spec.antialias)
    start = earlier(start_of(again.hu, spec, random), back)
    return Placement(spec, study.source_shape, study.source_affine, again.shape, again.affine, start)


def cut_mask(
    study: Study, spec: InputSpec, random: np.random.Generator | None, back: Triple = HERE
) -> np.ndarray | None:
    """The same crop of the study's label volume, int16: each voxel takes the label at its centre, 0 outside the scan.

    None for a study that has none.
    """
    if not study.has_mask:
        return None
    if is_stored_at(study, spec):
        return study.mask_crop(earlier(stored_start(study, spec, random), back), spec.shape)
    return placement_of(study, spec, random, back).cut_nearest(study.source_mask())


def as_tensor(voxels: np.ndarray, flip: bool) -> Tensor:
    """With its channel axis, left and right exchanged when `flip` is set; in memory, though a raw file is mapped."""
    return torch.from_numpy(voxels[::-1].copy() if flip else np.require(voxels, requirements=("C", "W")))[
        None
    ]


def is_stored_at(study: Study, spec: InputSpec) -> bool:
    """Whether the cohort's spacing is the wanted one, so that nothing has to be resampled."""
    return np.allclose(spacing_of(study.affine), spec.spacing_mm, rtol=1e-4)


def check_alike(study: Study, spec: InputSpec) -> None:
    """A scan that was interpolated cannot be averaged any more, nor the other way round."""
    if study.antialias != spec.antialias:
        was, wanted = ("with" if one else "without" for one in (study.antialias, spec.antialias))
        raise SimcropError(
            "bad-setting",
            f"the cohort was ingested {was} --antialias, the recipe asks for scans {wanted} it: set input.antialias "
            f"= {str(study.antialias).lower()} or ingest again",
        )


def refuse_whole(spec: InputSpec) -> None:
    """Where crops are drawn, of a model that sees every scan whole."""
    if spec.fit == "resize":
        raise SimcropError(
            "bad-setting",
            "input.fit = resize shows whole scans and leaves nothing to draw: embed and probe read them so; training "
            "and further views (--views) want input.fit = crop",
        )


def earlier(start: Triple, back: Triple) -> Triple:
    return triple([at - n for at, n in zip(start, back, strict=True)])


STARTS: dict[tuple[Path, str, Triple, InputSpec, int], Triple] = {}  # around lungs that were looked for once


def stored_start(study: Study, spec: InputSpec, random: np.random.Generator | None, every: int = 1) -> Triple:
    """Where a crop begins in a stored scan, of which one voxel in `every` counts along each axis. For the middle of
    the lungs the whole scan is read, once.
    """
    if random is not None or spec.centre == "scan":
        return crop_start(triple([-(-n // every) for n in study.shape]), spec.shape, random)
    key = study.path, study.checksum, study.shape, spec, every
    if key not in STARTS:
        STARTS[key] = start_in(study.read()[::every, ::every, ::every], spec)
    return STARTS[key]


def start_of(hu: np.ndarray, spec: InputSpec, random: np.random.Generator | None) -> Triple:
    """The same in a scan that is at hand."""
    return start_in(hu, spec) if random is None else crop_start(triple(hu.shape), spec.shape, random)


def crop_start(have: Triple, want: Triple, random: np.random.Generator | None) -> Triple:
    """Any start that wastes nothing: inside where the scan is larger, in the middle where it is smaller."""
    middle = centred_start(have, want)
    if random is None:
        return middle
    x, y, z = (
        int(random.integers(0, h - w + 1)) if h > w else m for h, w, m in zip(have, want, middle, strict=True)
    )
    return x, y, z

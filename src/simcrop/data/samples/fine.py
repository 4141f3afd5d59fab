"""Studies stored finer than the input: a crop at the stored spacing, and the input as every so many voxels of it.

Axes: x y z voxels of the input (RAS+), i j k those of the finer crop over the same extent: `i = scale * x`. Resampling
reads the voxel x of a coarser grid at `scale * x`, too, so that the input is what it would be of a cohort stored at its
own spacing, one plane at the end apart, which is repeated there where it lies beyond the scan.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int

from simcrop.data.preprocess import InputSpec, Triple, triple
from simcrop.data.report import Report
from simcrop.data.samples.dataset import (
    HERE,
    Sample,
    StudyCrops,
    as_tensor,
    check_alike,
    earlier,
    is_stored_at,
    stored_start,
)
from simcrop.data.samples.reading import Draw
from simcrop.data.store.cohort import Cohort, Study
from simcrop.errors import SimcropError


class FineCrops(StudyCrops):
    """Crops as those of `StudyCrops`, without masks, of studies stored `scale` times as fine as `spec` along each axis;
    a sample has the stored voxels of its crop, too.
    """

    def __init__(
        self,
        studies: Cohort | Sequence[Study],
        spec: InputSpec,
        scale: int,
        random_crop: bool,
        flip_lr: bool = False,
        scan_of: Sequence[int] | None = None,
        half: Triple = HERE,
    ) -> None:
        super().__init__(studies, spec, random_crop, flip_lr, scan_of, half=half)
        self.scale = scale

    def read(self, draw: Draw) -> Sample:
        """Raises SimcropError where the scan cannot be read."""
        study, flip = self.studies[draw.index], self.flipped(draw)
        fine = cut_fine(
            self.scan(draw.index), self.spec, self.scale, self.random(draw), self.back(draw), flip
        )
        return Sample(
            study.id,
            as_tensor(fine[:: self.scale, :: self.scale, :: self.scale], False),
            Report(study.findings, study.impression),
            study.labels,
            window_hu=self.spec.window_hu,
            seed=draw.seed,
            fine=as_tensor(fine, False),
        )


def cut_fine(
    study: Study,
    spec: InputSpec,
    scale: int,
    random: np.random.Generator | None,
    back: Triple = HERE,
    flip: bool = False,
) -> Int[np.ndarray, "i j k"]:
    """The stored voxels of one crop, int16 HU. Its every `scale`-th voxel is the input, also where left and right are
    exchanged: the crop then begins so much earlier that its last voxel but `scale - 1` is one of the input.
    """
    check_stored_finer(study, spec, scale)
    start = earlier(stored_start(study, spec, random, scale), back)
    x, y, z = (at * scale for at in start)
    crop = study.crop((x - (scale - 1 if flip else 0), y, z), triple([n * scale for n in spec.shape]))
    return crop[::-1] if flip else crop


def check_stored_finer(study: Study, spec: InputSpec, scale: int) -> None:
    """What is finer than the stored scan cannot be made of it, and an average is not one voxel in so many."""
    if spec.antialias:
        raise SimcropError(
            "bad-setting",
            f"a target {scale} times as fine as the input leaves one voxel in {scale} as input along each axis, and "
            "input.antialias would average: set it to false, with a cohort ingested without --antialias",
        )
    finer = triple_mm([mm / scale for mm in spec.spacing_mm])
    if not is_stored_at(study, replace(spec, spacing_mm=finer)):
        raise SimcropError(
            "bad-setting",
            f"a target {scale} times as fine as input.spacing_mm = {list(spec.spacing_mm)} needs a cohort stored at "
            f"that spacing: ingest it with --spacing {','.join(f'{mm:g}' for mm in finer)}",
        )
    check_alike(study, spec)


def triple_mm(lengths: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = lengths
    return x, y, z

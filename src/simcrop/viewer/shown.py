"""A scan as a browser gets it: int16 HU in RAS+ as NIfTI, thinned where it is too large to be shown whole.

Axes: x right, y front, z up (RAS+); affines map voxel index -> RAS+ mm. Values in HU; labels are whole numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from simcrop.data.guess import shown as shown_note
from simcrop.data.ingest.mask import labels_on
from simcrop.data.quality.notes import guesses
from simcrop.data.readers import read_volume
from simcrop.data.store.cohort import Cohort, Study
from simcrop.data.store.findings import read_findings
from simcrop.data.store.format import FINDINGS
from simcrop.data.store.volume_file import rounded
from simcrop.data.volume import Volume, spacing_of
from simcrop.data.writers.nifti import nifti_bytes
from simcrop.errors import SimcropError
from simcrop.viewer.catalogue import Entry
from simcrop.viewer.kept import Kept
from simcrop.viewer.limits import Limits
from simcrop.viewer.refusals import not_found

Triple = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Grid:
    """Of a scan in RAS+, and every which of its voxels is shown along each axis."""

    shape: Triple
    affine: np.ndarray
    step: Triple
    notes: tuple[str, ...] = ()

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        return spacing_of(self.affine)

    @property
    def shown_affine(self) -> np.ndarray:
        return self.affine @ np.diag([*self.step, 1])

    @property
    def reduced(self) -> bool:
        return self.step != (1, 1, 1)


@dataclass(frozen=True, eq=False)
class Shown:
    """`content`: a packed NIfTI."""

    grid: Grid
    content: bytes


@dataclass(frozen=True, eq=False)
class Truth:
    """`values`: the labels in it; `content`: a packed NIfTI."""

    values: tuple[int, ...]
    content: bytes


class Scans:
    """Reads scans of the cohort and of files; what the browser got stays for the next who asks."""

    def __init__(self, cohort: Cohort | None, limits: Limits) -> None:
        self.cohort, self.limits = cohort, limits
        self.kept = Kept[Shown](limits.shown, lambda one: len(one.content) + 1024)
        self.masks = Kept[Truth](limits.shown // 8, lambda one: len(one.content))
        self.grids = Kept[Grid](10_000, lambda _: 1)
        self.findings = None
        if cohort is not None and (cohort.path / FINDINGS).is_file():
            self.findings = read_findings(cohort)

    def study(self, entry: Entry) -> Study:
        assert self.cohort is not None
        assert entry.row is not None
        return self.cohort[entry.row]

    def volume(self, entry: Entry) -> Volume:
        """In HU, its axes as they are stored."""
        with unnamed(entry):
            return self.study(entry).volume() if entry.path is None else read_volume(entry.path)

    def grid(self, entry: Entry) -> Grid:
        """Known of a cohort by its index and its ledger; a file has to be read."""
        if entry.path is None:
            return self.grids.get(entry.key, lambda: self.stored_grid(entry))
        known = self.grids.find(entry.key)
        return known if known is not None else self.shown(entry).grid

    def stored_grid(self, entry: Entry) -> Grid:
        """With what was guessed when it was ingested: nobody may take those sides and mm for measured ones."""
        assert self.cohort is not None
        assert entry.row is not None
        study = self.study(entry)
        return self.laid_out(study.shape, study.affine, guesses(self.cohort, entry.row))

    def shown(self, entry: Entry) -> Shown:
        return self.kept.get(entry.key, lambda: self.made(entry))

    def made(self, entry: Entry) -> Shown:
        if entry.path is None:
            with unnamed(entry):
                hu, grid = self.study(entry).read(), self.grid(entry)
        else:
            volume = self.volume(entry).to_ras()
            grid = self.laid_out(volume.shape, volume.affine, tuple(map(shown_note, volume.notes)))
            x, y, z = grid.step
            hu, grid = rounded(volume.hu[::x, ::y, ::z]), self.grids.put(entry.key, grid)
            return Shown(grid, nifti_bytes(hu, grid.shown_affine))
        x, y, z = grid.step
        return Shown(grid, nifti_bytes(np.ascontiguousarray(hu[::x, ::y, ::z]), grid.shown_affine))

    def laid_out(self, shape: Triple, affine: np.ndarray, notes: tuple[str, ...]) -> Grid:
        grid = Grid(shape, affine, step_of(shape, spacing_of(affine), self.limits.voxels), notes)
        if not grid.reduced:
            return grid
        every = " x ".join(map(str, grid.step))
        return replace(
            grid, notes=(*notes, f"shown thinned, every {every} voxels along x, y and z; maps use all of it")
        )

    def truth(self, entry: Entry) -> Truth:
        """Its mask on the grid that is shown."""
        if not entry.has_mask:
            raise not_found("truth mask")
        return self.masks.get(entry.key, lambda: self.made_truth(entry))

    def made_truth(self, entry: Entry) -> Truth:
        grid = self.grid(entry)
        if entry.mask is not None:
            labels, values = labels_on(entry.mask, grid.shape, grid.affine)
        else:
            with unnamed(entry):
                study = self.study(entry)
                labels, values = study.mask(), study.mask_values
        x, y, z = grid.step
        small = labels.max(initial=0) <= np.iinfo(np.uint8).max
        labels = np.ascontiguousarray(labels[::x, ::y, ::z], np.uint8 if small else np.uint16)
        return Truth(tuple(values), nifti_bytes(labels, grid.shown_affine))

    def classes(self, entry: Entry, sentences: list[str]) -> list[tuple[int, str, int | None]]:
        """What the values of its mask stand for, and the sentence that speaks of each, where the data set says so."""
        if entry.mask is not None or self.findings is None:
            cohort = {} if self.cohort is None else self.cohort.classes
            known = (entry.mask.classes or {}) if entry.mask is not None else cohort
            values = self.truth(entry).values if entry.mask is not None else self.study(entry).mask_values
            return [(value, known.get(value, f"class {value}"), None) for value in values]
        at = {" ".join(text.split()): n for n, text in reversed(list(enumerate(sentences)))}
        return [
            (value, finding.category, at.get(" ".join(finding.text.split())))
            for finding in self.findings.get(self.study(entry).id, ())
            for value in finding.values
        ]

    def forget(self, entry: Entry) -> None:
        self.kept.drop(entry.key)
        self.masks.drop(entry.key)
        self.grids.drop(entry.key)


def step_of(shape: Triple, spacing_mm: tuple[float, float, float], most: int) -> Triple:
    """The finest axis is thinned first, until no more than `most` voxels are left."""
    step = [1, 1, 1]
    while np.prod([-(-n // s) for n, s in zip(shape, step, strict=True)], dtype=float) > most:
        step[int(np.argmin(np.multiply(step, spacing_mm)))] += 1
    return step[0], step[1], step[2]


@contextmanager
def unnamed(entry: Entry) -> Iterator[None]:
    """Refusals without the path of the scan, which a browser has no use for."""
    try:
        yield
    except SimcropError as error:
        sentence = error.sentence
        if entry.path is not None:
            sentence = sentence.replace(f"{entry.path}: ", "", 1).replace(str(entry.path), "the scan")
        raise SimcropError(error.reason, sentence) from error

"""All that is written in DICOM of sentences that were sought in a DICOM series: maps, regions and a report.

Axes: maps `(x, y, z)` on the grid of the scan, as the reader gives it: x along a row, y down the rows, z one slice per
header; NaN where the model did not look. Boxes in RAS+ mm.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from einops import rearrange
from pydicom.dataset import Dataset

from simcrop.data.readers.dicom import lenient
from simcrop.data.writers.dicom_map import as_parametric_map
from simcrop.data.writers.dicom_regions import Regions, as_regions
from simcrop.data.writers.dicom_report import Shown, as_report
from simcrop.data.writers.dicom_seg import REASON, UNUSABLE, check_highdicom, completed, refuse_unstated
from simcrop.data.writers.dicom_text import Source, digest_of
from simcrop.errors import SimcropError

T = TypeVar("T")
MAP, REGIONS, REPORT = "maps", "regions", "report.sr.dcm"
MOST_BYTES = 2**30  # of pixels in one file; DICOM ends at four times as many, readers and memory before
"""Sentences beyond it go to further files of the same series."""


@dataclass(frozen=True, eq=False)
class Sought:
    """One sentence: `mark`, what it says, as in the report's `MARKED`; `map`, made when it is asked for, as of many at
    once there may be no room; `least`: the similarity from which on a voxel belongs to its region; `score` and `box_mm`
    `(2, 3)`: of its nearest patch.
    """

    sentence: str
    mark: str
    map: Callable[[], np.ndarray]
    least: float
    score: float
    box_mm: np.ndarray

    def region(self) -> np.ndarray:
        """Bool; the model did not look where the map has no number."""
        return self.map() >= np.float32(self.least)


def dicom_results(
    sought: Sequence[Sought],
    affine: np.ndarray,
    headers: Sequence[Dataset],
    model: str,
    most: int = MOST_BYTES,
) -> Iterator[tuple[str, bytes]]:
    """Names of files and what is in them, one at a time: `maps.pm.dcm`, `regions.seg.dcm` and `report.sr.dcm`, the
    first two with further files `maps_2.pm.dcm` where one would hold more than `most` bytes of pixels.

    Raises SimcropError where highdicom is missing or the series has not what results refer to.
    """
    check_highdicom()
    refuse_unstated(headers)
    if sought[0].map().shape != (int(headers[0].Columns), int(headers[0].Rows), len(headers)):
        raise SimcropError(REASON, "the heat map does not have the grid of the DICOM series")
    with lenient():
        source = Source(completed(headers), model, digest_of([one.sentence for one in sought]))
        made, shown = list(segs_of(sought, source, most)), list[Shown]()
        voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
        for regions, some, voxels in made:
            shown += [
                Shown(
                    one.sentence,
                    one.mark,
                    one.score,
                    one.least,
                    one.box_mm,
                    count * voxel_ml,
                    regions,
                    segment,
                )
                for segment, (one, count) in enumerate(zip(some, voxels, strict=True), start=1)
            ]
        report = usable(lambda: as_report(shown, source))
    yield REPORT, report
    for number, (regions, _, _) in enumerate(made, start=1):
        yield named(REGIONS, number, "seg"), regions.content
    yield from maps_of(sought, source, most)


def segs_of(
    sought: Sequence[Sought], source: Source, most: int
) -> Iterator[tuple[Regions, Sequence[Sought], list[int]]]:
    """Each file, the sentences in it, and how many voxels each of them has."""
    for number, some in enumerate(in_groups(sought, fitting(source, most, 1)), start=1):
        frames, words = frames_of([one.region for one in some], np.uint8), [one.sentence for one in some]
        voxels = np.count_nonzero(frames, axis=(0, 1, 2)).tolist()
        yield usable(lambda f=frames, w=words, n=number: as_regions(f, w, source, n)), some, voxels


def maps_of(sought: Sequence[Sought], source: Source, most: int) -> Iterator[tuple[str, bytes]]:
    each = fitting(source, most, 4)
    for number, some in enumerate(in_groups(sought, each), start=1):
        frames, words = frames_of([one.map for one in some], np.float32), [one.sentence for one in some]
        with lenient():
            content = usable(
                lambda f=frames, w=words, n=number: as_parametric_map(f, w, source, n, each * (n - 1) + 1)
            )
        yield named(MAP, number, "pm"), content


def in_groups(sought: Sequence[Sought], size: int) -> Iterator[Sequence[Sought]]:
    for first in range(0, len(sought), size):
        yield sought[first : first + size]


def frames_of(volumes: Sequence[Callable[[], np.ndarray]], kind: type[np.generic]) -> np.ndarray:
    """Volumes `(x, y, z)` as frames `(z, rows, columns, volumes)`; one at a time is there twice."""
    first = volumes[0]()
    frames = np.empty((*first.shape[::-1], len(volumes)), kind)
    for i, volume in enumerate(volumes):
        frames[..., i] = rearrange(first if i == 0 else volume(), "x y z -> z y x")
    return frames


def usable(make: Callable[[], T]) -> T:
    """Its result; a refusal where the libraries meet a header that breaks DICOM's rules. Values are never shown."""
    try:
        return make()
    except UNUSABLE as error:
        raise SimcropError(
            REASON, "the headers of the DICOM series hold what no DICOM result may refer to"
        ) from error


def fitting(source: Source, most: int, bytes_each: int) -> int:
    """Sentences whose pixels have room in one file."""
    first = source.headers[0]
    return max(most // (int(first.Rows) * int(first.Columns) * len(source.headers) * bytes_each), 1)


def named(what: str, number: int, kind: str) -> str:
    return f"{what}.{kind}.dcm" if number == 1 else f"{what}_{number}.{kind}.dcm"

"""Whether folders that bear one DICOM series hold parts of one stack, or the stack again, or what has only its name.

Lengths in LPS mm. Tools that anonymise give many scans one SeriesInstanceUID, and people copy folders: so nothing is
said of what does not lie on one grid, slice beside slice, nor of two pictures at one place.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from simcrop.data.readers.dicom import DicomFile, inspect, lenient
from simcrop.data.readers.geometry import directions
from simcrop.data.readers.header_names import sources_of
from simcrop.data.readers.series import COSINE_TOLERANCE, Slice
from simcrop.data.readers.series_choice import Found
from simcrop.errors import SimcropError

NEAR = 3  # slice distances between parts that belong together; a few slices may be lost
UNEVEN = 0.1  # share of the slice distance
PLACES_MM = 2  # digits by which positions are told apart


def parts_of_one(paths: Sequence[Path], series: str) -> list[Path]:
    """Those of the folders that hold a part of the series, and not all of what the others have of it."""
    slices = [slices_in(path, series) for path in paths]
    there = [(path, one) for path, one in zip(paths, slices, strict=True) if one]
    if len(there) < 2:
        return []
    axes = directions(there[0][1][0].orientation)
    every = [s for _, one in there for s in one]
    if not on_one_grid(every, axes) or two_at_one_place(every, axes):
        return []
    along = [{height(s, axes) for s in one} for _, one in there]
    whole = set[float]().union(*along)
    if not is_one_stack(np.array(sorted(whole))):
        return []
    return [path for (path, _), heights in zip(there, along, strict=True) if heights != whole]


def is_one_stack(along: np.ndarray) -> bool:
    """Whether all distances are the same or, where slices were lost, a few times that."""
    steps = np.diff(along)
    if not steps.size:
        return False
    times = steps / np.percentile(steps, 50, method="lower")
    return bool(times.max() < NEAR + UNEVEN and np.abs(times - times.round()).max() <= UNEVEN)


def slices_in(path: Path, series: str) -> list[Slice]:
    """The sound ones; of the others the reader will say what is wrong."""
    try:
        with lenient():
            found = [slice_in(source, index, series) for index, source in enumerate(sources_of(path))]
    except (SimcropError, OSError):
        return []
    return [one for one in found if one is not None]


def slice_in(source: DicomFile, index: int, series: str) -> Slice | None:
    try:
        found = inspect(source, index)
    except SimcropError:
        return None
    if not isinstance(found, Found) or found.series.strip() != series:
        return None
    return found.slice if isinstance(found.slice, Slice) else None


def height(s: Slice, axes: np.ndarray) -> float:
    return round(float(s.position @ axes[:, 2]), PLACES_MM)


def on_one_grid(slices: list[Slice], axes: np.ndarray) -> bool:
    first = slices[0]
    shift = np.stack([s.position - first.position for s in slices]) @ axes[:, :2]
    alike = (
        (s.rows, s.columns) == (first.rows, first.columns)
        and np.allclose(s.spacing_mm, first.spacing_mm, rtol=1e-3, atol=0)
        and np.allclose(s.orientation, first.orientation, atol=COSINE_TOLERANCE)
        for s in slices
    )
    return bool(np.linalg.norm(shift, axis=1).max() <= 0.5 * min(first.spacing_mm)) and all(alike)


def two_at_one_place(slices: list[Slice], axes: np.ndarray) -> bool:
    first: dict[float, str] = {}
    return any(first.setdefault(height(s, axes), s.instance) != s.instance for s in slices)

"""How finely and how widely the scans of a cohort were taken, and which of them stand out.

Axes: s studies; then x (right), y (front), z (head), whatever the order in the file. Lengths in mm.
"""

from dataclasses import dataclass

import numpy as np
from nibabel.orientations import io_orientation

from simcrop.data.preprocess import InputSpec
from simcrop.data.quality.facts import Outlier
from simcrop.data.store.cohort import Cohort
from simcrop.data.volume import spacing_of

AXES = "xyz"
FEWEST = 8  # studies, before one of them can be unlike the others
Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Measure:
    """One length of every scan, float64 `(s,)` in mm; `usual` is what a chest CT has."""

    what: str
    axis: str
    values: np.ndarray
    usual: Range

    @property
    def name(self) -> str:
        return f"{self.what} {self.axis}"

    @property
    def unusual(self) -> np.ndarray:
        """Bool `(s,)`: outside what a chest CT has."""
        low, high = self.usual
        return (self.values < low) | (self.values > high)

    @property
    def alone(self) -> np.ndarray:
        """Bool `(s,)`: unlike the cohort's median by a quarter of it and by three times the cohort's inner half."""
        if len(self.values) < FEWEST:
            return np.zeros(len(self.values), dtype=bool)
        first, median, third = np.quantile(self.values, (0.25, 0.5, 0.75))
        return np.abs(self.values - median) > max(3 * (third - first), 0.25 * median)


USUAL_SPACING: tuple[Range, ...] = ((0.4, 1.25), (0.4, 1.25), (0.4, 5.0))
USUAL_EXTENT: tuple[Range, ...] = ((240.0, 510.0), (240.0, 510.0), (200.0, 510.0))


def measures(cohort: Cohort) -> list[Measure]:
    """Spacing along x, y, z, then the field of view along x, y, z, of the scans as they were in their files."""
    spacing, extent = np.empty((len(cohort), 3)), np.empty((len(cohort), 3))
    grids = cohort.index.select("source_affine", "source_shape").iter_rows()
    for row, (numbers, shape) in enumerate(grids):
        affine = np.array(numbers).reshape(4, 4)
        along = io_orientation(affine)[:, 0].astype(int)
        spacing[row, along] = spacing_of(affine)
        extent[row, along] = np.array(spacing_of(affine)) * shape
    pairs = (("spacing", spacing, USUAL_SPACING), ("field of view", extent, USUAL_EXTENT))
    return [
        # To a thousandth: headers hold float32, and 5.0000002 mm is not beyond 5.
        Measure(what, axis, values[:, i].round(3), usual[i])
        for what, values, usual in pairs
        for i, axis in enumerate(AXES)
    ]


def geometry_outliers(ids: list[str], found: list[Measure]) -> list[Outlier]:
    """Studies that stand out, with every length that does."""
    outlying = np.any([measure.unusual | measure.alone for measure in found], axis=0)
    return [Outlier(ids[row], sentence_of(found, row)) for row in np.flatnonzero(outlying).tolist()]


def sentence_of(found: list[Measure], row: int) -> str:
    """What stands out of one study; axes of which the same is true are named together."""
    axes: dict[tuple[str, str], list[str]] = {}
    for measure in found:
        low, high = measure.usual
        usual, median = f"usual are {low:g} to {high:g}", float(np.median(measure.values))
        if measure.unusual[row] or measure.alone[row]:
            beside = usual if measure.unusual[row] else f"the cohort's median is {median:.3g}"
            words = f"{measure.values[row]:.3g} mm, {beside}"
            axes.setdefault((measure.what, words), []).append(measure.axis)
    return "; ".join(f"{what} {' and '.join(along)}: {words}" for (what, words), along in axes.items())


def box_of(shape: tuple[int, ...], spacing_mm: tuple[float, ...], spec: InputSpec) -> np.ndarray:
    """Outer corners `(2, 3)` of the input in the middle of a stored scan, in mm from the scan's own outer corner."""
    whole = np.array(shape) * spacing_mm
    want = whole if spec.fit == "resize" else np.array(spec.shape) * spec.spacing_mm
    low = (whole - want) / 2
    return np.stack([low, low + want])


def cut_by(cohort: Cohort, spec: InputSpec) -> dict[str, int]:
    """Axis -> how many scans are longer than the input along it; none is that is resized whole."""
    if spec.fit == "resize":
        return dict.fromkeys(AXES, 0)
    shapes = np.array(cohort.index["shape"].to_list()).reshape(-1, 3)
    # Half a voxel of slack: a scan of just the input's size loses nothing.
    beyond = (
        shapes * cohort.spacing_mm > np.array(spec.shape) * spec.spacing_mm + np.array(cohort.spacing_mm) / 2
    )
    return dict(zip(AXES, beyond.sum(0).tolist(), strict=True))

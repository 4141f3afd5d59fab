"""A DICOM series proved from its headers: equal slices, equal distances, no gap, no tilt.

Axes: x along a row (column index), y down the rows, z along the slice normal; lengths in LPS mm, the affine in RAS+.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.data.readers.geometry import affine_from_lps, directions
from simcrop.errors import SimcropError

STEP_TOLERANCE = 0.05  # share of the slice distance; headers that round positions stay well below
STEP_TOLERANCE_MM = 0.05
COSINE_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Slice:
    """What one header says. `index` finds its pixels again; `number` is what the user sees in a viewer. `instance` is
    compared and never shown.
    """

    index: int
    name: str  # of its file
    number: int
    series: str
    instance: str  # SOPInstanceUID
    rows: int
    columns: int
    spacing_mm: tuple[float, float]  # between rows, between columns, as DICOM orders them
    position: np.ndarray  # (3,) LPS mm, centre of the first voxel
    orientation: np.ndarray  # (6,) cosines
    slope: float
    intercept: float
    unit: str  # RescaleType, HU where it is unsaid
    states: frozenset[str]  # keywords on the meaning of stored numbers that its header has
    bits: str  # BitsStored, of which a slice's own counts
    padding: tuple[int, int] | None  # PixelPaddingValue and its limit, as written


def prove(slices: list[Slice]) -> tuple[list[Slice], np.ndarray]:
    """The slices in order along their normal, and the affine (RAS+ mm) of the volume they make."""
    if len(slices) < 2:
        raise SimcropError(
            "not-3d", "one DICOM slice alone is no volume: give the folder of the whole series"
        )
    same_grid(slices)
    same_numbers(slices)
    axes = directions(slices[0].orientation)
    slices = sorted(slices, key=lambda s: float(s.position @ axes[:, 2]))
    positions = np.stack([s.position for s in slices])
    even_steps(slices, positions @ axes[:, 2])
    no_tilt(slices, positions, axes)

    between_rows, between_columns = slices[0].spacing_mm
    steps = np.stack(
        [
            axes[:, 0] * between_columns,
            axes[:, 1] * between_rows,
            (positions[-1] - positions[0]) / (len(slices) - 1),
        ],
        axis=1,
    )
    return slices, affine_from_lps(steps, positions[0])


def same_grid(slices: list[Slice]) -> None:
    """Every slice has the size, spacing and orientation of the first."""
    first = slices[0]
    axes = directions(first.orientation)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=COSINE_TOLERANCE):
        raise SimcropError(
            "bad-orientation", f"slice {first.number}: its row and column are not perpendicular units"
        )
    for s in slices:
        differs = {
            "size": (s.rows, s.columns) != (first.rows, first.columns),
            "pixel spacing": not np.allclose(s.spacing_mm, first.spacing_mm, rtol=1e-3, atol=0),
            "orientation": not np.allclose(s.orientation, first.orientation, atol=COSINE_TOLERANCE),
        }
        for what, is_different in differs.items():
            if is_different:
                raise SimcropError("mixed-geometry", f"slices {first.number} and {s.number} differ in {what}")


def same_numbers(slices: list[Slice]) -> None:
    """What one slice states of its stored numbers all of them state, each for itself; and all are in one unit.

    A rescale that is left out would count as 1 and 0, a thousand HU off, and an unsaid RescaleType as HU.
    """
    for keyword in sorted(frozenset().union(*(s.states for s in slices))):
        without = [s.number for s in slices if keyword not in s.states]
        if without:
            shown = ", ".join(map(str, sorted(without)[:5])) + more(len(without) - 5)
            raise SimcropError(
                "mixed-numbers",
                f"slice{'s' * (len(without) > 1)} {shown} of {len(slices)} without {keyword}, which the others state: "
                "what the numbers mean there would be a guess",
            )
    units = {s.unit: s.number for s in reversed(slices)}
    if len(units) > 1:
        raise SimcropError(
            "mixed-numbers",
            f"slices {' and '.join(map(str, sorted(units.values())[:2]))} differ in RescaleType, expected HU in all",
        )


def even_steps(slices: list[Slice], along: np.ndarray) -> None:
    """Distances along the normal: none zero, none twice the others, all alike."""
    steps = np.diff(along)
    # The lower median of the real steps: duplicates are named first, gaps must not drag it up.
    same = np.flatnonzero(steps < 1e-3)
    if same.size:
        pairs = ", ".join(pair(slices[i], slices[i + 1]) for i in same[:5].tolist())
        raise SimcropError("duplicate-slices", f"slices at one position: {pairs}{more(same.size - 5)}")
    step = float(np.percentile(steps, 50, method="lower"))
    tolerance = max(STEP_TOLERANCE_MM, STEP_TOLERANCE * step)
    for i in np.flatnonzero(np.abs(steps - step) > tolerance).tolist():
        refuse_gap(slices, i, float(steps[i]), step, tolerance)
    drift = along - np.linspace(along[0], along[-1], len(along))
    if np.abs(drift).max() > max(0.1, 0.25 * step):
        worst = slices[int(np.abs(drift).argmax())].number
        raise SimcropError("irregular-slices", f"slice distances drift: slice {worst} lies off its place")


def pair(a: Slice, b: Slice) -> str:
    """By their numbers, or by their files where those say nothing."""
    return f"{a.name} and {b.name}" if a.number == b.number else f"{a.number} and {b.number}"


def refuse_gap(slices: list[Slice], i: int, gap: float, step: float, tolerance: float) -> None:
    """Name the slices on both sides, and those between them when the numbering knows them."""
    before, after = slices[i].number, slices[i + 1].number
    absent = round(gap / step) - 1
    seen = f"{gap:.4g} mm between slices {before} and {after}, where {step:.4g} mm is expected"
    if absent < 1 or abs(gap - (absent + 1) * step) > tolerance * (absent + 1):
        raise SimcropError("irregular-slices", f"slice distances are not equal: {seen}")
    low, high = sorted((before, after))
    numbers = f" {low + 1}" if absent == 1 else f" {low + 1}-{high - 1}"
    which = f"slice{'s' * (absent > 1)}{numbers}" if high - low - 1 == absent else f"{absent} of the slices"
    raise SimcropError("missing-slices", f"{which} missing: {seen}")


def no_tilt(slices: list[Slice], positions: np.ndarray, axes: np.ndarray) -> None:
    """Slices must stack straight up: a sideways shift of half a pixel over the scan is too much."""
    shift = (positions - positions[0]) @ axes[:, :2]
    sideways = np.linalg.norm(shift, axis=1)
    limit = 0.5 * min(slices[0].spacing_mm)
    if sideways.max() > limit:
        worst = slices[int(sideways.argmax())].number
        raise SimcropError(
            "tilted-slices",
            f"slice {worst} lies {sideways.max():.3g} mm sideways of the first one, "
            f"expected at most {limit:.3g} mm: a tilted gantry or mixed positions",
        )


def more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""

"""Where a scan lies: affines from LPS words (DICOM, ITK, metadata tables), hints for files without, and proof.

Axes: columns of a step matrix are mm per voxel along x, y, z. DICOM and ITK count L, P, S; affines are RAS+.

Whatever its format, a scan is refused whose axes are not perpendicular, see `check_shear`, or whose voxels have a size
that no scanner makes, see `check_field`.
"""

from dataclasses import replace
from itertools import combinations, product
from typing import TypeVar

import numpy as np

from simcrop.data.guess import SIZE, is_guess, position_guess, sides_guess, size_guess
from simcrop.data.hounsfield import Hint
from simcrop.data.readers.stored import Header
from simcrop.data.volume import check_affine, spacing_of
from simcrop.errors import SimcropError

AnyHeader = TypeVar("AnyHeader", bound=Header)
SMALLEST_MM, LARGEST_MM = 0.01, 100.0  # of a voxel
LARGEST_LITRES = 1000.0  # a whole body in the widest field of view, 2 m x 0.7 m x 0.7 m, has 980
SQUARE_COSINE = 1e-3  # of two axes: what rounding in a header makes of a right angle
LARGEST_SHIFT = 0.5  # voxels sideways from one end of a scan to the other
MOST_TURNED = 10.0  # degrees off the axes of the body that nobody need be told of
SAME_SIZE = 0.01  # two statements of one length that differ by no more agree
UNSAID = "neither header nor table states it"
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def affine_from_lps(steps: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Steps `(3, 3)` in LPS mm per voxel, one column per axis, and the first voxel's centre -> RAS+ affine."""
    affine = np.eye(4)
    affine[:3, :3] = steps
    affine[:3, 3] = origin
    return LPS_TO_RAS @ affine


def directions(orientation: np.ndarray) -> np.ndarray:
    """Six cosines -> `(3, 3)` unit columns: along a row (x), down the rows (y), along the slice normal (z)."""
    along, down = orientation[:3], orientation[3:]
    return np.stack([along, down, np.cross(along, down)], axis=1)


def place(stored: AnyHeader, shape: tuple[int, ...], hint: Hint | None) -> AnyHeader:
    """Real geometry in the file wins; a file without any takes the hint's. Either way the affine is sound."""
    check_affine(stored.affine)
    placed = place_with(stored, hint) if hint is not None and hint.places else stored
    check_field(shape, placed.affine)
    check_shear(shape, placed.affine)
    degrees = turned(placed.affine)
    if degrees <= MOST_TURNED:
        return placed
    words = f"its axes stand {degrees:.0f} degrees off those of the patient and are not turned"
    return replace(placed, notes=(*placed.notes, words))


def turned(affine: np.ndarray) -> float:
    """By how many degrees an axis of the voxels is off the nearest one of the body, at most."""
    nearest = np.abs(affine[:3, :3] / spacing_of(affine)).max(axis=0).min()
    return float(np.degrees(np.arccos(min(float(nearest), 1.0))))


def check_shear(shape: tuple[int, ...], affine: np.ndarray) -> None:
    """Refuse axes that are not perpendicular, by the measure that DICOM's tilted slices have.

    A slice may lie half a voxel sideways of the one at the other end of the scan; a cosine up to `SQUARE_COSINE` is
    rounding. What is within is resampled along its own axes.
    """
    spacing, units = np.array(spacing_of(affine)), affine[:3, :3] / spacing_of(affine)
    extent = (np.array(shape) - 1) * spacing
    across = slice_axis(spacing)
    for i, j in combinations(range(3), 2):
        cosine = abs(float(units[:, i] @ units[:, j]))
        one, other = extent[i] / spacing[j], extent[j] / spacing[i]
        shift = cosine * (one if across == i else other if across == j else min(one, other))
        if cosine > SQUARE_COSINE and shift > LARGEST_SHIFT:
            raise SimcropError(
                "tilted-slices",
                f"the voxel axes {i + 1} and {j + 1} stand at {np.degrees(np.arccos(min(cosine, 1.0))):.3g} "
                f"degrees to one another and shift by {shift:.3g} voxels over the scan, expected 90 degrees and at "
                f"most {LARGEST_SHIFT:g}: a tilted gantry, resample it to right angles first",
            )


def leaning(affine: np.ndarray) -> float:
    """The largest cosine between two of the axes; 0 where all stand at right angles."""
    units = affine[:3, :3] / spacing_of(affine)
    return float(np.abs(units.T @ units - np.eye(3)).max())


def slice_axis(spacing: np.ndarray) -> int:
    """Which axis goes from slice to slice: the other two have voxel sizes that are most alike, to 1 %; or the third."""
    ratios = [abs(round(float(np.log(np.divide(*np.delete(spacing, axis)))), 2)) for axis in (2, 1, 0)]
    return 2 - ratios.index(min(ratios))


def agree(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two statements of the same lengths differ by 1 % at most."""
    return bool(np.allclose(one, other, rtol=SAME_SIZE, atol=0))


def distance_mm(one: np.ndarray, other: np.ndarray, shape: tuple[int, int, int]) -> float:
    """How far apart two affines put a corner of a grid, at most."""
    corners = np.array([[*at, 1] for at in product(*((0, n - 1) for n in shape))])
    return float(np.linalg.norm(corners @ (one - other).T, axis=1).max())


def in_mm(lengths: np.ndarray | tuple[float, ...]) -> str:
    return f"{' x '.join(f'{n:.4g}' for n in lengths)} mm"


def check_field(shape: tuple[int, ...], affine: np.ndarray) -> None:
    """Refuse voxels and volumes of a size that no body and no scanner has: a slip of units, or a trap."""
    spacing, litres = (
        spacing_of(affine),
        abs(float(np.linalg.det(affine[:3, :3]))) * float(np.prod(shape, dtype=np.float64)) / 1e6,
    )
    size = " x ".join(f"{mm:.4g}" for mm in spacing)
    if not SMALLEST_MM <= min(spacing) <= max(spacing) <= LARGEST_MM:
        raise SimcropError(
            "absurd-spacing",
            f"voxels of {size} mm, expected {SMALLEST_MM:g} to {LARGEST_MM:g} mm along each axis",
        )
    if litres > LARGEST_LITRES:
        raise SimcropError(
            "absurd-spacing",
            f"voxels of {size} mm make a scan of {litres:.4g} litres, more than a whole body",
        )


def place_with(stored: AnyHeader, hint: Hint) -> AnyHeader:
    """What the hint may add to the file's own words."""
    if not stored.sized and hint.spacing_mm is not None:
        return resize(stored, hint.spacing_mm)
    if stored.placed:
        return replace(stored, notes=stored.notes + disagreement(spacing_of(stored.affine), hint))
    placed = place_by_hint(stored, hint)
    check_affine(placed.affine)
    return placed


def resize(stored: AnyHeader, spacing_mm: tuple[float, float, float]) -> AnyHeader:
    """The directions of the format, the voxel size of the table; a note where that is not the customary size."""
    affine = stored.affine.copy()
    affine[:3, :3] *= np.divide(spacing_mm, spacing_of(stored.affine))
    check_affine(affine)
    notes = tuple(note for note in stored.notes if not note.startswith(SIZE))
    if not agree(np.array(spacing_of(stored.affine)), np.array(spacing_mm)):
        notes += (f"voxels of {in_mm(spacing_mm)} as the metadata table says",)
    return replace(stored, affine=affine, sized=True, notes=notes)


def place_by_hint(stored: AnyHeader, hint: Hint) -> AnyHeader:
    """The table's spacing, position and orientation; a spacing that the header really states stays."""
    spacing, guessed = spacing_of(stored.affine), []
    stated = spacing != (1.0, 1.0, 1.0)
    if not stated and hint.spacing_mm is not None:
        spacing = hint.spacing_mm
    elif not stated:
        guessed.append(size_guess(spacing, UNSAID))
    if hint.orientation_lps is None:
        guessed.append(sides_guess("LPS", UNSAID))
    if hint.position_lps_mm is None:
        guessed.append(position_guess(UNSAID))
    orientation = np.array(hint.orientation_lps or (1, 0, 0, 0, 1, 0), float)
    origin = np.array(hint.position_lps_mm or (0, 0, 0), float)
    kept = tuple(note for note in stored.notes if not is_guess(note))
    notes = (*disagreement(spacing, hint), "geometry taken from the metadata table", *kept, *guessed)
    affine = affine_from_lps(directions(orientation) * np.array(spacing), origin)
    return replace(stored, affine=affine, placed=True, notes=notes)


def disagreement(spacing: tuple[float, float, float], hint: Hint) -> tuple[str, ...]:
    """A note where header and table differ by more than 1 % along any axis."""
    if hint.spacing_mm is None or agree(np.array(spacing), np.array(hint.spacing_mm)):
        return ()
    header, table = in_mm(spacing), in_mm(hint.spacing_mm)
    return (f"the header's spacing {header} is kept, the metadata table says {table}",)

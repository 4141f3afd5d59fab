"""Where a scan lies: affines from LPS words (DICOM, ITK, metadata tables), and hints for files without.

Axes: columns of a step matrix are mm per voxel along x, y, z. DICOM and ITK count L, P, S; affines are RAS+.
"""

from dataclasses import replace
from typing import TypeVar

import numpy as np

from simcrop.data.hounsfield import Hint
from simcrop.data.readers.stored import Header
from simcrop.data.volume import check_affine, spacing_of
from simcrop.errors import SimcropError

AnyHeader = TypeVar("AnyHeader", bound=Header)
SMALLEST_MM, LARGEST_MM = 0.01, 100.0  # of a voxel
LARGEST_LITRES = 1000.0  # a whole body in the widest field of view, 2 m x 0.7 m x 0.7 m, has 980
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
    return placed


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
    size = " x ".join(f"{n:.4g}" for n in spacing_mm)
    usual = np.allclose(spacing_of(stored.affine), spacing_mm, rtol=0.01, atol=0)
    note = () if usual else (f"voxels of {size} mm as the metadata table says",)
    return replace(stored, affine=affine, sized=True, notes=stored.notes + note)


def place_by_hint(stored: AnyHeader, hint: Hint) -> AnyHeader:
    """The table's spacing, position and orientation; a spacing that the header really states stays."""
    spacing, guessed = spacing_of(stored.affine), []
    stated = spacing != (1.0, 1.0, 1.0)
    if not stated and hint.spacing_mm is not None:
        spacing = hint.spacing_mm
    elif not stated:
        guessed.append("spacing 1 mm")
    if hint.orientation_lps is None:
        guessed.append("orientation L, P, S")
    if hint.position_lps_mm is None:
        guessed.append("position 0")
    orientation = np.array(hint.orientation_lps or (1, 0, 0, 0, 1, 0), float)
    origin = np.array(hint.position_lps_mm or (0, 0, 0), float)
    notes = (*disagreement(spacing, hint), "geometry taken from the metadata table")
    if guessed:
        notes += (f"guessed, as neither header nor table says it: {', '.join(guessed)}",)
    affine = affine_from_lps(directions(orientation) * np.array(spacing), origin)
    return replace(stored, affine=affine, placed=True, notes=notes)


def disagreement(spacing: tuple[float, float, float], hint: Hint) -> tuple[str, ...]:
    """A note where header and table differ by more than 1 % along any axis."""
    if hint.spacing_mm is None or np.allclose(spacing, hint.spacing_mm, rtol=0.01, atol=0):
        return ()
    header, table = (" x ".join(f"{n:.4g}" for n in s) for s in (spacing, hint.spacing_mm))
    return (f"the header's spacing {header} mm is kept, the metadata table says {table} mm",)

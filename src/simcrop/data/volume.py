"""A CT volume: Hounsfield units on a grid that knows where it lies in the patient.

Axes: x, y, z are the voxel axes in the order the file stores them, whatever their direction; the affine
says which way each one runs. `to_ras` turns the grid so that x runs right, y front, z up.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from nibabel.orientations import aff2axcodes, apply_orientation, inv_ornt_aff, io_orientation

from simcrop.errors import SimcropError

FARTHEST_MM = 1e12  # squares of it still are plain numbers
AIR_HU = -1000  # what padding becomes, in a scan and around it


@dataclass(frozen=True)
class HuDecision:
    """How the stored numbers became Hounsfield units, and on what evidence.

    `source` is one of `header`, `stored`, `metadata`, `given`, `npz`, `slices`; `hu = stored * slope + intercept`.
    `padding_hu` stood for "nothing measured" before it became air, `padding_share` of all voxels, about.
    """

    source: str
    slope: float
    intercept: float
    padding_hu: float | None
    sentence: str
    padding_share: float = 0.0


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan. `hu`: float32 `(x, y, z)` in HU; `affine`: float64 `(4, 4)`, voxel index -> RAS+ mm."""

    hu: np.ndarray
    affine: np.ndarray
    decision: HuDecision | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.hu.ndim != 3:
            raise SimcropError("not-3d", f"expected a 3D volume, found {self.hu.ndim} axes {self.hu.shape}")
        check_affine(self.affine)

    @property
    def shape(self) -> tuple[int, int, int]:
        x, y, z = self.hu.shape
        return x, y, z

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along each stored axis."""
        x, y, z = spacing_of(self.affine)
        return x, y, z

    @property
    def axis_codes(self) -> str:
        """Direction in which each stored axis grows, such as `RAS` or `LPS`."""
        return "".join(aff2axcodes(self.affine))

    def to_ras(self) -> "Volume":
        """The same scan with its axes permuted and flipped, never interpolated, to the closest RAS+ order."""
        orientation = io_orientation(self.affine)
        affine = self.affine @ inv_ornt_aff(orientation, self.shape)
        return replace(self, hu=apply_orientation(self.hu, orientation), affine=affine)


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Millimetres per voxel along each axis of `affine`."""
    x, y, z = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    return x, y, z


def check_affine(affine: np.ndarray) -> None:
    """Refuse a matrix that cannot place voxels in space."""
    if affine.shape != (4, 4) or not (np.abs(affine) < FARTHEST_MM).all():  # nor with NaN
        raise SimcropError("singular-affine", "the affine is not a finite 4 x 4 matrix")
    spacing = np.array(spacing_of(affine))
    if (spacing <= 0).any() or abs(np.linalg.det(affine[:3, :3] / np.maximum(spacing, 1e-12))) < 1e-3:
        raise SimcropError(
            "singular-affine",
            f"the affine is singular: its axes have lengths {spacing.round(4).tolist()} mm "
            "and do not span space, so voxels cannot be placed in the patient",
        )

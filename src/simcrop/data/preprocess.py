"""A scan in mm becomes the network's input, and a patch finds its way back to the scan.

Axes: x runs right, y front, z up (RAS+). Three grids: the *source* (as stored in the file), the *resampled* grid
(RAS+, fixed spacing, whole scan) and the *input* (a crop of the resampled grid, padded with air).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from nibabel.affines import apply_affine

from simcrop.data.resampling.plan import Triple, native, resample
from simcrop.data.volume import AIR_HU, Volume
from simcrop.errors import SimcropError

if TYPE_CHECKING:
    from torch import Tensor


Centre = Literal["scan", "lungs"]
Fit = Literal["crop", "resize"]
Scale = Literal["window", "minmax"]


@dataclass(frozen=True)
class InputSpec:
    """What the network expects to see: spacing in mm, shape in voxels, the HU window mapped to [-1, 1].

    `antialias`: how the spacing is reached, see `resample`. `centre`: what lies in the middle of the input, the middle
    of the scan, or that of the lungs where they are found.

    `fit`: a crop at that spacing, or the whole scan resized to `shape`, whatever its voxels measure then. `scale`: what
    becomes [-1, 1], the window, or of a whole scan what lies between its least and its largest value in the window.
    """

    spacing_mm: tuple[float, float, float] = (1.5, 1.5, 3.0)
    shape: Triple = (224, 224, 112)
    window_hu: tuple[float, float] = (-1000.0, 1000.0)
    antialias: bool = False
    centre: Centre = "scan"
    fit: Fit = "crop"
    scale: Scale = "window"

    def __post_init__(self) -> None:
        if min(self.spacing_mm) <= 0 or min(self.shape) <= 0 or self.window_hu[0] >= self.window_hu[1]:
            raise SimcropError(
                "bad-setting", f"input spec must be positive and its window rising, got {self}"
            )
        if self.fit == "resize" and (self.antialias or self.centre != "scan"):
            raise SimcropError(
                "bad-setting", "antialias and centre are about crops, and fit = resize makes none"
            )
        if self.fit == "crop" and self.scale != "window":
            raise SimcropError(
                "bad-setting", f"scale = {self.scale} is of whole scans: it wants fit = resize"
            )


paper = InputSpec()


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the input lies in the scan. Lengths in voxels of the named grid; affines map voxel index -> RAS+ mm."""

    spec: InputSpec
    source_shape: Triple
    source_affine: np.ndarray
    resampled_shape: Triple
    resampled_affine: np.ndarray
    start: Triple  # resampled index of input voxel (0, 0, 0); negative where the input is padded

    @property
    def affine(self) -> np.ndarray:
        """Input voxel index -> RAS+ mm."""
        shift = np.eye(4)
        shift[:3, 3] = self.start
        return self.resampled_affine @ shift

    def box_mm(self, index: Triple, patch: Triple) -> np.ndarray:
        """Corners of one patch as `(2, 3)` RAS+ mm: the lowest and the highest coordinate along each axis."""
        low = np.array(index) * patch - 0.5
        corners = low + np.array(np.meshgrid(*[(0, p) for p in patch], indexing="ij")).reshape(3, -1).T
        mm = apply_affine(self.affine, corners)
        return np.stack([mm.min(0), mm.max(0)])

    def centres_mm(self, grid: tuple[int, ...]) -> np.ndarray:
        """The middle of every patch of a grid of so many along x, y and z, `(n, 3)` RAS+ mm, the last axis fastest;
        also of those that lie beside the scan, which `holds_scan` tells.
        """
        patch = np.floor_divide(self.spec.shape, grid)
        index = np.stack(np.meshgrid(*map(np.arange, grid), indexing="ij"), axis=-1).reshape(-1, 3)
        return apply_affine(self.affine, index * patch + (patch - 1) / 2).astype(np.float32)

    def to_source(self, patches: np.ndarray) -> np.ndarray:
        """Spread one value per patch, `(gx, gy, gz)`, over the source grid; NaN where the input did not reach.

        Every source voxel takes the value of the patch that contains its centre, so the map shows the
        resolution at which the network really looked.
        """
        index, inside, permutation = self.patch_of_source(patches.shape)
        spread = patches[np.ix_(*index)].astype(np.float32)
        spread[~(inside[0][:, None, None] & inside[1][None, :, None] & inside[2][None, None, :])] = np.nan
        return np.ascontiguousarray(spread.transpose(np.argsort(permutation)))

    def cut_nearest(self, source: np.ndarray) -> np.ndarray:
        """What of a volume on the source grid lies in the input, `(x, y, z)`: each voxel takes the source voxel that
        holds its centre; 0 where there is none. For labels, which cannot be interpolated.
        """
        to_source = np.linalg.inv(self.source_affine) @ self.affine
        permutation = np.abs(to_source[:3, :3]).argmax(0)  # the source's axis of each of the input's
        index, inside = [], []
        for axis, source_axis in enumerate(permutation):
            line = np.arange(self.spec.shape[axis])
            position = np.floor(
                line * to_source[source_axis, axis] + to_source[source_axis, 3] + 0.5 + 1e-6
            ).astype(int)
            inside.append((position >= 0) & (position < source.shape[source_axis]))
            index.append(position.clip(0, source.shape[source_axis] - 1))
        found = source.transpose(permutation)[np.ix_(*index)]
        x, y, z = inside
        return np.where(x[:, None, None] & y[None, :, None] & z[None, None, :], found, 0)

    def holds_scan(self, grid: tuple[int, ...]) -> np.ndarray:
        """Bool `(gx, gy, gz)`: which patches contain a voxel of the scan, and not only the padding around it."""
        index, inside, _ = self.patch_of_source(grid)
        reached = [np.isin(np.arange(n), i[ok]) for n, i, ok in zip(grid, index, inside, strict=True)]
        return reached[0][:, None, None] & reached[1][None, :, None] & reached[2][None, None, :]

    def patch_of_source(self, grid: tuple[int, ...]) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
        """Per input axis: the patch of each source voxel, whether the input reached it, and the source's axis."""
        patch = tuple(n // g for n, g in zip(self.spec.shape, grid, strict=True))
        to_input = np.linalg.inv(self.affine) @ self.source_affine
        permutation = np.abs(to_input[:3, :3]).argmax(1)
        index, inside = [], []
        for axis, source_axis in enumerate(permutation):
            line = np.arange(self.source_shape[source_axis])
            position = np.floor(line * to_input[axis, source_axis] + to_input[axis, 3] + 0.5 + 1e-6).astype(
                int
            )
            inside.append((position >= 0) & (position < self.spec.shape[axis]))
            index.append(position.clip(0, self.spec.shape[axis] - 1) // patch[axis])
        return index, inside, permutation


def centred_start(resampled: Triple, shape: Triple) -> Triple:
    """Start of a crop that keeps the middle; negative where the scan is smaller than the crop.

    As MONAI's SpatialPad and CenterSpatialCrop place an array that runs as ours does (RAS+): of an odd padding the
    smaller half lies before the scan, and a crop holds the voxel `have // 2` at its `want // 2`.
    """
    x, y, z = (
        -((want - have) // 2) if have < want else have // 2 - want // 2
        for have, want in zip(resampled, shape, strict=True)
    )
    return x, y, z


def start_in(hu: np.ndarray, spec: InputSpec) -> Triple:
    """Start of the input in a resampled scan, as `spec.centre` says."""
    found = None
    if spec.centre == "lungs":
        from simcrop.data.centre import lung_centre

        found = lung_centre(hu, spec.spacing_mm)
    if found is None:
        return centred_start(triple(hu.shape), spec.shape)
    x, y, z = (
        round(middle + 0.5 - want / 2) for middle, want in zip(found.tolist(), spec.shape, strict=True)
    )
    return x, y, z


def triple(lengths: Sequence[int]) -> Triple:
    x, y, z = lengths
    return x, y, z


def crop_or_pad(hu: np.ndarray, start: Triple, shape: Triple) -> np.ndarray:
    """`shape` voxels from `start` on; what lies outside the scan is air."""
    out = np.full(shape, AIR_HU, hu.dtype)
    source = tuple(slice(max(s, 0), max(s + n, 0)) for s, n in zip(start, shape, strict=True))
    piece = hu[source]
    at = tuple(slice(max(-s, 0), max(-s, 0) + n) for s, n in zip(start, piece.shape, strict=True))
    out[at] = piece
    return out


def unit_line(window_hu: tuple[float, float]) -> tuple[np.float32, np.float32]:
    """Slope and shift that map the window to [-1, 1]."""
    low, high = window_hu
    return np.float32(2 / (high - low)), np.float32(-2 * low / (high - low) - 1)


def to_unit(hu: np.ndarray, window_hu: tuple[float, float]) -> np.ndarray:
    """HU clipped to the window and mapped to [-1, 1], float32."""
    from simcrop.data.resampling.window import scale_and_clip

    scaled = np.empty(hu.shape, np.float32)
    scale_and_clip(native(hu).reshape(-1), *unit_line(window_hu), scaled.reshape(-1))
    return scaled


def preprocess(volume: Volume, spec: InputSpec = paper) -> tuple["Tensor", Placement]:
    """A scan as the network sees it: tensor `(1, x, y, z)` in [-1, 1], and where that tensor lies in the scan."""
    if spec.fit == "resize":
        return whole(volume, spec)[None], placement_of_whole(volume.shape, volume.affine, spec)
    resampled = resample(volume, spec.spacing_mm, spec.antialias)
    return cut_out(resampled, volume.shape, volume.affine, spec)


def cut_out(
    resampled: Volume, source_shape: Triple, source_affine: np.ndarray, spec: InputSpec
) -> tuple["Tensor", Placement]:
    """A resampled scan as the network sees it, and where that lies in the source."""
    import torch

    start = start_in(resampled.hu, spec)
    placement = Placement(spec, source_shape, source_affine, resampled.shape, resampled.affine, start)
    crop = crop_or_pad(resampled.hu, start, spec.shape)
    return torch.from_numpy(to_unit(crop, spec.window_hu))[None], placement


def whole(volume: Volume, spec: InputSpec) -> "Tensor":
    """All of a scan as the network sees it, `(x, y, z)` in [-1, 1]; with `minmax` a scan of one value is -1."""
    import torch

    from simcrop.data.whole_scan import resized

    hu, own_range = resized(volume, spec.shape, spec.window_hu)
    return torch.from_numpy(to_unit(hu, own_range if spec.scale == "minmax" else spec.window_hu))


def placement_of_whole(
    shape: Triple, affine: np.ndarray, spec: InputSpec, source: tuple[Triple, np.ndarray] | None = None
) -> Placement:
    """Where that lies in a scan of that grid. `source`: shape and affine of the scan's own file, when the grid that was
    resized is another, such as a cohort's.
    """
    from simcrop.data.whole_scan import resized_affine

    source_shape, source_affine = source or (shape, affine)
    placed = resized_affine(shape, affine, spec.shape)
    return Placement(spec, source_shape, source_affine, spec.shape, placed, (0, 0, 0))

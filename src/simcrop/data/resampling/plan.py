"""A scan on another grid, one stored plane at a time: only what is kept is interpolated, no whole raw scan is held.

Axes: i, j, k as stored, of which a plane is `(j, i)` at one k; x, y, z of the resampled grid (RAS+). HU throughout.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from nibabel.orientations import inv_ornt_aff, io_orientation

from simcrop.data.hounsfield import NO_MATTER_HU
from simcrop.data.volume import AIR_HU, HuDecision, Volume, spacing_of

Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]
COMPILED_FOR = (np.int16, np.float32, np.float64)  # anything else becomes float64, which holds it exactly
AS_IT_IS = HuDecision("stored", 1.0, 0.0, None, "")


@dataclass(frozen=True, eq=False)
class Taps:
    """What each new voxel along one axis reads: `weights` `(n, w)` float32 of the old voxels from `first` `(n,)` on."""

    first: np.ndarray
    weights: np.ndarray

    def mirrored(self, length: int) -> "Taps":
        """The same for an old axis of `length` voxels that runs the other way."""
        return Taps(length - self.weights.shape[1] - self.first, self.weights[:, ::-1].copy())


def resampled_length(length: int, old_mm: float, new_mm: float) -> int:
    """Voxels that span the same distance between the first and the last voxel centre."""
    return round((length - 1) * old_mm / new_mm) + 1


def linear_taps(length: int, count: int, step: float) -> Taps:
    """Linear interpolation at `0, step, 2 * step, ...` old voxels, clamped at the last one."""
    if length == 1:
        return Taps(np.zeros(count, np.int64), np.ones((count, 1), np.float32))
    position = np.minimum(np.arange(count) * step, length - 1)
    first = np.minimum(position.astype(np.int64), length - 2)
    weight = position - first
    return Taps(first, np.stack([1 - weight, weight], axis=1).astype(np.float32))


def smoothing_taps(length: int, count: int, step: float) -> Taps:
    """The same positions through a triangle as wide as a new voxel is: no old voxel is jumped over."""
    reach = max(step, 1.0)
    position = np.minimum(np.arange(count) * step, length - 1)
    width = min(length, 2 * int(np.ceil(reach)) + 1)
    first = np.ceil(position - reach).astype(np.int64).clip(0, length - width)
    weights = (1 - np.abs(first[:, None] + np.arange(width) - position[:, None]) / reach).clip(0)
    return Taps(first, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Plan:
    """From a stored grid to another in RAS+. `taps` per stored axis; `axes`: the stored axis of x, y and z."""

    source_shape: Triple
    source_affine: np.ndarray
    affine: np.ndarray
    taps: tuple[Taps, Taps, Taps]
    axes: tuple[int, ...]

    @cached_property
    def users(self) -> list[list[tuple[int, float]]]:
        """For every stored plane k: the new planes that it is added to, and with which weight."""
        users: list[list[tuple[int, float]]] = [[] for _ in range(self.source_shape[2])]
        for new, (first, weights) in enumerate(zip(self.taps[2].first, self.taps[2].weights, strict=True)):
            for tap in np.flatnonzero(weights):
                users[first + tap].append((new, float(weights[tap])))
        return users


def plan(shape: Triple, affine: np.ndarray, spacing_mm: Spacing, antialias: bool = False) -> Plan:
    """New voxel i along each RAS+ axis lies at `i * new / old` old voxels. `antialias` averages where voxels grow."""
    orientation = io_orientation(affine)
    axes = tuple(int(axis) for axis in np.argsort(orientation[:, 0]))
    ras = affine @ inv_ornt_aff(orientation, shape)
    old_mm, taps = spacing_of(ras), {}
    for new_axis, stored_axis in enumerate(axes):
        length, step = shape[stored_axis], spacing_mm[new_axis] / old_mm[new_axis]
        count = resampled_length(length, old_mm[new_axis], spacing_mm[new_axis])
        along = (smoothing_taps if antialias else linear_taps)(length, count, step)
        taps[stored_axis] = along.mirrored(length) if orientation[stored_axis, 1] < 0 else along
    placed = ras.copy()
    placed[:3, :3] *= np.divide(spacing_mm, old_mm)
    return Plan(shape, affine, placed, (taps[0], taps[1], taps[2]), axes)


class Resampler:
    """Takes a scan's planes, in any order, and turns them into HU on the planned grid, float32."""

    def __init__(self, to: Plan, decision: HuDecision) -> None:
        self.plan, self.decision = to, decision
        across, down, through = to.taps
        width = to.source_shape[0]
        self.rows = np.empty((len(down.first), width), np.float32)
        self.plane = np.empty((len(down.first), len(across.first)), np.float32)
        self.planes = np.zeros((len(through.first), *self.plane.shape), np.float32)

    def take(self, k: int, plane: np.ndarray) -> None:
        """Stored plane `k`, `(j, i)`, as stored: the decision's rescale and padding are applied here."""
        from simcrop.data.resampling.kernels import add, weigh_columns, weigh_rows

        if not self.plan.users[k]:
            return
        across, down, _ = self.plan.taps
        padding = self.decision.padding_hu
        weigh_rows(
            native(plane),
            down.first,
            down.weights,
            float(self.decision.slope),
            float(self.decision.intercept),
            np.float32(AIR_HU if padding is None else padding),
            np.float32(-np.inf if padding is None else NO_MATTER_HU),
            np.float32(AIR_HU),
            self.rows,
        )
        weigh_columns(self.rows, across.first, across.weights, self.plane)
        for new, weight in self.plan.users[k]:
            add(self.plane, np.float32(weight), self.planes[new])

    def volume(self, notes: tuple[str, ...] = ()) -> Volume:
        """What became of all planes."""
        hu = self.planes.transpose(2, 1, 0).transpose(self.plan.axes)
        return Volume(hu, self.plan.affine, self.decision, notes)


def native(values: np.ndarray) -> np.ndarray:
    """One of the few types that the loops are compiled for, in C order."""
    kind = values.dtype if values.dtype in COMPILED_FOR else np.dtype(np.float64)
    return np.ascontiguousarray(values, kind.newbyteorder("="))


def planes_of(values: np.ndarray) -> Iterable[np.ndarray]:
    """The planes `(j, i)` of `(i, j, k)`."""
    return np.moveaxis(values, -1, 0).swapaxes(1, 2)


def resample_planes(planes: Iterable[np.ndarray], to: Plan, decision: HuDecision) -> Volume:
    """All planes of a scan, in order. Its voxels lie in memory as they were stored."""
    resampler = Resampler(to, decision)
    for k, plane in enumerate(planes):
        resampler.take(k, plane)
    return resampler.volume()


def resample(volume: Volume, spacing_mm: Spacing, antialias: bool = False) -> Volume:
    """The whole scan in RAS+ at `spacing_mm`, trilinear: voxel i samples the scan at `i * new / old` voxels.

    `antialias` averages over a triangle where voxels grow: at 1 to 3 mm plain interpolation skips two planes of three.
    """
    to = plan(volume.shape, volume.affine, spacing_mm, antialias)
    made = resample_planes(planes_of(volume.hu), to, AS_IT_IS)
    return replace(volume, hu=np.ascontiguousarray(made.hu), affine=made.affine)

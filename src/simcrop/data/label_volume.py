"""A label volume beside a scan: its numbers checked, its axes brought to those of the scan, never interpolated.

Axes: x, y, z are the voxel axes in the order the file stores them; affines map voxel index -> RAS+ mm. Labels are
int16, 0 is the background.
"""

from collections.abc import Container, Iterable

import numpy as np
from nibabel.orientations import apply_orientation

from simcrop.data.class_sides import twins
from simcrop.data.preprocess import InputSpec, Placement, Triple, triple
from simcrop.data.volume import spacing_of
from simcrop.errors import SimcropError

LARGEST = 32767  # of a label
OFF_GRID = 0.1  # voxels that a corner of the mask may lie off that of its scan: what headers round away
MOST = 255  # labels that nobody has declared
SHOWN = 5  # of the labels in a sentence


def as_labels(values: np.ndarray, slope: float = 1.0, intercept: float = 0.0) -> np.ndarray:
    """The stored numbers as int16 labels, if that is what they are."""
    if (slope, intercept) != (1.0, 0.0):
        values = values * slope + intercept
    with np.errstate(invalid="ignore"):
        labels = values.astype(np.int16)
        whole = bool((labels == values).all())
    if not whole or labels.min() < 0:
        raise SimcropError(
            "mask-numbers", f"a mask holds whole numbers from 0 to {LARGEST}, this one has {odd_one(values)}"
        )
    return labels


def odd_one(values: np.ndarray) -> str:
    """What keeps numbers from being labels."""
    if not np.isfinite(values).all():
        return "NaN or infinity"
    if values.min() < 0:
        return f"{values.min():g}"
    return f"{values.max():g}" if values.max() > LARGEST else f"{values[values != np.rint(values)][0]:g}"


class Channels:
    """Joins channels, one per class, to one label volume. `labels`: int16 `(z, y, x)`."""

    def __init__(self, shape: Triple, count: int, classes: dict[int, str] | None) -> None:
        self.labels = np.zeros(shape[::-1], np.int16)
        self.numbers = channel_numbers(count, classes)

    def take(self, k: int, plane: np.ndarray) -> None:
        """Plane `k` `(y, x)` of the file, in which channel comes after channel."""
        channel, z = divmod(k, len(self.labels))
        marked = plane != 0
        if not (plane[marked] == 1).all():
            raise SimcropError(
                "mask-numbers", "a channel of a mask holds 0 and 1, this one has other numbers"
            )
        number = self.numbers[channel]
        if number and self.labels[z][marked].any():
            raise SimcropError(
                "mask-channels", f"the channel of class {number} overlaps with another: a voxel has one class"
            )
        if number:
            self.labels[z][marked] = number


def channel_numbers(count: int, classes: dict[int, str] | None) -> tuple[int, ...]:
    """The class of each channel: ascending, and before them perhaps the background."""
    numbers = tuple(classes) if classes is not None else tuple(range(1, count + 1))
    if count == len(numbers) + 1:
        return (0, *numbers)
    if count != len(numbers):
        raise SimcropError(
            "mask-channels", f"a mask of {count} channels, expected one for each of {len(numbers)} classes"
        )
    return numbers


def on_scan(labels: np.ndarray, affine: np.ndarray, shape: Triple, scan_affine: np.ndarray) -> np.ndarray:
    """The labels in the order and direction of the axes of a scan on the same grid.

    Raises SimcropError where a voxel of the mask does not lie on one of the scan.
    """
    to_scan = np.linalg.inv(scan_affine) @ affine
    turn = np.abs(to_scan[:3, :3])
    axes = turn.argmax(0)  # the scan's axis of each of the mask's
    if len(set(axes.tolist())) < 3:
        raise off_grid("its axes stand at an angle to those of the scan")
    flips = np.sign(to_scan[axes, range(3)])
    orientation = np.stack([axes, flips], axis=1)
    turned = triple([labels.shape[list(axes).index(axis)] for axis in range(3)])
    if turned != shape:
        raise off_grid(f"it has {by(turned)} voxels along the scan's axes, the scan has {by(shape)}")
    exact = np.zeros((3, 4))
    for axis, (to, flip) in enumerate(orientation.astype(int).tolist()):
        exact[to, axis] = flip
        exact[to, 3] = 0 if flip > 0 else shape[to] - 1
    off = corners(labels.shape) @ (to_scan[:3] - exact).T
    if (worst := float(np.abs(off).max())) > OFF_GRID:
        mm = float(np.linalg.norm(off * spacing_of(scan_affine), axis=1).max())
        raise SimcropError(
            "mask-place",
            f"the mask lies {mm:.4g} mm or {worst:.3g} voxels off the scan, expected {OFF_GRID:g} at most: "
            "perhaps it is that of another scan",
        )
    return in_order(apply_orientation(labels, orientation))


def in_order(labels: np.ndarray) -> np.ndarray:
    """The same in C order, copied in pieces that stay in the cache: five times as fast as all at once."""
    copied = np.empty(labels.shape, labels.dtype)
    for y in range(labels.shape[1]):
        copied[:, y] = labels[:, y]
    return copied


def off_grid(what: str) -> SimcropError:
    return SimcropError("mask-grid", f"the mask lies on another grid than the scan: {what}")


def corners(shape: tuple[int, ...]) -> np.ndarray:
    """The eight corner voxels of a grid, `(8, 4)`, homogeneous."""
    ends = np.array(np.meshgrid(*((0, n - 1) for n in shape), [1], indexing="ij"))
    return ends.reshape(4, -1).T


def by(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))


def found_classes(labels: np.ndarray, declared: Container[int] | None) -> tuple[int, ...]:
    """Which classes a mask holds, ascending, if it holds some and only those `declared`."""
    counts = np.zeros(LARGEST + 1, np.int64)
    for plane in np.moveaxis(labels, -1, 0):  # all at once would be eight bytes for each voxel
        counts += np.bincount(plane.reshape(-1), minlength=len(counts))
    found = tuple(int(n) for n in np.flatnonzero(counts) if n)
    if not found:
        raise SimcropError("mask-empty", "the mask marks nothing: every voxel is 0")
    unknown = [n for n in found if declared is not None and n not in declared]
    if unknown:
        some = ", ".join(map(str, unknown[:SHOWN])) + (" and others" if len(unknown) > SHOWN else "")
        raise SimcropError("mask-values", f"the mask holds {some}, which is no declared class")
    if declared is None and len(found) > MOST:
        raise SimcropError(
            "mask-values",
            f"{len(found)} different numbers are no classes; if they are, say their names in classes.json",
        )
    return found


def resampled_labels(
    source: np.ndarray, source_affine: np.ndarray, shape: Triple, affine: np.ndarray
) -> np.ndarray:
    """Labels of the source grid on a grid `shape` of RAS+: each voxel takes the label at its centre."""
    spec = InputSpec(spacing_of(affine), shape)
    placement = Placement(spec, triple(source.shape), source_affine, shape, affine, (0, 0, 0))
    return np.ascontiguousarray(placement.cut_nearest(source))


def check_sides(labels: np.ndarray, affine: np.ndarray, names: dict[int, str]) -> None:
    """Refuse a left part whose middle does not lie to the left of its right twin's: `left lung`, `kidney_left`."""
    number_of = {name: number for number, name in names.items()}
    for left, right in twins(names.values()):
        places = [mean_x(labels == number_of[name], affine) for name in (left, right)]
        if places[0] >= places[1]:
            raise SimcropError(
                "mask-sides", f"the {left} lies to the right of the {right}: left and right are exchanged"
            )


def mean_x(marked: np.ndarray, affine: np.ndarray) -> float:
    """How far to the right the middle of what is marked lies, in mm along that axis; NaN where nothing is."""
    axis = int(np.abs(affine[0, :3]).argmax())
    counts = marked.sum(tuple({0, 1, 2} - {axis}))
    return (
        float(affine[0, axis] * (counts @ np.arange(len(counts))) / counts.sum()) if counts.any() else np.nan
    )

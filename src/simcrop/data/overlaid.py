"""Masks of findings, which may overlap, in one label volume: each number stands for what one voxel is part of.

Axes: x, y, z in the order of the scan's file, f finding. In the file each voxel `(f)` holds the number of the instance
of each finding, 0 for none. Labels are int16, 0 where nothing is marked.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simcrop.data.findings import Finding
from simcrop.data.label_volume import LARGEST
from simcrop.data.preprocess import Triple
from simcrop.errors import SimcropError


@dataclass(frozen=True)
class Part:
    """Voxels of label `value` are of instance `instance` of finding `finding`, counted from 0."""

    value: int
    finding: int
    instance: int


class Overlaid:
    """Joins the masks of `count` findings plane by plane. `labels`: int16 `(z, y, x)`."""

    def __init__(self, shape: Triple, count: int) -> None:
        self.labels, self.count = np.zeros(shape[::-1], np.int16), count
        self.number_of: dict[tuple[int, ...], int] = {}
        self.voxels = np.zeros(count, np.int64)

    def take(self, z: int, plane: np.ndarray) -> None:
        """All findings of one plane, `(y, x, f)`."""
        marked = plane.any(-1)
        rows = whole(plane[marked])
        kinds, which = np.unique(rows, axis=0, return_inverse=True)
        numbers = [self.number(tuple(kind)) for kind in kinds.tolist()]
        self.labels[z][marked] = np.array(numbers, np.int16)[which.reshape(-1)]
        self.voxels += (rows > 0).sum(0)

    def number(self, kind: tuple[int, ...]) -> int:
        """The label of voxels of this kind; a new one for a new kind."""
        if kind not in self.number_of and len(self.number_of) == LARGEST:
            raise SimcropError("mask-values", f"more than {LARGEST} different overlaps of findings")
        return self.number_of.setdefault(kind, len(self.number_of) + 1)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What every label stands for, by label and finding."""
        return tuple(
            Part(value, finding, instance)
            for kind, value in self.number_of.items()
            for finding, instance in enumerate(kind)
            if instance
        )


def whole(rows: np.ndarray) -> np.ndarray:
    """Numbers of instances as int64, if that is what they are."""
    with np.errstate(invalid="ignore"):
        numbers = rows.astype(np.int64)
    if not (numbers == rows).all() or numbers.min(initial=0) < 0 or numbers.max(initial=0) > LARGEST:
        raise SimcropError(
            "mask-numbers", f"a mask of findings holds whole numbers from 0 to {LARGEST}, this one has others"
        )
    return numbers


def check_listed(findings: Sequence[Finding], voxels: np.ndarray) -> str:
    """What is to be noted where masks have other voxels than listed. Masks that are those of another order of the
    findings are refused.
    """
    if empty := [number for number, count in enumerate(voxels.tolist()) if not count]:
        raise SimcropError("mask-empty", f"the mask of finding {empty[0]} marks nothing")
    listed = [finding.voxels for finding in findings]
    if None in listed or listed == voxels.tolist():
        return ""
    if sorted(filter(None, listed)) == sorted(voxels.tolist()):
        raise SimcropError(
            "mask-channels",
            f"the masks lie in another order than the findings: finding 0 is listed with {listed[0]} voxels, "
            f"the first mask has {voxels[0]}",
        )
    other = sum(a != b for a, b in zip(listed, voxels.tolist(), strict=True))
    return f"{other} of {len(listed)} findings have another number of voxels than listed"

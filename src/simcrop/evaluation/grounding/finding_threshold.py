"""From a heat map to a mask: the threshold at which masks of a development split cover their findings best.

Axes: f finding; gx, gy, gz patch; t threshold. Similarities are cosines, -inf where a patch holds none of the scan.

A map has one value per patch, so the Dice on the scan's own grid follows from two counts per patch, exactly: its
voxels, and its voxels of the finding.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.ndimage import generate_binary_structure, label

from simcrop.errors import SimcropError
from simcrop.metrics.instances import JOINED

Scale = Literal["cosine", "deviation"]
LEVELS: dict[Scale, np.ndarray] = {
    "cosine": np.linspace(-0.25, 1.0, 501),
    "deviation": np.linspace(-2.0, 8.0, 401),
}
"""Where a threshold may lie: on the cosine, or in standard deviations above the mean of the scan's own patches."""


@dataclass(frozen=True)
class Threshold:
    """`dice`: the mean over the `findings` it was chosen on, of scans of `split`."""

    scale: Scale
    value: float
    dice: float
    findings: int
    scans: int
    split: str

    def chosen(self, similarity: np.ndarray) -> np.ndarray:
        """Which patches make the mask, bool of the same shape `(f, gx, gy, gz)`: never none at all."""
        return np.stack([above(scaled(one, self.scale), self.value) for one in similarity])


@dataclass(frozen=True, eq=False)
class Counted:
    """One finding, all `(gx, gy, gz)`: its similarity, voxels of each patch, and how many of them are of the finding.
    `marked_beyond`: its voxels that the input did not reach. `complete`: whether all of it is marked. `known`: sums
    over the nearest so many patches that were taken already, as both scales order patches alike.
    """

    similarity: np.ndarray
    voxels: np.ndarray
    marked: np.ndarray
    marked_beyond: int
    complete: bool
    known: dict[int, tuple[int, int]] = field(default_factory=dict)


def scaled(similarity: np.ndarray, scale: Scale) -> np.ndarray:
    """One map on the scale of a threshold."""
    if scale == "cosine":
        return similarity
    known = similarity[np.isfinite(similarity)]
    return (similarity - known.mean()) / (known.std() or 1.0)


def above(values: np.ndarray, threshold: float) -> np.ndarray:
    """The patches from the threshold on; where there are none, the one nearest to the sentence."""
    return values >= min(threshold, float(values.max()))


def dice_at(finding: Counted, scale: Scale) -> np.ndarray:
    """Dice `(t,)` at each of the scale's levels.

    Where marks are partial, a piece of the mask that touches nothing marked may be right: it counts neither way.
    """
    values, levels = scaled(finding.similarity, scale), LEVELS[scale]
    order = np.argsort(-values, axis=None, kind="stable")
    falling = -values.reshape(-1)[order]
    many = np.searchsorted(falling, -np.minimum(levels, values.max()), side="right")
    total = int(finding.marked.sum()) + finding.marked_beyond
    if not finding.complete:
        for n in set(np.unique(many).tolist()) - finding.known.keys():
            finding.known[n] = touching(finding, values >= -falling[n - 1])
        sums = np.array([finding.known[n] for n in many.tolist()])
        return 2 * sums[:, 1] / (sums[:, 0] + total)
    voxels, marked = (
        np.cumsum(part.reshape(-1)[order])[many - 1] for part in (finding.voxels, finding.marked)
    )
    return 2 * marked / (voxels + total)


def touching(finding: Counted, mask: np.ndarray) -> tuple[int, int]:
    """Voxels, and marked ones, of the pieces of a mask that hold something marked."""
    pieces = np.empty(mask.shape, np.int32)
    label(mask, generate_binary_structure(3, JOINED), output=pieces)
    voxels, marked = (
        np.bincount(pieces.reshape(-1), part.reshape(-1))[1:] for part in (finding.voxels, finding.marked)
    )
    return int(voxels[marked > 0].sum()), int(marked.sum())


def choose_threshold(findings: Iterable[Counted], split: str, scans: int = 0) -> Threshold:
    """The best mean Dice over all findings, on either scale; of equals the first."""
    sums: dict[Scale, np.ndarray] = {scale: np.zeros(len(levels)) for scale, levels in LEVELS.items()}
    count = 0
    for finding in findings:
        count += 1
        for scale, total in sums.items():
            total += dice_at(finding, scale)
    if not count:
        raise SimcropError(
            "nothing-to-judge", f"split {split!r} has no marked finding to choose a threshold on"
        )
    scale = max(sums, key=lambda name: sums[name].max())
    best = int(sums[scale].argmax())
    return Threshold(
        scale, round(float(LEVELS[scale][best]), 6), float(sums[scale][best]) / count, count, scans, split
    )

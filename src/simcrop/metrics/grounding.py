"""How well one sentence's map finds one lesion: patches that touch it, a thresholded map against it, and millimetres.

Axes: n patch, s sentence, t threshold. `similarity` `(n,)`: -inf where a patch holds nothing of the scan. `lesion` and
`scan` `(n,)`: voxels of either in each patch, on the scan's own grid, so that all overlaps are exact voxel counts, no
map having to be spread over the grid. What is not defined is NaN, never 0.
"""

from dataclasses import dataclass
from math import comb

import numpy as np

LEAST_SHARE, CANDIDATES = 0.5, 400  # thresholds are looked for among the upper half of all similarities


@dataclass(frozen=True)
class Overlap:
    """A region against a lesion, voxel by voxel, in [0, 1]."""

    iou: float
    dice: float


def top_patches(similarity: np.ndarray, k: int) -> np.ndarray:
    """Numbers of the `k` nearest patches in the scan, nearest first; of equal ones the first."""
    inside = np.flatnonzero(similarity > -np.inf)
    return inside[np.argsort(-similarity[inside], kind="stable")[:k]]


def top_hit(similarity: np.ndarray, lesion: np.ndarray, k: int = 1) -> float:
    """1 where one of the `k` nearest patches touches the lesion, else 0."""
    return float((lesion[top_patches(similarity, k)] > 0).any())


def top_precision_recall(similarity: np.ndarray, lesion: np.ndarray, k: int) -> tuple[float, float]:
    """Of the `k` nearest patches the share that touches the lesion; of those that touch it the share among them."""
    nearest = top_patches(similarity, k)
    right, there = int((lesion[nearest] > 0).sum()), int((lesion > 0).sum())
    return right / len(nearest), right / there if there else float("nan")


def blind_hit(inside: int, touching: int, k: int = 1) -> float:
    """Chance that one of `k` patches that are drawn of `inside` is one of the `touching`."""
    return 1 - comb(inside - touching, min(k, inside)) / comb(inside, min(k, inside))


def overlap(region: np.ndarray, lesion: np.ndarray, scan: np.ndarray, total: int) -> Overlap:
    """Of the patches in `region`, bool `(n,)`, or a share of each; `total`: all voxels of the lesion, those beyond the
    input, which no map can reach, too.
    """
    both, chosen = float(region @ lesion), float(region @ scan)
    return Overlap(both / (chosen + total - both), 2 * both / (chosen + total))


def contrast_to_noise(similarity: np.ndarray, lesion: np.ndarray, scan: np.ndarray) -> float:
    """Mean over the lesion's voxels minus mean over all others, in units of both deviations joined: the root of the sum
    of their squares. Below 0 where the lesion is darker. NaN where one of both is empty, or nothing varies.
    """
    finite = similarity > -np.inf
    value, within = similarity[finite].astype(float), lesion[finite].astype(float)
    beside = scan[finite] - within
    if not within.any() or not beside.any():
        return float("nan")
    means, spread = [], 0.0
    for weight in (within, beside):
        mean = np.average(value, weights=weight)
        means.append(mean)
        spread += float(np.average((value - mean) ** 2, weights=weight))
    return float((means[0] - means[1]) / np.sqrt(spread)) if spread > 0 else float("nan")


def dice_at(
    similarity: np.ndarray, lesion: np.ndarray, scan: np.ndarray, total: int, thresholds: np.ndarray
) -> np.ndarray:
    """Dice `(t,)` of the patches that reach each threshold; every patch is looked at once."""
    inside = np.flatnonzero(similarity > -np.inf)
    order = inside[np.argsort(-similarity[inside], kind="stable")]
    both = np.concatenate(([0], lesion[order].cumsum()))
    chosen = np.concatenate(([0], scan[order].cumsum()))
    count = np.searchsorted(-similarity[order], -thresholds, side="right")
    return 2 * both[count] / (chosen[count] + total)


def best_map_threshold(
    similarity: np.ndarray, lesion: np.ndarray, scan: np.ndarray, total: np.ndarray
) -> float:
    """The threshold with the highest mean Dice over sentences, of `(s, n)` each and `total` `(s,)`; the higher of equal
    ones. NaN where there is no sentence.
    """
    rows = [row for row in range(len(similarity)) if not np.isnan(similarity[row]).any()]
    if not rows:
        return float("nan")
    values = similarity[rows][similarity[rows] > -np.inf].astype(float)
    thresholds = np.unique(np.quantile(values, np.linspace(LEAST_SHARE, 1, CANDIDATES)))
    mean = np.zeros(len(thresholds))
    for row in rows:
        mean += dice_at(
            similarity[row].astype(float), lesion[row], scan[row], int(total[row]), thresholds
        ) / len(rows)
    return float(thresholds[len(mean) - 1 - int(mean[::-1].argmax())])

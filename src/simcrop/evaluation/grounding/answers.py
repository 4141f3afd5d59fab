"""One scan asked for its sentences: their maps, those of a random encoder, and where the lesions lie.

Axes: q question of this scan, n patch (gx slowest, gz fastest), d denied sentence, e features shared with texts.
Lengths in mm of the patient (RAS+).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine
from scipy.spatial import KDTree

from simcrop.data.preprocess import Placement
from simcrop.evaluation.asking import similarity
from simcrop.evaluation.grounding.questions import GroundQuestion
from simcrop.evaluation.lesions import lesion_voxels, scan_voxels, voxel_mm3
from simcrop.metrics.segmentation import surface
from simcrop.nn.patch import PatchGrid


@dataclass(frozen=True, eq=False)
class ScanAnswers:
    """`own`, `swapped`, `random` `(q, n)` float32: maps of the sentence, of one about what the scan lacks (NaN rows
    where there is none), and of the sentence by a random encoder; -inf beside the scan. `lesion` `(q, n)`, `scan`
    `(n,)`, `total` `(q,)`: voxels; `distance` `(q, n)`: from each patch's middle to the lesion; `level` `(q,)`: the
    height of its middle, `height` `(n,)` of the patches'; `ml` `(q,)`. Scores `present` and `absent` `(q,)` and
    `denied` `(d,)`: of the sentences, of those about what the scan lacks, and of what its report denies.
    """

    own: np.ndarray
    swapped: np.ndarray
    random: np.ndarray
    lesion: np.ndarray
    scan: np.ndarray
    total: np.ndarray
    distance: np.ndarray
    level: np.ndarray
    height: np.ndarray
    ml: np.ndarray
    present: np.ndarray
    absent: np.ndarray
    denied: np.ndarray
    present_random: np.ndarray
    absent_random: np.ndarray
    denied_random: np.ndarray


def answers_of(
    questions: Sequence[GroundQuestion],
    denied: Sequence[str],
    texts: dict[str, np.ndarray],
    patches: tuple[np.ndarray, np.ndarray],
    mask: np.ndarray | None,
    placement: Placement,
    grid: PatchGrid,
    scored: int,
) -> ScanAnswers:
    """`patches`: features `(n, e)` of the model and of the random encoder; `scored`: patches that score a sentence."""
    outside = ~placement.holds_scan(grid.shape).reshape(-1)
    own, swapped = [q.text for q in questions], [q.swapped for q in questions]
    maps = [similarity(asked, texts, of, outside) for of in patches for asked in (own, swapped, denied)]
    scores = [score(map_, scored).astype(np.float32) for map_ in maps]
    where = known_places(questions, mask, placement, grid)
    return ScanAnswers(
        *(maps[i].astype(np.float32) for i in (0, 1, 3)),
        *where,
        *scores[:3],
        *scores[3:],
    )


def score(maps: np.ndarray, scored: int) -> np.ndarray:
    """Mean of each map's nearest patches in the scan; NaN where nothing was asked."""
    if not len(maps):
        return np.zeros(0)
    nearest = -np.sort(-maps, axis=1)[:, :scored]
    there = nearest > -np.inf
    mean = np.where(there, nearest, 0.0).sum(1) / np.maximum(there.sum(1), 1)
    return np.where(np.isnan(maps).any(1), np.nan, mean)


def known_places(
    questions: Sequence[GroundQuestion], mask: np.ndarray | None, placement: Placement, grid: PatchGrid
) -> tuple[np.ndarray, ...]:
    """`lesion`, `scan`, `total`, `distance`, `level`, `height`, `ml` of `ScanAnswers`."""
    centres = placement.centres_mm(grid.shape).astype(float)
    count, scan = len(questions), scan_voxels(placement, grid)
    lesion, total = np.zeros((count, grid.count), np.int64), np.zeros(count, np.int64)
    distance, level = np.full((count, grid.count), np.nan, np.float32), np.full(count, np.nan)
    values = sorted({value for question in questions for value in question.values})
    if mask is not None and values:
        counts = dict(zip(values, lesion_voxels(mask, values, placement, grid), strict=True))
        marked = np.argwhere(np.isin(mask, values))
        marks = mask[tuple(marked.T)]
        for row, question in enumerate(questions):
            at = marked[np.isin(marks, question.values)]
            total[row] = len(at)
            if len(at):
                lesion[row] = sum(counts[value] for value in question.values)
                distance[row] = distances_mm(at, placement.source_affine, centres)
                level[row] = apply_affine(placement.source_affine, at.mean(0))[2]
    for row, question in enumerate(questions):
        if question.level_mm is not None:
            level[row] = question.level_mm
    ml = total * voxel_mm3(placement.source_affine) / 1000
    return lesion, scan, total, distance, level, centres[:, 2].astype(np.float32), ml


def distances_mm(at: np.ndarray, affine: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """`(n,)`: of each of `centres` to the middle of the nearest of the voxels `at` `(v, 3)`, 0 within one of them."""
    low = at.min(0)
    box = np.zeros(at.max(0) + 1 - low, np.int16)
    box[tuple((at - low).T)] = 1
    rim = apply_affine(affine, surface(box, 1) + low)
    distance = KDTree(rim).query(centres)[0]
    voxel = np.rint(apply_affine(np.linalg.inv(affine), centres)).astype(int) - low
    there = ((voxel >= 0) & (voxel < box.shape)).all(1)
    distance[there] *= box[tuple(voxel[there].T)] == 0
    return distance

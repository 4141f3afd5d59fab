"""Where a model sees the findings that a data set marks: a map per sentence, one scan at a time.

Axes: f finding; gx, gy, gz patch; x, y, z voxels of the scan's own file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from simcrop.data.preprocess import triple
from simcrop.data.samples.dataset import placement_of
from simcrop.data.spread import Spread
from simcrop.data.store.cohort import Study
from simcrop.data.store.findings import MarkedFinding
from simcrop.data.volume import spacing_of
from simcrop.evaluation.features import volumes_of
from simcrop.evaluation.finding_threshold import Counted
from simcrop.metrics.findings import FindingScore, score_finding
from simcrop.model import Model


@dataclass(frozen=True, eq=False)
class FindingMaps:
    """`similarity`: the cosine of each finding's sentence with each patch, `(f, gx, gy, gz)`, -inf where a patch holds
    none of the scan; `spread` brings choices of patches to the scan's own grid.
    """

    study: Study
    findings: tuple[MarkedFinding, ...]
    similarity: np.ndarray
    spread: Spread


@torch.no_grad()
def maps_of(model: Model, study: Study, findings: Sequence[MarkedFinding]) -> FindingMaps:
    """One pass over the stored scan. Raises SimcropError where that is gone or damaged."""
    patches = model.regions_of(volumes_of([study], model.spec))[0].cpu().numpy()
    texts = model.encode([finding.text for finding in findings]).cpu().numpy()
    placement, grid = placement_of(study, model.spec), triple(model.grid.shape)
    similarity = np.where(placement.holds_scan(grid), (texts @ patches.T).reshape(-1, *grid), -np.inf)
    return FindingMaps(study, tuple(findings), similarity, Spread.of(placement, grid))


def counted(maps: FindingMaps) -> list[Counted]:
    """What a threshold is chosen by: every marked finding's counts per patch."""
    labels, voxels = maps.study.source_mask(), maps.spread.voxels()
    found = []
    for finding, similarity in zip(maps.findings, maps.similarity, strict=True):
        inside = finding.instances_in(labels) > 0
        if total := int(np.count_nonzero(inside)):
            marked = maps.spread.marked(inside)
            found.append(Counted(similarity, voxels, marked, total - int(marked.sum()), finding.complete))
    return found


def score_masks(maps: FindingMaps, chosen: np.ndarray) -> list[FindingScore]:
    """Masks `(f, gx, gy, gz)` against the scan's own, finding by finding on the grid of its file."""
    labels, spacing = maps.study.source_mask(), spacing_of(maps.study.source_affine)
    return [
        score_finding(
            maps.spread.whole(mask), finding.instances_in(labels), spacing, finding.focal, finding.complete
        )
        for finding, mask in zip(maps.findings, chosen, strict=True)
    ]

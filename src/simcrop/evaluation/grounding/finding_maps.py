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
from simcrop.errors import SimcropError
from simcrop.evaluation.features import volumes_of
from simcrop.evaluation.grounding.finding_threshold import Counted
from simcrop.metrics.findings import FindingScore, score_finding
from simcrop.model import Model

NO_NUMBERS = "not-finite"


@dataclass(frozen=True, eq=False)
class FindingMaps:
    """`similarity`: the cosine of each finding's sentence with each patch, `(f, gx, gy, gz)`, -inf where a patch holds
    none of the scan, and of each finding's `foreign` sentence, None where it has none; `spread` brings choices of
    patches to the scan's own grid.
    """

    study: Study
    findings: tuple[MarkedFinding, ...]
    similarity: np.ndarray
    spread: Spread
    foreign: tuple[np.ndarray | None, ...] = ()


@torch.no_grad()
def maps_of(
    model: Model,
    study: Study,
    findings: Sequence[MarkedFinding],
    foreign: Sequence[str | None] = (),
    fine: int = 1,
) -> FindingMaps:
    """One pass over the stored scan, or `fine` ones whose patches are averaged in cells. Raises SimcropError where that
    is gone or damaged, or gives features that are no numbers.
    """
    own, others = [finding.text for finding in findings], [text for text in foreign if text is not None]
    placement = placement_of(study, model.spec)
    values = similarity_of(model, study, [*own, *others], fine)
    if not np.isfinite(values).all():
        raise SimcropError(NO_NUMBERS, f"study {study.id}: its features are no numbers")
    grid = triple(values.shape[1:])
    values = np.where(placement.holds_scan(grid), values, -np.inf)
    rest = iter(values[len(own) :])
    told = tuple(None if text is None else next(rest) for text in foreign)
    return FindingMaps(study, tuple(findings), values[: len(own)], Spread.of(placement, grid), told)


def similarity_of(model: Model, study: Study, texts: Sequence[str], fine: int) -> np.ndarray:
    """`(f, gx, gy, gz)`; of cells of patches where there are several looks."""
    if fine > 1:
        maps = model.look(study.volume()).look_for(texts, None, fine)
        return maps.values.reshape(-1, *maps.grid.shape)
    patches = model.regions_of(volumes_of([study], model.spec))[0].cpu().numpy()
    return (model.encode(list(texts)).cpu().numpy() @ patches.T).reshape(-1, *triple(model.grid.shape))


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


def score_mask(maps: FindingMaps, row: int, chosen: np.ndarray, labels: np.ndarray) -> FindingScore:
    """A mask `(gx, gy, gz)` against that of finding `row` in the scan's own `labels`, on the grid of its file."""
    finding, spacing = maps.findings[row], spacing_of(maps.study.source_affine)
    truth = finding.instances_in(labels)
    return score_finding(maps.spread.whole(chosen), truth, spacing, finding.focal, finding.complete)

"""The learnability check: can a cohort be learned at all? Without it, methods would be compared in their troughs.

Axes: s scan, n patch, p voxel of a patch, f statistic.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from simcrop.data.preprocess import InputSpec
from simcrop.data.store.cohort import Cohort, Study
from simcrop.evaluation.features import in_passes, patch_features, volumes_of
from simcrop.evaluation.heads.probe import fit_probe
from simcrop.metrics import Macro, macro_auroc
from simcrop.model import Model
from simcrop.nn.patch import PatchGrid

# From one to the next: air of a hole, lung, haze, tissue, bone; on the scale of the input, where air is -1.
DENSITIES = (-1.0, -0.93, -0.75, -0.2, 0.15, 1.0)
QUANTILES = (0.0, 0.01, 0.5, 0.75, 0.9, 0.95, 0.98, 1.0)


def statistics_of_patches(studies: Cohort | Sequence[Study], spec: InputSpec, grid: PatchGrid) -> np.ndarray:
    """Hand-made `(s, n, f)`: mean, deviation, extremes, and the share of voxels in each range of density."""
    found = []
    for batch in in_passes(studies):
        patches = grid.split(volumes_of(batch, spec)).numpy()
        shares = [((patches > low) & (patches <= high)).mean(-1) for low, high in pairwise(DENSITIES)]
        found.append(
            np.stack([patches.mean(-1), patches.std(-1), patches.max(-1), patches.min(-1), *shares], -1)
        )
    return np.concatenate(found)


def features_by_hand(statistics: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Features `(s, q * f + n * f)`: the statistics in their places, and, wherever it may be, how far the patches lie
    from what is usual at their place: quantiles over the patches of one scan.
    """
    distance = (statistics - usual.mean(0)) / (usual.std(0) + 1e-3)
    anywhere = [np.quantile(distance, q, axis=1) for q in QUANTILES]
    return np.concatenate([*anywhere, statistics.reshape(len(statistics), -1)], axis=1)


def learnability_by_hand(
    known: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    unseen: np.ndarray,
    truth: np.ndarray,
    seed: int,
) -> Macro:
    """AUROC of a logistic regression on hand-made statistics `(s, n, f)`: no training but its own labels."""
    probe = fit_probe(features_by_hand(known, known), labels, patients, seed)
    return macro_auroc(probe.scores(features_by_hand(unseen, known)), truth)


def learnability_supervised(model: Model, studies: Cohort, truth: np.ndarray) -> Macro:
    """AUROC of an encoder that was taught the labels themselves, on the scans of another part."""
    scores = [model.scores_of(features) for _, features in patch_features(model, studies)]
    return macro_auroc(torch.cat(scores).cpu().numpy(), truth)

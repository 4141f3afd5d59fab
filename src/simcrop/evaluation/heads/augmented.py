"""Augmented views of a scan: what a probe may learn from beside the scan as it is.

Axes: x, y, z of the network's input; HU. View 0 is the plain one. A view moves the crop by up to a 28th of its edges
(half a patch at paper size), stretches and shifts the HU a little, and adds noise. Sides are never exchanged.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from simcrop.data.preprocess import InputSpec, Triple, to_unit, triple
from simcrop.data.samples.dataset import cut_hu
from simcrop.data.store.cohort import Study
from simcrop.evaluation.features import middle

SHIFT, STRETCH, OFFSET_HU, NOISE_HU = 1 / 28, 0.05, 15.0, 25.0
AIR = -1000.0
# Kept features are of views that were made so.
KEY = f"{SHIFT:.4f} {STRETCH} {OFFSET_HU} {NOISE_HU}"


def looking_at(view: int) -> Callable[[Study, InputSpec], np.ndarray]:
    """How that view of a study is cut, float32 in [-1, 1]; the same study and view always give the same one."""
    return middle if view == 0 else lambda study, spec: augmented(study, spec, view)


def augmented(study: Study, spec: InputSpec, view: int) -> np.ndarray:
    """Drawn from the number of the view and the voxels' checksum alone."""
    random = np.random.default_rng((view, *study.checksum.encode()))
    room = shifts(spec)
    wider = replace(spec, shape=triple([n + 2 * by for n, by in zip(spec.shape, room, strict=True)]))
    start = [int(random.integers(0, 2 * by + 1)) for by in room]
    box = tuple(slice(at, at + n) for at, n in zip(start, spec.shape, strict=True))
    hu = cut_hu(study, wider, None)[box].astype(np.float32)
    stretch, offset = 1 + random.uniform(-STRETCH, STRETCH), random.uniform(-OFFSET_HU, OFFSET_HU)
    noise = random.uniform(0, NOISE_HU) * random.standard_normal(hu.shape, dtype=np.float32)
    return to_unit((hu - AIR) * np.float32(stretch) + np.float32(AIR + offset) + noise, spec.window_hu)


def shifts(spec: InputSpec) -> Triple:
    """By how many voxels a crop may move, either way; one at least."""
    return triple([max(1, round(n * SHIFT)) for n in spec.shape])

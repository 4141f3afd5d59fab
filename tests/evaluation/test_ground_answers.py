"""How far patches lie from a lesion: the same as looking at every voxel, and nothing within it. Lengths in mm."""

import numpy as np
from nibabel.affines import apply_affine

from simcrop.evaluation.grounding.answers import distances_mm


def test_distances_are_those_to_the_nearest_voxel_and_nothing_within_the_lesion() -> None:
    affine = np.array([[0, -2.0, 0, 30], [1.5, 0, 0, -10], [0, 0, 3.0, 5], [0, 0, 0, 1]])
    x, y, z = np.indices((24, 20, 16))
    mask = np.where((x - 11) ** 2 + (y - 10) ** 2 + (z - 7) ** 2 < 36, 4, 0)
    mask[20:, 2, 3] = 4
    mask[0] = 9
    at = np.argwhere(mask == 4)
    rng = np.random.default_rng(0)
    centres = apply_affine(affine, rng.uniform(-4, 26, (300, 3)) * [1, 0.8, 0.7])
    found = distances_mm(at, affine, centres)
    voxels = apply_affine(affine, at)
    slow = np.linalg.norm(centres[:, None] - voxels, axis=-1).min(1)
    nearest = np.rint(apply_affine(np.linalg.inv(affine), centres)).astype(int)
    within = [
        all(0 <= n < size for n, size in zip(v, mask.shape, strict=True)) and mask[tuple(v)] == 4
        for v in nearest
    ]
    assert 10 < sum(within) < 200
    np.testing.assert_allclose(found, np.where(within, 0, slow), atol=1e-9)

"""Lesion masks on the patch grid agree with the image itself: a bright lesion lights the same patches.

Axes: x y z of the scan, 37 x 29 x 23 voxels, stored in any order and direction; 4 x 3 x 5 patches.
"""

from itertools import permutations

import numpy as np
import pytest

from simcrop.data.preprocess import InputSpec, Placement, preprocess
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError
from simcrop.evaluation.lesions import lesion_shares, lesion_voxels, scan_voxels, voxel_mm3
from simcrop.nn.patch import PatchGrid

SPEC = InputSpec(spacing_mm=(3.0, 3.5, 4.0), shape=(24, 18, 20))
GRID = PatchGrid((24, 18, 20), (6, 6, 4))


def stored(order: tuple[int, ...], signs: tuple[int, ...]) -> tuple[Volume, np.ndarray]:
    """A scan with a bright box in its right, front, upper part, and the mask of this box (value 2)."""
    hu = np.full((37, 29, 23), -1000.0, np.float32)
    mask = np.zeros(hu.shape, np.uint8)
    box = (slice(24, 30), slice(17, 25), slice(13, 16))
    hu[box], mask[box] = 1000, 2
    mask[3, 4, 5] = 7
    flip = tuple(slice(None, None, sign) for sign in signs)
    affine = np.diag([2.0, 2.2, 3.6, 1.0])
    for axis, sign in enumerate(signs):
        if sign < 0:
            affine[axis, 3] = affine[axis, axis] * (hu.shape[axis] - 1)
            affine[axis, axis] *= -1
    affine = affine[:, [*order, 3]]
    return Volume(hu[flip].transpose(order).copy(), affine), mask[flip].transpose(order).copy()


def placed(volume: Volume) -> tuple[np.ndarray, Placement]:
    """How bright each patch gets, and where the patches lie."""
    tensor, placement = preprocess(volume, SPEC)
    return GRID.split(tensor[None])[0].amax(-1).numpy(), placement


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (-1, 1, -1)])
def test_mask_lights_the_patches_that_the_bright_lesion_lights(
    order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    volume, mask = stored(order, signs)
    bright, placement = placed(volume)
    shares = lesion_shares(mask, [2], placement, GRID)[0]
    assert set(np.flatnonzero(shares)) <= set(np.flatnonzero(bright > -0.9))
    assert set(np.flatnonzero(bright > 0.9)) <= set(np.flatnonzero(shares))
    right, front, up = GRID.index(int(shares.argmax()))
    assert right >= 2, "the lesion is on the right"
    assert front >= 2
    assert up >= 2


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_voxels_are_counted_in_the_patch_that_holds_their_centre(order: tuple[int, ...]) -> None:
    volume, mask = stored(order, (-1, 1, 1))
    _, placement = placed(volume)
    numbers = placement.to_source(np.arange(GRID.count).reshape(GRID.shape))
    slow = [
        [int(((numbers == n) & of).sum()) for n in range(GRID.count)]
        for of in (mask == 2, mask == 7, mask >= 0)
    ]
    assert lesion_voxels(mask, [2, 7], placement, GRID).tolist() == slow[:2]
    assert scan_voxels(placement, GRID).tolist() == slow[2]
    voxels = np.prod(SPEC.spacing_mm) * GRID.voxels / voxel_mm3(placement.source_affine)
    np.testing.assert_allclose(lesion_shares(mask, [2], placement, GRID)[0], np.minimum(1, slow[0] / voxels))


def test_mirrored_mask_does_not_fit_the_image() -> None:
    volume, mask = stored((0, 1, 2), (1, 1, 1))
    bright, placement = placed(volume)
    mirrored = lesion_shares(mask[::-1], [2], placement, GRID)[0]
    assert not set(np.flatnonzero(mirrored)) & set(np.flatnonzero(bright > 0.9))


def test_shares_add_up_to_the_volume_of_the_lesion() -> None:
    volume, mask = stored((2, 0, 1), (-1, -1, 1))
    _, placement = placed(volume)
    shares = lesion_shares(mask, [7, 2, 3], placement, GRID)
    voxel = 2.0 * 2.2 * 3.6
    patch = 3.0 * 3.5 * 4.0 * 6 * 6 * 4
    np.testing.assert_allclose(shares.sum(1), [voxel / patch, 6 * 8 * 3 * voxel / patch, 0])
    assert shares.shape == (3, 4 * 3 * 5)


def test_full_patch_is_full_and_not_more() -> None:
    volume, mask = stored((0, 1, 2), (1, 1, 1))
    _, placement = placed(volume)
    shares = lesion_shares(np.full_like(mask, 9), [9], placement, GRID)[0]
    assert shares.max() == 1.0
    assert np.median(shares) > 0.9


def test_mask_of_another_scan_is_refused() -> None:
    volume, mask = stored((0, 1, 2), (1, 1, 1))
    _, placement = placed(volume)
    with pytest.raises(SimcropError, match=r"\(37, 29, 22\) voxels"):
        lesion_shares(mask[:, :, :-1], [2], placement, GRID)

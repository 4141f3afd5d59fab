"""Patches spread over the scan's own grid: as the heat map is, whole, plane by plane and counted; written and read.

Axes: f finding; gx, gy, gz patch; x, y, z voxels of the file, in every order and direction.
"""

from itertools import permutations
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from simcrop.data.preprocess import InputSpec, Placement, centred_start, triple
from simcrop.data.readers.nifti_findings import open_findings
from simcrop.data.resampling.plan import resample
from simcrop.data.spread import Spread
from simcrop.data.volume import Volume
from simcrop.data.writers.finding_masks import write_findings

SPEC, GRID = InputSpec((2.0, 2.5, 4.0), (16, 24, 8)), (4, 3, 2)
ORDERS = [(order, sign) for order in permutations(range(3)) for sign in (1, -1)]


def placement(order: tuple[int, ...], sign: int) -> Placement:
    """A scan of 17 x 26 x 11 voxels, some beyond the input and some beside it, its axes in this order."""
    affine = np.eye(4)
    for axis, (to, mm) in enumerate(zip(order, (2.3, 2.1, 3.7), strict=True)):
        affine[:3, axis] = 0
        affine[to, axis] = mm * (sign if axis != 1 else 1)
    shape = (17, 26, 11)
    stored = resample(Volume(np.zeros(shape, np.float32), affine), SPEC.spacing_mm)
    start = centred_start(triple(stored.shape), SPEC.shape)
    return Placement(SPEC, shape, affine, triple(stored.shape), stored.affine, start)


@pytest.mark.parametrize(("order", "sign"), ORDERS)
def test_a_mask_lies_where_the_heat_map_is_high(order: tuple[int, ...], sign: int) -> None:
    place, rng = placement(order, sign), np.random.default_rng(1)
    chosen = rng.random((2, *GRID)) < 0.4
    spread = Spread.of(place, GRID)
    wanted = np.stack([place.to_source(one.astype(np.float32)) == 1 for one in chosen])
    assert wanted.any()
    np.testing.assert_array_equal(np.stack([spread.whole(one) for one in chosen]), wanted)
    planes = np.stack(list(spread.planes(chosen)))  # z, y, x, f
    assert planes.dtype == np.uint8
    np.testing.assert_array_equal(planes.transpose(3, 2, 1, 0), wanted)


@pytest.mark.parametrize(("order", "sign"), ORDERS)
def test_voxels_of_patches_are_counted_as_they_lie(order: tuple[int, ...], sign: int) -> None:
    place = placement(order, sign)
    spread, names = Spread.of(place, GRID), np.arange(24).reshape(GRID)
    which = place.to_source(names.astype(np.float32))
    mask = np.random.default_rng(2).random(place.source_shape) < 0.3
    for n in range(24):
        at = np.unravel_index(n, GRID)
        assert spread.voxels()[at] == (which == n).sum()
        assert spread.marked(mask)[at] == ((which == n) & mask).sum()
    assert spread.marked(mask).sum() < mask.sum()  # some lie beyond the input


def test_masks_are_written_findings_first_and_the_same_twice(tmp_path: Path) -> None:
    place, chosen = placement((0, 1, 2), -1), np.random.default_rng(3).random((3, *GRID)) < 0.5
    spread = Spread.of(place, GRID)
    for name in ("a.nii.gz", "b.nii.gz"):
        planes, shape = spread.planes(chosen), place.source_shape
        write_findings(tmp_path / name, planes, 3, shape, place.source_affine)
    image = nib.load(tmp_path / "a.nii.gz")
    assert (image.shape, image.get_data_dtype()) == ((3, 17, 26, 11), np.uint8)
    np.testing.assert_array_equal(np.asarray(image.dataobj), [spread.whole(one) for one in chosen])
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    with open_findings(tmp_path / "a.nii.gz", 3, (17, 26, 11)) as planes:
        again = np.stack([plane.copy() for plane in planes])
    np.testing.assert_array_equal(again.transpose(3, 2, 1, 0), np.asarray(image.dataobj))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii.gz", "b.nii.gz"]

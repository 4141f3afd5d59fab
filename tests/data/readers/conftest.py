"""A toy chest in HU that survives every file format, and writers that put it on disk.

Axes: x, y, z with 5, 7, 9 voxels at 0.7, 0.9, 1.3 mm, RAS+ unless turned.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from simcrop.data.volume import Volume

LPS = np.diag([-1.0, -1.0, 1.0])
ALL_CODES = [
    "".join(letters)
    for axes in itertools.permutations(("LR", "PA", "IS"))
    for letters in itertools.product(*axes)
]


def turned(volume: Volume, codes: str) -> Volume:
    """The same scan stored in another axis order, such as `PIL`."""
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    affine = volume.affine @ inv_ornt_aff(turn, volume.shape)
    return replace(volume, hu=apply_orientation(volume.hu, turn), affine=affine)


@pytest.fixture(params=ALL_CODES)
def turned_toy(request: pytest.FixtureRequest, toy: Volume) -> Volume:
    return turned(toy, request.param)


@pytest.fixture
def same_scan(toy: Volume) -> Callable[[Volume], None]:
    """Asserts that a scan read back is the toy, voxel by voxel and mm by mm, once in RAS+."""

    def check(volume: Volume) -> None:
        ras = volume.to_ras()
        np.testing.assert_array_equal(ras.hu, toy.hu)
        np.testing.assert_allclose(ras.affine, toy.affine, atol=1e-4)

    return check


@pytest.fixture(scope="session")
def write_nifti() -> Callable[..., Path]:
    def write(path: Path, volume: Volume, dtype: type = np.int16, **header: float) -> Path:
        image = nib.Nifti1Image(volume.hu.astype(dtype), volume.affine)
        for key, value in header.items():
            image.header[key] = value
        nib.save(image, path)
        return path

    return write


@pytest.fixture(scope="session")
def write_itk() -> Callable[[Path, Volume], Path]:
    def write(path: Path, volume: Volume) -> Path:
        image = sitk.GetImageFromArray(np.ascontiguousarray(volume.hu.astype(np.int16).T))
        image.SetSpacing(volume.spacing_mm)
        image.SetDirection((LPS @ volume.affine[:3, :3] / volume.spacing_mm).ravel().tolist())
        image.SetOrigin((LPS @ volume.affine[:3, 3]).tolist())
        sitk.WriteImage(image, str(path))
        return path

    return write

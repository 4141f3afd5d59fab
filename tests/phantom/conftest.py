"""A chest as if from somebody's scanner: a healthy phantom without its truth, in any order of axes.

Axes: `(x, y, z)` as stored, the affine in RAS+ mm.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from simcrop.phantom.patient import draw_patient

WriteChest = Callable[..., Path]


@pytest.fixture(scope="session")
def write_chest() -> WriteChest:
    return write


@cache
def drawn(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Affine and HU `(x, y, z)`; nobody may change the HU."""
    patient = draw_patient(5, number, "real", [])
    return patient.grid("small").affine, patient.scans("small")[0][0].transpose(2, 1, 0)


def write(path: Path, number: int = 1, codes: str = "LPS", keep: slice = slice(None)) -> Path:
    """A healthy phantom as if from a scanner, with its axes in the order of `codes`."""
    affine, hu = drawn(number)
    affine = affine.copy()
    affine[:3, 3] += affine[:3, 2] * (keep.start or 0)
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(codes)))
    turned = apply_orientation(hu[:, :, keep], turn)
    image = nib.Nifti1Image(turned, affine @ inv_ornt_aff(turn, hu[:, :, keep].shape))
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


@pytest.fixture(scope="session")
def chest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("scanner") / "Doe_Jane" / "thorax.nii.gz")

"""A scan without lungs is told from a chest, on phantoms and on real scans."""

from pathlib import Path

import numpy as np
import pytest

from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.tasks.scan_notes import NO_LUNGS, notes_of

CHESTS = (
    "lidc_idri_0001/cxr.nii.gz",
    "lung_dx_a0001_dicom",
    "nsclc_radiomics_lung1_001/LUNG1-001_shrink2.nii.gz",
    "cip_ct64/ct-64.nrrd",
)
NO_CHESTS = ("ibsi_ct_phantom/phantom.nii.gz", "radiomics_digital_phantom_dicom/pat_2")


@pytest.mark.parametrize("scan", CHESTS)
def test_real_chests_are_taken_for_chests(scan: str, real_data: Path) -> None:
    assert NO_LUNGS not in notes_of(read_volume(real_data / "ct" / scan))


@pytest.mark.parametrize("scan", NO_CHESTS)
def test_other_scans_are_noted(scan: str, real_data: Path) -> None:
    volume = read_volume(real_data / "ct" / scan)
    assert notes_of(volume) == [*(note.partition(":")[0].strip() for note in volume.notes), NO_LUNGS]


def test_a_head_is_noted_whichever_way_its_axes_run() -> None:
    """A ball of tissue with a skull around it and air outside."""
    at = np.linalg.norm(np.indices((60, 60, 60)) - 30, axis=0)
    hu = np.select([at < 22, at < 25], [40.0, 900.0], -1000.0).astype(np.float32)
    for affine in (np.diag([4.0, 4, 4, 1]), np.diag([-4.0, -4, 4, 1])[[2, 0, 1, 3]]):
        assert notes_of(Volume(hu, affine)) == [NO_LUNGS]

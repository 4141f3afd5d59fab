"""Series for what is written in DICOM: a toy's, and a few slices of real ones, which are read sooner than all."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import generate_uid

from simcrop.data.volume import Volume


@pytest.fixture
def toy_series(
    toy: Volume, dicom_slices: Callable[[Volume], list[pydicom.FileDataset]]
) -> list[pydicom.FileDataset]:
    """Slices with the ids that results refer to, and nothing of a patient."""
    study, frame = generate_uid(), generate_uid()
    slices = dicom_slices(toy)
    for one in slices:
        one.StudyInstanceUID, one.FrameOfReferenceUID = study, frame
    return slices


@pytest.fixture(scope="module")
def few_slices(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Copies eight neighbouring slices of a series."""

    def copied(source: Path) -> Path:
        headers = {path: pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(source.iterdir())}
        folder = tmp_path_factory.mktemp("series")
        for path in sorted(headers, key=lambda p: float(headers[p].ImagePositionPatient[2]))[7:15]:
            shutil.copy(path, folder)
        return folder

    return copied

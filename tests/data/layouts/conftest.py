"""DICOM folders whose headers say who it is."""

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def write_dicom(folder: Path, **values: str) -> Path:
    """Slices without pixels: a layout reads none."""
    folder.mkdir(parents=True, exist_ok=True)
    for z in range(2):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        data = pydicom.FileDataset("slice", {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        data.Modality, data.Rows, data.Columns = "CT", 7, 5
        for keyword, value in values.items():
            setattr(data, keyword, value)
        data.save_as(folder / f"{values.get('SeriesInstanceUID', '')}_{z}.dcm", enforce_file_format=True)
    return folder


@pytest.fixture(scope="session")
def put_dicom() -> Callable[..., Path]:
    """As a fixture; a test file cannot import from its own conftest."""
    return write_dicom

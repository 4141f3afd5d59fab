"""The headers of the DICOM slices that a scan was read from, for whoever writes something that refers to them.

Axes: one header per z of the scan, in its order.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.dataset import FileDataset

from simcrop.data.readers.archive import zipped_files
from simcrop.data.readers.dicom import DicomFile, read_headers
from simcrop.data.readers.dicom_folder import files_of
from simcrop.data.readers.disc import files_by_place, is_disc
from simcrop.data.readers.find import is_directory
from simcrop.data.readers.slices import holds_slices


def is_series(path: Path) -> bool:
    """Whether a scan that could be read was read from DICOM."""
    if path.is_dir():
        return not holds_slices(path)
    return is_directory(path) or (path.is_file() and path.suffix.lower() == ".zip")


def series_headers(path: Path) -> list[FileDataset]:
    """Without pixels; the series is the one that `read_volume` chooses."""
    with dicom_files(path.parent if is_directory(path) else path) as files:
        return read_headers(files)


@contextmanager
def dicom_files(path: Path) -> Iterator[list[DicomFile]]:
    """All DICOM files of a folder, a disc or a zip, in the order in which the reader takes them."""
    if not path.is_dir():
        with zipped_files(path) as files:
            yield files
    elif is_disc(path):
        places = files_by_place(path)
        yield [file for place in sorted(places) for file in places[place]]
    else:
        yield files_of(path)[0]

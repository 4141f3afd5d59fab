"""A folder of DICOM files: what lies in it is one series, or beside one. Axes as `dicom` has them."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from simcrop.data.readers.dicom import DicomFile, looks_like_dicom, read_series
from simcrop.data.readers.foreign import Sort, names_directory, sort_of
from simcrop.data.readers.left_over import Look, look_at
from simcrop.data.readers.links import check_inside
from simcrop.data.readers.stored import Stored


def read_dicom_folder(path: Path) -> Stored:
    """The one CT series whose files lie directly in `path`."""
    files, others = files_of(path)
    return with_strangers(read_series(files), others)


def files_of(folder: Path) -> tuple[list[DicomFile], list[Path]]:
    """What lies directly in a folder: its DICOM files, and all others."""
    there = [p for p in sorted(folder.iterdir()) if p.is_file() and not names_directory(p.name)]
    files = [p for p in there if looks_like_dicom(p)]
    for file in files:
        check_inside(file, folder)
    return [DicomFile(p.name, partial(p.open, "rb")) for p in files], sorted({*there} - {*files})


def with_strangers(stored: Stored, others: list[Path]) -> Stored:
    """A note on files that might have been slices, by their names, and are none by their bytes."""
    strange = [p for p in others if sort_of(p.name) is Sort.OPEN and not p.name.startswith(".")]
    count = sum(look_at(p) in (Look.BINARY, Look.EMPTY) for p in strange)
    note = f"files beside the slices that are no DICOM: {count}"
    return replace(stored, notes=(*stored.notes, note)) if count else stored

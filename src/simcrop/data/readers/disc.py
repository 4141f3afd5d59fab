"""The root of a DICOM disc: a file DICOMDIR, and the pictures in folders below it. Read as if they lay in one folder.

No axes or units. The directory itself is not asked: discs were copied, and files renamed, without it.
"""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from simcrop.data.readers.dicom import DicomFile, looks_like_dicom, read_series
from simcrop.data.readers.find import folders_below, holds_dicom, is_directory, is_file
from simcrop.data.readers.foreign import names_directory
from simcrop.data.readers.left_over import Look, look_at
from simcrop.data.readers.links import check_inside
from simcrop.data.readers.stored import Stored, with_notes
from simcrop.errors import SimcropError

SHOWN = 5  # folders that a sentence names
FOLDERS_LIMIT = 2000  # that are looked into for the sake of a sentence


def is_disc(folder: Path) -> bool:
    """A DICOMDIR in it, and no picture beside that."""
    paths = list(folder.iterdir())
    return any(map(is_directory, paths)) and not any(
        look_at(path) is Look.PICTURE for path in paths if path.is_file() and not names_directory(path.name)
    )


def read_disc(root: Path) -> Stored:
    """The one CT series that the rules choose from all folders; what stands against it is told with the places."""
    files = files_by_place(root)
    if not files:
        raise SimcropError(
            "no-scan", "the root of a DICOM disc, but nothing that its DICOMDIR lists lies below it"
        )
    try:
        stored = read_series([file for place in sorted(files) for file in files[place]])
    except SimcropError as error:
        if len(files) == 1 or error.reason == "not-ct":
            raise
        counted = [f"{place} ({len(files[place])} files)" for place in sorted(files)]
        where = "the root of a DICOM disc, its pictures lie in " + some(counted)
        raise SimcropError(error.reason, f"{error.sentence}; {where}: give one of these folders") from error
    return with_notes(stored, f"the root of a DICOM disc, read from all of its folders: {len(files)}")


def files_by_place(root: Path) -> dict[str, list[DicomFile]]:
    """The DICOM files of each folder below a disc's root."""
    files: dict[str, list[DicomFile]] = {}
    for folder, entries, *_ in folders_below(root):
        place = folder.relative_to(root).as_posix()
        for entry in entries or []:
            path = Path(entry.path)
            if not names_directory(entry.name) and is_file(entry) and looks_like_dicom(path):
                check_inside(path, folder)
                name = f"{place}/{path.name}" if folder != root else path.name
                files.setdefault(place, []).append(DicomFile(name, partial(path.open, "rb")))
    return files


def nothing_directly(folder: Path) -> SimcropError:
    """Why a folder without slices is no scan, and where below it some lie."""
    if (folder / "cohort.json").is_file():
        words = "it is a cohort: give one of the scans that it was made of, or the folder in which they lie"
        return SimcropError("no-scan", words)
    found = sorted(below.relative_to(folder).as_posix() for below in islice(with_pictures(folder), SHOWN + 1))
    where = (
        f"; DICOM lies below it in {some(found, counted=False)}: give one of these folders" if found else ""
    )
    return SimcropError("no-scan", f"no DICOM file lies directly in it, expected one CT series{where}")


def with_pictures(root: Path) -> Iterator[Path]:
    for folder, entries, *_ in islice(folders_below(root), FOLDERS_LIMIT):
        if folder != root and entries and holds_dicom(entries):
            yield folder


def some(names: list[str], counted: bool = True) -> str:
    """The first few; of names that were not all looked for, nobody knows how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more if counted else 'some'} more" if more > 0 else "")

"""What DICOM headers call a scan: patient, examination, accession, series. Joins reports to scans, and is never shown.

No axes or units.
"""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from simcrop.errors import SimcropError

if TYPE_CHECKING:
    from simcrop.data.readers.dicom import DicomFile

SERIES = "SeriesInstanceUID"
KEYWORDS = ("StudyInstanceUID", SERIES, "AccessionNumber", "PatientID")
SHORT = {
    "studyuid": "StudyInstanceUID",
    "seriesuid": SERIES,
    "accession": "AccessionNumber",
    "accessionno": "AccessionNumber",
}


@dataclass(frozen=True)
class HeaderNames:
    """Of the CT pictures of one scan. Nothing of it appears where it is printed."""

    patient: str = field(repr=False)
    study: str = field(repr=False)
    accession: str = field(repr=False)
    series: frozenset[str] = field(repr=False)

    def values(self, keyword: str) -> frozenset[str]:
        """What a row may say to mean this scan."""
        if keyword == SERIES:
            return self.series - {""}
        one = {"StudyInstanceUID": self.study, "AccessionNumber": self.accession, "PatientID": self.patient}
        return frozenset({one[keyword]}) - {""}


def keyword_of(column: str | None) -> str | None:
    """The header value that a column means, such as `study_instance_uid`, `Accession` or `PatientID`."""
    letters = re.sub("[^a-z]", "", (column or "").lower())
    return SHORT.get(letters) or {word.lower(): word for word in KEYWORDS}.get(letters)


def header_names(path: Path, every: bool = False, last: bool = False) -> HeaderNames | None:
    """From the first CT picture of a folder or zip, or the `last` one; with `every` from all, whose series may be many.

    None where there is none. What cannot be read names nothing here; the reader will say what is wrong with it.
    """
    from pydicom.config import disable_value_validation

    found: list[HeaderNames] = []
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore", UserWarning)
            for names in map(names_in, sources_of(path, last)):
                found += [names] if names else []
                if found and not every:
                    break
    except (SimcropError, OSError):
        return None
    if not found:
        return None
    return HeaderNames(
        found[0].patient, found[0].study, found[0].accession, frozenset().union(*(n.series for n in found))
    )


def sources_of(path: Path, backwards: bool = False) -> "Iterator[DicomFile]":
    """The DICOM files of a folder or a zip, in the order of their names or from the last one back."""
    from simcrop.data.readers.archive import checked_members, open_zip, starts_like_dicom
    from simcrop.data.readers.dicom import DicomFile, looks_like_dicom

    if path.is_dir():
        for file in sorted(path.iterdir(), reverse=backwards):
            if file.is_file() and looks_like_dicom(file):
                yield DicomFile(file.name, partial(file.open, "rb"))
    elif path.suffix.lower() == ".zip":
        with open_zip(path) as archive:
            for member in sorted(checked_members(archive), key=lambda m: m.filename, reverse=backwards):
                if starts_like_dicom(archive, member):
                    yield DicomFile(member.filename, partial(archive.open, member))


def names_in(source: "DicomFile") -> HeaderNames | None:
    """Of one file, if it is a CT picture with a sound header."""
    from pydicom.errors import BytesLengthException

    from simcrop.data.readers.dicom import is_ct_slice, read_file

    try:
        header = read_file(source, pixels=False)
        if not is_ct_slice(header):
            return None
        patient, study, accession, series = (
            str(header.get(keyword, None) or "").strip()
            for keyword in ("PatientID", "StudyInstanceUID", "AccessionNumber", SERIES)
        )
    except (SimcropError, BytesLengthException, ValueError, TypeError, KeyError, NotImplementedError):
        return None
    return HeaderNames(patient, study, accession, frozenset({series}))

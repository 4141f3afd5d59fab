"""Which scans are of one person, by the PatientID of their DICOM headers. The id itself is shown and kept nowhere.

No axes or units. Someone examined twice lies in two folders; without this, perhaps in two splits.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from simcrop.data.layouts.report_table import Scan
from simcrop.data.readers.header_names import HeaderNames, header_names

MANY = 10  # scans; of so many, no one person owns more than half: an export wrote one id into all


def headers_of(scans: Iterable[Scan]) -> dict[str, HeaderNames]:
    """Scan id -> what its first DICOM header calls it, and the series of its first and its last one."""
    found = dict[str, HeaderNames]()
    for scan in scans:
        header = header_names(scan.path) if can_be_dicom(scan) else None
        if header is not None:
            last = header_names(scan.path, last=True) or header
            found[scan.id] = replace(header, series=header.series | last.series)
    return found


def persons_of(headers: Mapping[str, HeaderNames], patients: Mapping[str, str]) -> dict[str, str]:
    """Scan id -> patient, one for all scans of a person: the first of the `patients` that the scans had before."""
    bearing: dict[str, list[str]] = defaultdict(list)
    for id, header in headers.items():
        if header.patient:
            bearing[header.patient].append(id)
    total = sum(map(len, bearing.values()))
    same: dict[str, str] = {}  # patient -> another name of the same person, which is first in the alphabet
    for ids in bearing.values():
        if total < MANY or len(ids) <= total / 2:
            names = {last(same, patients[id]) for id in ids}
            same |= {name: min(names) for name in names if name != min(names)}
    return {id: last(same, patient) for id, patient in patients.items()}


def last(same: Mapping[str, str], name: str) -> str:
    while name in same:
        name = same[name]
    return name


def can_be_dicom(scan: Scan) -> bool:
    return scan.path.is_dir() or scan.path.suffix.lower() == ".zip"

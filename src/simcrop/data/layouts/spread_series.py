"""Folders of which each holds a part of one DICOM series, as discs do that put so many files into a folder: refused.

No axes or units. Each part would be a scan of its own, with the whole report. Copies of a whole series stay.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from simcrop.data.layouts.raw import Refusal
from simcrop.data.readers.header_names import HeaderNames

REASON = "spread-series"
MOST = 100  # folders of one series; an id that still more bear was written by an export


def spread_series(paths: Mapping[str, Path], headers: Mapping[str, HeaderNames]) -> dict[str, Refusal]:
    """Scan id -> why it is none, of the `paths` whose headers name one series of one examination."""
    from simcrop.data.readers.spread_series import parts_of_one

    bearing: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for id, header in headers.items():
        for series in header.series - {""}:
            bearing[header.patient, header.study, series].append(id)
    refused = dict[str, Refusal]()
    for (_, _, series), ids in bearing.items():
        parts = parts_of_one([paths[id] for id in ids], series) if 1 < len(ids) <= MOST else []
        where = f"slices of one series lie in {len(ids)} folders: put them together, and ingest again"
        ours = [id for id in ids if paths[id] in parts]
        refused |= {id: Refusal(id, paths[id], REASON, f"{paths[id]}: {where}") for id in ours}
    return refused

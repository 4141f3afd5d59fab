"""What `simcrop check` found in a cohort: everything that its page shows.

No axes; lengths in mm, values in HU.
"""

from dataclasses import dataclass
from typing import Any

from simcrop.data.preprocess import InputSpec
from simcrop.data.quality.facts import Duplicates, LabelCount, Outlier, Refused, Reports
from simcrop.data.quality.geometry import Measure
from simcrop.data.quality.histograms import Histograms
from simcrop.data.quality.notes import Noted
from simcrop.data.store.cohort import Cohort


@dataclass(frozen=True, eq=False)
class Seen:
    """What the stored voxels show. `damaged`: ids whose file is gone, broken, or not what was ingested."""

    verified: bool
    read: int
    damaged: tuple[str, ...]
    numbers: Histograms
    pictures: tuple[tuple[bytes, str], ...]


@dataclass(frozen=True, eq=False)
class Checked:
    """Everything that the page shows. `facts` is `cohort.json`."""

    cohort: Cohort
    spec: InputSpec
    facts: dict[str, Any]
    bytes: int
    seen: Seen
    geometry: list[Measure]
    refused: list[Refused]
    duplicates: list[Duplicates]
    crossing: int  # patients in more than one split
    reports: Reports
    labels: list[LabelCount]
    classes: list[LabelCount]  # of the masks
    hu_outliers: list[Outlier]
    geometry_outliers: list[Outlier]
    notes: list[Noted]

    @property
    def guessed(self) -> tuple[str, ...]:
        """Ids of which a reader had to assume something."""
        return tuple(dict.fromkeys(id for note in self.notes if note.guessed for id in note.ids))

    @property
    def flagged(self) -> dict[str, tuple[str, ...]]:
        """What to look at -> the studies concerned; most serious first, and no entry where all is well."""
        ids_by_concern = {
            "stored volumes damaged or gone": self.seen.damaged,
            "Hounsfield units far off": tuple(found.id for found in self.hu_outliers),
            "unusual spacing or field of view": tuple(found.id for found in self.geometry_outliers),
            "size, place, unit or side guessed": self.guessed,
            "same voxels under several names": tuple(id for group in self.duplicates for id in group.ids),
            "scans without a report": self.reports.empty,
            "reports whose findings give no sentence": self.reports.unsplit,
            "reports without a known head": self.reports.headless,
            "reports without a scan": self.reports.without_scan,
        }
        return {what: ids for what, ids in ids_by_concern.items() if ids}

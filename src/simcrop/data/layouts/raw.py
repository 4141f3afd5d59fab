"""What a data set's folder promises before any voxel is read: studies to try, and names that can be none.

No axes or units.
"""

from dataclasses import dataclass, field
from pathlib import Path

from simcrop.data.hounsfield import Hint
from simcrop.data.split import Split


@dataclass(frozen=True)
class RawStudy:
    """One volume on disk with its report. `labels` are 0, 1 or None where unknown; `notes` go to the ledger.

    `id` names the volume, `scan` the examination it was reconstructed from, `patient` the person. `mask` is a
    label volume on the scan's own grid, where the data set has one.
    """

    id: str
    patient: str
    scan: str
    split: str
    path: Path
    hint: Hint | None = None
    findings: str = ""
    impression: str = ""
    labels: dict[str, int | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    mask: Path | None = None


@dataclass(frozen=True)
class Refusal:
    """An input that can be no study: `name` as its table or folder has it, `path` where there is a file."""

    name: str
    path: Path | None
    reason: str
    sentence: str


@dataclass(frozen=True)
class Listing:
    """Everything a source holds, in a fixed order; `split` where it is our own and not the data set's."""

    studies: tuple[RawStudy, ...]
    refusals: tuple[Refusal, ...] = ()
    split: Split | None = None

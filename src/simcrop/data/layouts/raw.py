"""What a data set's folder promises before any voxel is read: studies to try, and names that can be none.

No axes or units.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from simcrop.data.findings import Finding
from simcrop.data.hounsfield import GIVEN, Hint
from simcrop.data.readers.find import SUFFIXES
from simcrop.data.split import SHARES, Split, patients_on_several_sides
from simcrop.errors import SimcropError

LONGEST_NAME = 80  # characters of a name in a sentence
OWN, RELEASED, UNLISTED = "own", "released", "unlisted"


@dataclass(frozen=True)
class ListingOptions:
    """What a user may say of a source. None of it is needed.

    `reports` is a table anywhere, or a folder of text files; `key` its column that names the scan, or that holds what
    DICOM headers call StudyInstanceUID, SeriesInstanceUID, AccessionNumber or PatientID. `split` asks for `own`, drawn
    by patient, or for the `released` one; by default it is the data set's own where that is sound. `rescale` is slope
    and intercept for scans whose own numbers are no CT and of which no table says them.
    """

    reports: Path | None = None
    key: str | None = None
    split: str | None = None
    rescale: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.split not in (None, OWN, RELEASED):
            raise SimcropError(
                "bad-setting", f"split {brief(self.split or '')}: expected {OWN} or {RELEASED}"
            )


@dataclass(frozen=True)
class RawStudy:
    """One volume on disk with its report. `labels` are 0, 1 or None where unknown; `notes` go to the ledger.

    `id` names the volume, `scan` the examination it was reconstructed from, `patient` the person. `mask` is a
    label volume on the scan's own grid, where the data set has one: of whole numbers, or with a channel per class. Of
    `marked` findings it has a mask each instead, on the voxels of the scan whatever its header says.
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
    marked: tuple[Finding, ...] = ()


def with_rescale(study: RawStudy, rescale: tuple[float, float]) -> RawStudy:
    """The study with what the user says of its numbers, unless its data set's table says it."""
    hint, (slope, intercept) = study.hint, rescale
    if hint is None:
        return replace(study, hint=Hint(slope, intercept, source=GIVEN))
    if (hint.slope, hint.intercept) != (1.0, 0.0):
        return study
    return replace(study, hint=replace(hint, slope=slope, intercept=intercept, source=GIVEN))


@dataclass(frozen=True)
class Refusal:
    """An input that can be no study: `name` as its table or folder has it, `path` where there is a file.

    `kind`: of what lies in the source and no reader takes, a word for lists, and `count` of its files.
    """

    name: str
    path: Path | None
    reason: str
    sentence: str
    kind: str = ""
    count: int = 1


@dataclass(frozen=True)
class Listing:
    """Everything a source holds, in a fixed order; `split` where it is our own and not the data set's.

    `split_kind` says whose it is: `own`, `released` by the makers of the data set or of its lists, `table` where the
    user's own table states it, `none` where nothing does and everything is `train`. Scans that the released lists
    leave out are `unlisted`. `classes`: what the numbers of its masks stand for, without the background; None where
    nothing says so. `made_by`: of scans that were drawn, wholly or in part, how; empty for those of patients.
    `unread`: columns of the user's own table that look like labels and are not named as such. `shelved`: one folder
    holds all of many scans, and was not taken for one patient's.
    """

    studies: tuple[RawStudy, ...]
    refusals: tuple[Refusal, ...] = ()
    split: Split | None = None
    split_kind: str = RELEASED
    classes: dict[int, str] | None = None
    made_by: str = ""
    unread: tuple[str, ...] = ()
    shelved: bool = False

    @property
    def sides(self) -> int:
        """How many patients the user's own table has on several sides of its split."""
        places = ((study.patient, study.split) for study in self.studies)
        return len(patients_on_several_sides(places)) if self.split_kind == "table" else 0

    @property
    def odd_splits(self) -> str:
        """The names of the user's own splits with counts, such as `8 train, 2 fold1`, if any is none that we know."""
        counts = Counter(study.split for study in self.studies)
        odd = self.split_kind == "table" and not {*counts} <= {*SHARES}
        ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        return ", ".join(f"{count} {brief(name)}" for name, count in ordered) if odd else ""

    @property
    def left(self) -> str:
        """What lies in the source and no reader takes, such as `2 .npy, 300 .dcm.gz`; kinds, and no names."""
        counts = Counter[str]()
        for refusal in self.refusals:
            counts[refusal.kind] += refusal.count if refusal.kind else 0
        return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()) if kind)


def brief(name: str) -> str:
    """A name for a sentence: one line, and no report that slipped into the wrong column."""
    line = " ".join(name.split())
    return line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…"


def stem(name: str) -> str:
    """A name without the ending of a scan."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name

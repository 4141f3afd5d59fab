"""Released lists of who is in which part: `train_list.csv`, `val_list.csv` or `valid_list.csv`, `test_list.csv`.

No axes or units. The lists lie at the data set's root, one row per scan. They are taken as they are, and what is wrong
with them is said: scans on several lists, scans on none, and, in `straddling`, patients on both sides.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from simcrop.data.layouts.raw import RELEASED, UNLISTED, Listing, RawStudy, Refusal, brief, stem
from simcrop.data.layouts.table import Row, each_row
from simcrop.data.split import patients_on_several_sides
from simcrop.errors import SimcropError

FILES = {
    "train_list.csv": "train",
    "val_list.csv": "valid",
    "valid_list.csv": "valid",
    "test_list.csv": "test",
}
STRICTEST = ("test", "valid", "train")  # a scan on two lists is at least not trained on
NAMES = ("img_list", "image_id")

NameOf = Callable[[Path, Row], str]


def by_lists(listing: Listing, source: Path, name_of: NameOf = lambda _, row: listed_name(row)) -> Listing:
    """The studies placed as the lists say; `name_of` a row is the `scan` of its study."""
    parts = read_lists(source, name_of)
    if not parts:
        raise SimcropError(
            "missing-file", f"{source}: the released split is asked for, expected {', '.join(FILES)} there"
        )
    studies = tuple(placed(study, parts.get(study.scan, set())) for study in listing.studies)
    absent = sorted(parts.keys() - {study.scan for study in studies})
    refusals = [
        Refusal(
            brief(name), None, "no-volume", f"a released list names {brief(name)}, but there is no such scan"
        )
        for name in absent
    ]
    return replace(
        listing, studies=studies, refusals=(*listing.refusals, *refusals), split=None, split_kind=RELEASED
    )


def placed(study: RawStudy, parts: set[str]) -> RawStudy:
    found = [part for part in STRICTEST if part in parts]
    if not found:
        return replace(study, split=UNLISTED, notes=(*study.notes, "on no released list"))
    several = (f"on several released lists: {', '.join(found)}",) if len(found) > 1 else ()
    return replace(study, split=found[0], notes=(*study.notes, *several))


def has_lists(source: Path) -> bool:
    return any((source / file).is_file() for file in FILES)


def read_lists(source: Path, name_of: NameOf) -> dict[str, set[str]]:
    """Scan -> the parts whose lists name it; empty without any list."""
    parts: dict[str, set[str]] = {}
    for file, part in FILES.items():
        path = source / file
        for row in each_row(path) if path.is_file() else ():
            if not any(name in row for name in NAMES):
                raise SimcropError(
                    "missing-columns", f"{path}: expected one of the columns {', '.join(NAMES)}"
                )
            parts.setdefault(name_of(path, row), set()).add(part)
    return parts


def listed_name(row: Row) -> str:
    """What the lists call a scan, without the ending."""
    return stem(next(row[name] for name in NAMES if name in row).strip())


def straddling(studies: Iterable[RawStudy], whose: str = RELEASED) -> tuple[RawStudy, ...]:
    """The studies, each of a patient on several sides with a note that says how many patients there are of them."""
    studies = tuple(studies)
    several = patients_on_several_sides((s.patient, s.split) for s in studies if s.split != UNLISTED)
    every = len({study.patient for study in studies})
    note = f"the {whose} split has its patient on several sides, as {len(several)} of {every} patients"
    return tuple(replace(s, notes=(*s.notes, note)) if s.patient in several else s for s in studies)

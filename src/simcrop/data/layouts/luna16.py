"""LUNA16's tree as studies: MetaImage volumes in ten subsets, nodules as a label, lungs as a mask.

Positions of nodules are LPS mm of the scanner, as in the table. Below the root may lie:

    subset0/ ... subset9/UID.mhd and UID.raw or .zraw    the data set's ten parts
    annotations.csv                                      seriesuid, coordX, coordY, coordZ, diameter_mm
    candidates.csv or candidates_V2.csv                  seriesuid, coordX, coordY, coordZ, class: 1 is a nodule
    seg-lungs-LUNA16/UID.mhd                             label volumes: 3 left lung, 4 right lung, 5 trachea

Tables may lie in CSVFILES/, too. Only the volumes are needed. A scan is positive when the annotations name it, as in
the released lists (all 621 of them agree), or, without annotations, when one of its candidates is a nodule. Where both
tables are there they are held against each other. The subsets are the split: 0 to 7 train, 8 valid, 9 test, unless
released lists lie at the root and are asked for; the tree does not say which scans are of one patient.

Which lung is 3: the data set does not say. Public code that reads it calls 3 the left one, the released masks of the
paper have the left lung before the right one and the trachea last, and the phantom is written so. It is not taken on
trust: of every mask the middle of 3 has to lie to the left of that of 4, or the mask is refused as `mask-sides`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from simcrop.data.layouts.raw import Listing, RawStudy, Refusal, brief
from simcrop.data.layouts.released import by_lists, has_lists
from simcrop.data.layouts.table import Row, each_row, read_table
from simcrop.errors import SimcropError

LABEL = "Lung nodule"
COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
CANDIDATES, CANDIDATE_COLUMNS = ("candidates.csv", "candidates_V2.csv"), (*COLUMNS[:4], "class")
UID = re.compile(r"[0-9]+(\.[0-9]+)*")
LUNGS = "seg-lungs-LUNA16"
CLASSES = {3: "left lung", 4: "right lung", 5: "trachea"}


@dataclass(frozen=True)
class Nodule:
    """Centre in LPS mm of the scanner and diameter in mm."""

    lps_mm: tuple[float, float, float]
    diameter_mm: float


@dataclass(frozen=True)
class Tables:
    """Series UID -> its nodules, and -> how many candidates it has and how many are nodules; None without a table."""

    nodules: Mapping[str, list[Nodule]] | None
    candidates: Mapping[str, tuple[int, int]] | None

    def label(self, uid: str) -> int | None:
        """Whether the scan has a nodule, where a table says so."""
        if self.nodules is not None:
            return int(uid in self.nodules)
        return None if self.candidates is None else int(self.candidates.get(uid, (0, 0))[1] > 0)

    def notes(self, uid: str) -> tuple[str, ...]:
        if self.candidates is None:
            return (
                () if self.nodules is not None else ("no annotations.csv: whether it has nodules is unknown",)
            )
        count, positive = self.candidates.get(uid, (0, 0))
        note = f"{count} candidates, {positive} of them nodules"
        if self.nodules is None:
            return (f"{note}; the label is theirs, as there is no annotations.csv",)
        return (
            (f"{note}, but annotations.csv disagrees",)
            if (uid in self.nodules) != (positive > 0)
            else (note,)
        )


def list_luna16(source: Path) -> Listing:
    """Every volume of every subset with what the tables say of it."""
    subsets = [(n, source / f"subset{n}") for n in range(10)]
    if not any(folder.is_dir() for _, folder in subsets):
        raise SimcropError("no-scans", f"{source}: no subset0 to subset9, expected LUNA16's root")
    nodule_table, candidate_table = find_table(source, "annotations.csv"), find_table(source, *CANDIDATES)
    tables = Tables(
        read_annotations(nodule_table) if nodule_table else None,
        read_candidates(candidate_table) if candidate_table else None,
    )
    masks = {path.stem: path for path in sorted((source / LUNGS).rglob("*.mhd"), reverse=True)}
    studies: dict[str, RawStudy] = {}
    refusals = []
    for number, folder in subsets:
        for path in sorted(folder.rglob("*.mhd")):
            if not UID.fullmatch(path.stem):
                refusals.append(
                    Refusal(path.stem, path, "bad-name", f"{path}: expected a series UID as its name")
                )
            elif path.stem in studies:
                refusals.append(
                    Refusal(path.stem, path, "duplicate-name", f"{path}: another subset has this series")
                )
            else:
                studies[path.stem] = study_of(path, number, masks.get(path.stem), tables)
    refusals += without_volume(nodule_table, tables.nodules or {}, studies)
    if nodule_table is None:
        refusals += without_volume(candidate_table, tables.candidates or {}, studies)
    taken = tuple(study for _, study in sorted(studies.items()))
    return Listing(taken, tuple(refusals), classes=CLASSES)


def released_luna16(listing: Listing, source: Path) -> Listing:
    """Placed by released lists if there are some; the subsets are released, too."""
    return by_lists(listing, source) if has_lists(source) else listing


def find_table(source: Path, *names: str) -> Path | None:
    places = (folder / name for name in names for folder in (source, source / "CSVFILES"))
    return next((path for path in places if path.is_file()), None)


def without_volume(
    table: Path | None, named: Mapping[str, object], studies: Mapping[str, RawStudy]
) -> list[Refusal]:
    """Series that the table names and no subset has."""
    opening = f"{table.name if table else 'no table'} names"
    absent = [brief(uid) for uid in sorted(named.keys() - studies.keys())]
    return [
        Refusal(uid, None, "no-volume", f"{opening} {uid}, but no subset has such a volume") for uid in absent
    ]


def study_of(path: Path, subset: int, mask: Path | None, tables: Tables) -> RawStudy:
    uid = path.stem
    return RawStudy(
        id=uid,
        patient=uid,
        scan=uid,
        split={8: "valid", 9: "test"}.get(subset, "train"),
        path=path,
        labels={LABEL: tables.label(uid)},
        notes=("no report", *tables.notes(uid)),
        mask=mask,
    )


def read_annotations(path: Path) -> dict[str, list[Nodule]]:
    """Series UID -> its nodules, in the order of the table."""
    nodules: dict[str, list[Nodule]] = {}
    for number, row in enumerate(read_table(path, COLUMNS), 1):
        nodules.setdefault(row["seriesuid"].strip(), []).append(nodule_of(path, number, row))
    return nodules


def nodule_of(path: Path, number: int, row: Row) -> Nodule:
    try:
        x, y, z, diameter = (float(row[name]) for name in COLUMNS[1:])
    except ValueError as error:
        raise SimcropError("bad-csv", f"{path}: row {number} holds a position that is no number") from error
    if not all(map(isfinite, (x, y, z, diameter))):
        raise SimcropError("bad-csv", f"{path}: row {number} holds a position that is not finite")
    return Nodule((x, y, z), diameter)


def read_candidates(path: Path) -> dict[str, tuple[int, int]]:
    """Series UID -> number of its candidates, and of those that are nodules. The real table has 551,065 rows."""
    counts: dict[str, tuple[int, int]] = {}
    for number, row in enumerate(each_row(path, CANDIDATE_COLUMNS), 1):
        kind = row["class"].strip()
        if kind not in {"0", "1"}:
            raise SimcropError("bad-csv", f"{path}: row {number} holds a class that is not 0 or 1")
        uid = row["seriesuid"].strip()
        count, positive = counts.get(uid, (0, 0))
        counts[uid] = (count + 1, positive + int(kind))
    return counts

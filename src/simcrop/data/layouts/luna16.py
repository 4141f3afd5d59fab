"""LUNA16's tree as studies: MetaImage volumes in ten subsets, nodules as a label, lungs as a mask.

Positions of nodules are LPS mm of the scanner, as in the table. Below the root may lie:

    subset0/ ... subset9/UID.mhd and UID.raw or .zraw    the data set's ten parts
    annotations.csv                                      seriesuid, coordX, coordY, coordZ, diameter_mm
    seg-lungs-LUNA16/UID.mhd                             label volumes of the lungs

Tables may lie in CSVFILES/, too. Only the volumes are needed. A scan is positive when the table names it, as in the
released lists (all 621 of them agree). The subsets are the split: 0 to 7 train, 8 valid, 9 test; the tree does not
say which scans are of one patient.
"""

import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from simcrop.data.layouts.raw import Listing, RawStudy, Refusal
from simcrop.data.layouts.table import Row, read_table
from simcrop.errors import SimcropError

LABEL = "Lung nodule"
COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
UID = re.compile(r"[0-9]+(\.[0-9]+)*")
LUNGS = "seg-lungs-LUNA16"


@dataclass(frozen=True)
class Nodule:
    """Centre in LPS mm of the scanner and diameter in mm."""

    lps_mm: tuple[float, float, float]
    diameter_mm: float


def list_luna16(source: Path) -> Listing:
    """Every volume of every subset with what the annotations say of it."""
    subsets = [(n, source / f"subset{n}") for n in range(10)]
    if not any(folder.is_dir() for _, folder in subsets):
        raise SimcropError("no-scans", f"{source}: no subset0 to subset9, expected LUNA16's root")
    table = next(
        (p for p in (source / "annotations.csv", source / "CSVFILES/annotations.csv") if p.is_file()), None
    )
    nodules = read_annotations(table) if table else {}
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
                studies[path.stem] = study_of(path, number, source, nodules if table else None)
    refusals += [
        Refusal(uid, None, "no-volume", f"annotations.csv names {uid}, but no subset has such a volume")
        for uid in sorted(nodules.keys() - studies.keys())
    ]
    return Listing(tuple(study for _, study in sorted(studies.items())), tuple(refusals))


def study_of(path: Path, subset: int, source: Path, nodules: dict[str, list[Nodule]] | None) -> RawStudy:
    uid = path.stem
    mask = next((p for p in sorted((source / LUNGS).rglob(f"{uid}.mhd"))), None)
    notes = ("no report",)
    if nodules is None:
        notes += ("no annotations.csv: whether it has nodules is unknown",)
    return RawStudy(
        id=uid,
        patient=uid,
        scan=uid,
        split={8: "valid", 9: "test"}.get(subset, "train"),
        path=path,
        labels={LABEL: None if nodules is None else int(uid in nodules)},
        notes=notes,
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

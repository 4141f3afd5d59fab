"""What lies in one folder and no reader takes: a row for each scan of a foreign kind, one for all slices of a kind.

No axes or units. Nothing is opened here but what may be a DICOM slice, and of that the first bytes.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from simcrop.data.readers.foreign import (
    COMPRESSED,
    HEADERS,
    PAIR,
    PAIRED,
    PROGRAMS,
    VAGUE,
    Kind,
    Sort,
    kind_of,
)

UNKNOWN = Kind("unknown", "of a kind that no reader knows, and no DICOM by its first bytes", many=True)
ORPHAN = Kind(".raw", "voxels without a header; expected the .mhd or .nhdr that names it")
LEAST_STACK = 8  # pictures; fewer are figures that somebody put there
STACK = Kind(
    "pictures",
    "pictures alone, without mm and HU: embed and ground take such a folder, ingest only with --layout cc-ccii; "
    "expected the DICOM slices that they were made of",
    many=True,
)
SUSPECT = (Sort.FOREIGN, Sort.PART, Sort.PICTURE)
Sorted = Sequence[tuple[os.DirEntry[str], Sort]]


class Look(Enum):
    """What the first bytes of a file say. DICOM: without a picture, such as a dose report."""

    PICTURE = auto()
    DICOM = auto()
    TEXT = auto()
    EMPTY = auto()
    BINARY = auto()


@dataclass(frozen=True)
class Left:
    """`path`: a file, or the folder of `count` of them."""

    path: Path
    kind: Kind
    reason: str = "unknown-format"
    count: int = 1

    @property
    def sentence(self) -> str:
        files = "is" if self.count == 1 else f"holds {self.count} files that are"
        return f"{self.path}: {files} not read, {self.kind.advice}"


def look_at(path: Path) -> Look:
    """A file that cannot be opened passes for a picture: the reader will say what is wrong with it."""
    from simcrop.data.readers.dicom import ENOUGH, PREAMBLE, holds_picture, is_dicom

    try:
        with path.open("rb") as file:
            start = file.read(ENOUGH)
    except OSError:
        return Look.PICTURE
    if is_dicom(path.name, start[: PREAMBLE + 4]):
        return Look.PICTURE if holds_picture(path, start) else Look.DICOM
    if not start:
        return Look.EMPTY
    return Look.BINARY if b"\0" in start or sum(byte < 9 for byte in start) else Look.TEXT


def left_in(folder: Path, sorts: Sorted, looks: Mapping[str, Look]) -> Iterator[Left]:
    """`looks`: what was seen in the files that may be DICOM; where one is a picture its folder answers for the rest."""
    if not {*looks.values()} & {Look.BINARY, Look.EMPTY} and not any(sort in SUSPECT for _, sort in sorts):
        return  # as in a folder of slices, of which there may be thousands
    named = [
        (entry.name, sort) for entry, sort in sorts if not entry.name.startswith(".") and not is_folder(entry)
    ]
    pairs = {stem_of(name) for name, _ in named if name.lower().endswith(".hdr")}
    homes = {stem_of(name) for name, _ in named if name.lower().endswith(HEADERS)}
    data = {stem_of(name) for name, sort in named if sort in (Sort.PART, Sort.OPEN, Sort.FOREIGN)}
    unclear = not homes <= data  # a header whose voxels do not bear its name may mean any file
    programs = any(name.lower().endswith(PROGRAMS) for name, _ in named)
    groups: dict[tuple[str, Kind], list[str]] = {}
    for name, sort in named:
        stem = stem_of(name)
        kind = PAIRED if stem in pairs and name.lower().endswith(PAIR) else left_kind(name, sort, looks)
        if programs and (kind is UNKNOWN or name.lower().endswith(VAGUE)):
            continue
        if kind is None or (may_be_data(name, kind) and (unclear or stem in homes)):
            continue
        place = "" if kind.many else f"{stem}.hdr" if kind is PAIRED and stem in pairs else name
        groups.setdefault((place, kind), []).append(name)
    for (place, kind), names in groups.items():
        one = names[0] if kind.many and len(names) == 1 else place
        yield Left(folder / one, kind, count=len(names) if kind.many else 1)
    pictures = sum(sort is Sort.PICTURE for _, sort in named)
    if pictures >= LEAST_STACK and all(sort in (Sort.PICTURE, Sort.DOCUMENT) for _, sort in named):
        yield Left(folder, STACK, count=pictures)


def left_kind(name: str, sort: Sort, looks: Mapping[str, Look]) -> Kind | None:
    """None of a file that is taken, belongs to one that is, or is no matter of ours."""
    if sort is Sort.FOREIGN:
        return kind_of(name)
    if sort is Sort.PART:
        return ORPHAN
    if sort is not Sort.OPEN or looks.get(name) not in (Look.BINARY, Look.EMPTY):
        return None
    if kind := kind_of(name):
        return kind
    return UNKNOWN if looks[name] is Look.BINARY and Look.PICTURE not in looks.values() else None


def may_be_data(name: str, kind: Kind) -> bool:
    """Whether a header may name it as its voxels."""
    return kind in (ORPHAN, UNKNOWN) or name.lower().endswith((".img", ".bin", ".dat", *COMPRESSED))


def stem_of(name: str) -> str:
    stem, _, end = name.rpartition(".")
    if f".{end.lower()}" in COMPRESSED and "." in stem:
        stem = stem.rpartition(".")[0]
    return stem or name


def is_folder(entry: os.DirEntry[str]) -> bool:
    """False for a link to one."""
    return entry.is_dir(follow_symlinks=False)

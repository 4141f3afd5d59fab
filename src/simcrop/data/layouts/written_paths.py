"""Paths whose bytes are no UTF-8 text, as names from old Windows shares are: no table can hold them, and nobody would
find a scan again by what stands in its place.

No axes or units.
"""

from dataclasses import replace
from pathlib import Path

from simcrop.data.layouts.raw import Listing, RawStudy, Refusal
from simcrop.errors import printable

NOT_UTF8 = "name-not-utf8"


def with_written_paths(listing: Listing) -> Listing:
    """The studies whose scan can be named, each with its mask if that can be, and the others as refusals."""
    studies, refusals = list[RawStudy](), list(listing.refusals)
    for study in listing.studies:
        if not is_text(study.path):
            refusals.append(refusal(study.id, study.path))
            continue
        if study.mask is not None and not is_text(study.mask):
            refusals.append(refusal(f"{study.id} mask", study.mask))
            study = replace(study, mask=None, marked=())
        studies.append(study)
    return replace(listing, studies=tuple(studies), refusals=tuple(refusals))


def is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def refusal(name: str, path: Path) -> Refusal:
    part = next(part for part in path.parts if not is_text(Path(part)))
    sentence = (
        f"{path}: the name {part} is no UTF-8 text, which no table can hold; rename it, and ingest again"
    )
    return Refusal(name, path, NOT_UTF8, printable(sentence))

"""Which scans a person means by a file or a folder, for whatever is done to each of them; and under which name.

No axes or units. Ids are those that `simcrop ingest` gives the same folder.
"""

from dataclasses import dataclass
from pathlib import Path

from simcrop.data.hounsfield import Hint
from simcrop.data.layouts.folder import ids_of, without_truth
from simcrop.data.layouts.folder_masks import without_masks
from simcrop.data.readers import read_volume
from simcrop.data.readers.disc import is_disc
from simcrop.data.readers.find import is_directory, survey
from simcrop.data.readers.slices import holds_slices
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

# What libraries raise for a file that no reader foresaw: it must not end a job of days.
UNFORESEEN = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, MemoryError)


@dataclass(frozen=True)
class Scan:
    """A scan on disk. `id` is safe as the name of a file."""

    id: str
    path: Path


@dataclass(frozen=True)
class Unread:
    """What lies among the scans in a format without a reader, with what helps."""

    id: str
    reason: str
    sentence: str


def scans_at(source: Path, beside: Path) -> tuple[list[Scan], list[Unread]]:
    """Every scan at or below `source`, but for what lies in `beside`, where masks go; one that is named is always a
    scan, whatever it turns out to be.
    """
    source = source.parent if is_directory(source) else source
    if not source.is_dir() or is_disc(source) or holds_slices(source):
        return [Scan(ids_of([source.resolve().name])[0], source)], []
    beside = beside.resolve()
    seen, _ = without_masks(source, without_truth(source, survey(source)))
    paths = [path for path in seen.scans if not path.resolve().is_relative_to(beside)]
    left = [one for one in seen.left if not one.path.resolve().is_relative_to(beside)]
    ids = ids_of([str(p.relative_to(source)) if p != source else source.resolve().name for p in paths])
    if not paths and not left:
        raise SimcropError(
            "no-scans", f"{source}: no scan found; expected NIfTI, DICOM, MetaImage, NRRD or NPZ"
        )
    scans = sorted(map(Scan, ids, paths), key=lambda scan: scan.id)
    return scans, [Unread(one.path.name, one.reason, one.sentence) for one in left]


def read_one(path: Path, hint: Hint | None) -> Volume:
    """One scan of many; whatever goes wrong is about this one alone."""
    try:
        return read_volume(path, hint)
    except UNFORESEEN as error:
        # Its words may hold what a header said: left out.
        raise SimcropError("unreadable", f"{path}: the reader failed with {type(error).__name__}") from error

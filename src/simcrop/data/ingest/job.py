"""One scan of an ingest, start to end: what a worker needs to store it and its mask, and the journal's line about it.

Axes: x, y, z of the resampled grid (RAS+), spacing in mm, int16 HU. A worker imports this module and no table.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from simcrop.data.hounsfield import Hint
from simcrop.data.ingest.journal import Record
from simcrop.data.ingest.mask import Mask, labels_of, remove_labels, stored_labels, write_labels
from simcrop.data.ingest.pseudonyms import Pseudonyms, meaning, without_names
from simcrop.data.ingest.streamed import Resampled, read_resampled
from simcrop.data.ingest.target import StoreSettings
from simcrop.data.layouts.raw import RawStudy
from simcrop.data.readers.data_files import data_file
from simcrop.data.readers.slices import zip_above
from simcrop.data.store.format import MASKS, SOURCE_MASKS, VOLUMES
from simcrop.data.store.volume_file import checksum, rounded, volume_path, write_volume
from simcrop.errors import SimcropError
from simcrop.files.whole import StoreError, writing


@dataclass(frozen=True)
class Job:
    """All that a worker needs to store one scan. `fingerprint` tells whether the source has changed since.

    Of a `nameless` one nothing is written down that may hold its path.
    """

    id: str
    path: Path
    hint: Hint | None
    store_settings: StoreSettings
    target: Path
    fingerprint: str
    raw_bytes: int
    nameless: bool = False
    mask: Mask | None = None

    @property
    def cohort(self) -> Path:
        """The folder in which it stores."""
        return self.target.parent.parent


FileStat = tuple[str, int, int]  # name, bytes, time of the last change in ns


def job_of(
    study: RawStudy,
    store_settings: StoreSettings,
    out: Path,
    key: Pseudonyms | None = None,
    classes: dict[int, str] | None = None,
) -> Job:
    mask = None if study.mask is None else Mask(study.mask, classes, study.marked)
    sources = [*files_of(study.path), *(files_of(mask.path) if mask else ())]
    stats = [stat for path in sources if (stat := stat_of(path)) is not None]
    target, mark = volume_path(out / VOLUMES, study.id, store_settings.codec), fingerprint(study, mask, stats)
    if key is not None:
        mark = key.of("fingerprint", mark)
    size = sum(count for _, count, _ in stats)
    return Job(study.id, study.path, study.hint, store_settings, target, mark, size, key is not None, mask)


def stat_of(path: Path) -> FileStat | None:
    """Asked once for each file; None where there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return path.name, found.st_size, found.st_mtime_ns


def fingerprint(study: RawStudy, mask: Mask | None, stats: list[FileStat]) -> str:
    """Path, sizes, times, hint and classes: cheap to take, and different when the source was exchanged."""
    marked: tuple[object, ...] | None = None if mask is None else (str(mask.path), mask.classes)
    if marked is not None and study.marked:
        marked = (*marked, [finding.voxels for finding in study.marked])
    told = repr((str(study.path), stats, study.hint, marked))
    return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:16]


def files_of(path: Path) -> list[Path]:
    """Every file of the scan at `path`, and those that may lie beside it or that its header names; a scan inside a zip
    is as new as the zip. A folder that may not be listed stands for itself: the reader says what is wrong with it.
    """
    path = zip_above(path) or path
    if path.is_dir():
        try:
            return sorted(path.iterdir())
        except OSError:
            return [path]
    files, data = [path, *(path.with_suffix(ending) for ending in (".raw", ".zraw"))], data_file(path)
    return files if data is None or data in files else [*files, data]


def make_folders(out: Path, jobs: list[Job]) -> list[Path]:
    """The cohort's own folder and those for its scans and, where there are any, their masks."""
    masks = [MASKS, SOURCE_MASKS] if any(job.mask for job in jobs) else []
    folders = [out, *(out / name for name in (VOLUMES, *masks))]
    with writing(out):
        for folder in folders:
            folder.mkdir(exist_ok=True)
    return folders


def is_stored(job: Job, record: Record | None) -> bool:
    """Whether an earlier call took this scan and its mask, from this very source, and all is still whole in size."""
    if record is None or not is_taken(record) or record["fingerprint"] != job.fingerprint:
        return False
    return not mask_is_refused(record) and all(
        path.is_file() and path.stat().st_size == size for path, size in stored_files(job, record)
    )


def stored_files(job: Job, record: Record) -> list[tuple[Path, int]]:
    """What a taken scan has in its cohort, and the bytes of each."""
    return [(job.target, record["bytes"]), *stored_labels(job.cohort, job.id, record["mask"])]


def is_taken(record: Record) -> bool:
    """Whether a scan was."""
    return record["status"] == "taken"


def mask_is_refused(record: Record) -> bool:
    """Whether a scan was taken and its mask was not."""
    return is_taken(record) and (record["mask"] or {}).get("status") == "refused"


def store_scan(job: Job) -> Record:
    """Read, resample, round, write: the journal's line for one scan, taken or refused."""
    try:
        with foreseen(job.path):
            made = read_resampled(
                job.path, job.store_settings.spacing_mm, job.hint, job.store_settings.antialias
            )
    except SimcropError as error:
        return refused(job, error.reason, error.sentence)
    try:
        return taken(job, made)
    except MemoryError:
        return refused(job, "unreadable", f"{job.path}: not enough memory to store it")


@contextmanager
def foreseen(path: Path) -> Iterator[None]:
    """Whatever a reader fails with as a refusal: a file that none foresaw must not end a job of days."""
    try:
        yield
    except MemoryError as error:
        raise SimcropError("unreadable", f"{path}: cannot be read: not enough memory") from error
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise SimcropError("unreadable", f"{path}: cannot be read: {why}") from error
    except SimcropError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        # Its words may hold what a header said: left out.
        raise SimcropError("unreadable", f"{path}: the reader failed with {type(error).__name__}") from error


def store_shared_scan(job: Job) -> Record:
    """The same on another machine, which must see the same folders: else each scan would be refused as missing."""
    raw = [files_of(path)[0].parent for path in (job.path, *([job.mask.path] if job.mask else ()))]
    for place in (job.target.parent, *raw):
        if not place.is_dir():
            raise StoreError(
                "not-shared",
                f"{os.uname().nodename}: does not see {place if place == job.target.parent else 'the raw scans'}; "
                "source and cohort must lie on storage that all machines of the cluster share",
            )
    return store_scan(job)


def taken(job: Job, made: Resampled) -> Record:
    volume = made.volume
    voxels = rounded(volume.hu)
    notes = without_names(volume.notes, job.path.parts) if job.nameless else volume.notes
    return {
        "id": job.id,
        "status": "taken",
        "reason": "",
        "sentence": "; ".join(((volume.decision.sentence if volume.decision else ""), *notes)),
        "fingerprint": job.fingerprint,
        "checksum": checksum(voxels),
        "bytes": write_volume(job.target, voxels),
        "mask": take_mask(job, made),
        "source_shape": list(made.source_shape),
        "source_affine": made.source_affine.ravel().tolist(),
        "shape": list(volume.shape),
        "affine": volume.affine.ravel().tolist(),
        "hu_decision": asdict(volume.decision) if volume.decision else None,
    }


def take_mask(job: Job, made: Resampled) -> Record | None:
    """What the journal says of the scan's mask: stored, refused, or that there is none. No mask costs its scan."""
    try:
        if job.mask is not None:
            with foreseen(job.mask.path):
                labels = labels_of(job.mask, made, job.hint)
            return write_labels(job.cohort, job.id, labels)
    except StoreError:
        raise
    except SimcropError as error:
        remove_labels(job.cohort, job.id)
        return {
            "status": "refused",
            "reason": error.reason,
            "sentence": said(job, error.reason, error.sentence),
        }
    remove_labels(job.cohort, job.id)  # of another time, when it had one
    return None


def refused(job: Job, reason: str, sentence: str) -> Record:
    return {
        "id": job.id,
        "status": "refused",
        "reason": reason,
        "sentence": said(job, reason, sentence),
        "fingerprint": job.fingerprint,
    }


def said(job: Job, reason: str, sentence: str) -> str:
    """In one line, and without what may be a name where there shall be none."""
    return meaning(reason) if job.nameless else " ".join(sentence.split())


def died(job: Job) -> Record:
    """A scan that kills its process twice, such as one that needs more memory than there is."""
    return refused(
        job, "worker-died", f"{job.path}: the process that read it was killed, perhaps for its memory"
    )

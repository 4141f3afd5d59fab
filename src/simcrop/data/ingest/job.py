"""One scan of an ingest, start to end: what a worker needs to store it, and the journal's line about it.

Axes: x, y, z of the resampled grid (RAS+), spacing in mm, int16 HU. A worker imports this module and no table.
"""

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from simcrop.data.hounsfield import Hint
from simcrop.data.ingest.journal import Record
from simcrop.data.ingest.pseudonyms import Pseudonyms, meaning, without_names
from simcrop.data.ingest.streamed import Resampled, read_resampled
from simcrop.data.ingest.target import StoreSettings
from simcrop.data.layouts.raw import RawStudy
from simcrop.data.readers.slices import zip_above
from simcrop.data.store.format import VOLUMES
from simcrop.data.store.volume_file import checksum, rounded, volume_path, write_volume
from simcrop.errors import SimcropError
from simcrop.files.whole import StoreError


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


FileStat = tuple[str, int, int]  # name, bytes, time of the last change in ns


def job_of(study: RawStudy, store_settings: StoreSettings, out: Path, key: Pseudonyms | None = None) -> Job:
    stats = [stat for path in files_of(study.path) if (stat := stat_of(path)) is not None]
    target, mark = volume_path(out / VOLUMES, study.id, store_settings.codec), fingerprint(study, stats)
    if key is not None:
        mark = key.of("fingerprint", mark)
    size = sum(count for _, count, _ in stats)
    return Job(study.id, study.path, study.hint, store_settings, target, mark, size, key is not None)


def stat_of(path: Path) -> FileStat | None:
    """Asked once for each file; None where there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return path.name, found.st_size, found.st_mtime_ns


def fingerprint(study: RawStudy, stats: list[FileStat]) -> str:
    """Path, sizes, times and hint: cheap to take, and different when the source was exchanged."""
    return hashlib.sha256(
        repr((str(study.path), stats, study.hint)).encode(errors="surrogateescape")
    ).hexdigest()[:16]


def files_of(path: Path) -> list[Path]:
    """Every file of the scan at `path`, and those that may lie beside it; a scan inside a zip is as new as the zip."""
    path = zip_above(path) or path
    if path.is_dir():
        return sorted(path.iterdir())
    return [path, *(path.with_suffix(ending) for ending in (".raw", ".zraw"))]


def is_stored(job: Job, record: Record | None) -> bool:
    """Whether an earlier call took this scan, from this very source, and its file is still whole in size."""
    if record is None or record["status"] != "taken" or record["fingerprint"] != job.fingerprint:
        return False
    return job.target.is_file() and job.target.stat().st_size == record["bytes"]


def store_scan(job: Job) -> Record:
    """Read, resample, round, write: the journal's line for one scan, taken or refused."""
    try:
        made = read_resampled(job.path, job.store_settings.spacing_mm, job.hint, job.store_settings.antialias)
    except SimcropError as error:
        return refused(job, error.reason, error.sentence)
    except (MemoryError, OSError) as error:
        why = (
            "not enough memory" if isinstance(error, MemoryError) else error.strerror or type(error).__name__
        )
        return refused(job, "unreadable", f"{job.path}: cannot be read: {why}")
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        # A file that no reader foresaw must not end a job of days. Its words may hold what a header said: left out.
        return refused(job, "unreadable", f"{job.path}: the reader failed with {type(error).__name__}")
    try:
        return taken(job, made)
    except StoreError:
        raise
    except MemoryError:
        return refused(job, "unreadable", f"{job.path}: not enough memory to store it")


def store_shared_scan(job: Job) -> Record:
    """The same on another machine, which must see the same folders: else each scan would be refused as missing."""
    for place in (job.target.parent, files_of(job.path)[0].parent):
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
        "source_shape": list(made.source_shape),
        "source_affine": made.source_affine.ravel().tolist(),
        "shape": list(volume.shape),
        "affine": volume.affine.ravel().tolist(),
        "hu_decision": asdict(volume.decision) if volume.decision else None,
    }


def refused(job: Job, reason: str, sentence: str) -> Record:
    line = meaning(reason) if job.nameless else " ".join(sentence.split())
    return {
        "id": job.id,
        "status": "refused",
        "reason": reason,
        "sentence": line,
        "fingerprint": job.fingerprint,
    }


def died(job: Job) -> Record:
    """A scan that kills its process twice, such as one that needs more memory than there is."""
    return refused(
        job, "worker-died", f"{job.path}: the process that read it was killed, perhaps for its memory"
    )

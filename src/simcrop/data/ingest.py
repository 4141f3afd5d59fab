"""Raw scans and reports -> a cohort store: one volume file and one journal line per scan, then the tables.

Axes: x, y, z of the resampled grid (RAS+), spacing in mm, int16 HU. An ingest that was killed continues where it
stopped, and neither that nor the number of workers changes the result.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simcrop.data.durable import StoreError, remove_temporary, writing
from simcrop.data.hounsfield import Hint
from simcrop.data.journal import JOURNAL, Journal, Record, lock, open_journal, parse, same_settings
from simcrop.data.layouts import list_studies
from simcrop.data.layouts.raw import RawStudy
from simcrop.data.pool import each
from simcrop.data.preprocess import InputSpec, Placement, cut_out, paper
from simcrop.data.readers.resampled import Resampled, read_resampled
from simcrop.data.readers.slices import zip_above
from simcrop.data.volume_file import checksum, rounded, write_volume
from simcrop.errors import SimcropError

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
COHORT, VOLUMES = "cohort.json", "volumes"
TABLES = (COHORT, "studies.parquet", "ledger.parquet", JOURNAL)
BESIDE = {"run.json", "metrics.json"}  # a command may leave these in the folder before and after
Spacing = tuple[float, float, float]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class IngestResult:
    """Counts of inputs. `resumed` of the taken ones were stored by an earlier, interrupted call."""

    cohort: Path
    taken: int
    refused: int
    resumed: int

    @property
    def sentence(self) -> str:
        end = "; nothing could be taken, see ledger.parquet" if self.refused and not self.taken else ""
        return f"{self.taken} scans taken, {self.refused} inputs refused{end}"


@dataclass(frozen=True)
class Job:
    """All that a worker needs to store one scan. `fingerprint` tells whether the source has changed since."""

    id: str
    path: Path
    hint: Hint | None
    spacing_mm: Spacing
    antialias: bool
    target: Path
    fingerprint: str


def prepare(
    path: str | Path, spec: InputSpec = paper, hint: Hint | None = None
) -> tuple["Tensor", Placement]:
    """A file as the network sees it: what `preprocess(read_volume(path))` gives, without holding the whole raw scan."""
    made = read_resampled(path, spec.spacing_mm, hint, spec.antialias)
    return cut_out(made.volume, made.source_shape, made.source_affine, spec)


def ingest(
    source: str | Path,
    layout: str,
    out: str | Path,
    spacing_mm: Spacing = paper.spacing_mm,
    workers: int = 1,
    progress: Progress | None = None,
    overwrite: bool = False,
    antialias: bool = False,
) -> IngestResult:
    """Take what can be taken into the cohort `out`, and write down why the rest was not.

    `progress(done, total, id)` is called after each scan. Scans refused by an earlier call are tried again.
    """
    if workers < 1 or min(spacing_mm) <= 0:
        raise SimcropError(
            "bad-setting", f"need workers >= 1 and spacing > 0, got {workers} and {spacing_mm}"
        )
    out = Path(out).absolute()
    settings = settings_of(Path(source).absolute(), layout, spacing_mm, antialias)
    check_target(out, settings, overwrite)
    listing = list_studies(layout, source)
    if overwrite:
        clear(out)
    with closing(open_journal(out, settings)) as journal:
        with writing(out):
            (out / VOLUMES).mkdir(exist_ok=True)
        for folder in (out, out / VOLUMES):
            remove_temporary(folder)
        jobs = [job_of(study, spacing_mm, antialias, out) for study in listing.studies]
        to_do = [job for job in jobs if not is_stored(job, journal.records.get(job.id))]
        store_all(to_do, workers, journal, len(jobs), progress)

        from simcrop.data.ledger import write_tables

        taken, refused = write_tables(out, settings, listing, journal.records)
    return IngestResult(out, taken, refused, len(jobs) - len(to_do))


def settings_of(source: Path, layout: str, spacing_mm: Spacing, antialias: bool) -> Record:
    """What makes two ingests the same; the first line of the journal and the body of `cohort.json`."""
    return {
        "format": FORMAT,
        "kind": "simcrop-cohort",
        "layout": layout,
        "source": str(source),
        "spacing_mm": [float(mm) for mm in spacing_mm],
        "antialias": antialias,
        "window_hu": list(paper.window_hu),
    }


def check_target(out: Path, settings: Record, overwrite: bool) -> None:
    """`out` is absent, empty, or a cohort of ours: with the same settings, unless it is to be overwritten."""
    if out.exists() and not out.is_dir():
        raise SimcropError("not-a-folder", f"{out}: is a file, expected a folder for the cohort")
    names = {path.name for path in out.iterdir()} - BESIDE if out.is_dir() else set()
    before = first_line(out)
    if before is not None and not overwrite:
        same_settings(out, before, settings)
    if before is None and names - {VOLUMES} and names != {JOURNAL}:
        raise SimcropError(
            "not-empty", f"{out}: holds other files and no cohort, expected an empty or new folder"
        )


def first_line(out: Path) -> Record | None:
    """The settings with which a cohort of ours was begun."""
    try:
        with (out / JOURNAL).open("rb") as file:
            line = parse(file.readline())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SimcropError(
            "unreadable", f"{out / JOURNAL}: cannot be read: {error.strerror or error}"
        ) from error
    return line if line and line.get("kind") == "simcrop-cohort" else None


def clear(out: Path) -> None:
    """Remove a cohort's own files and nothing else; the journal goes last, so that a killed clearing can go on."""
    if first_line(out) is None:
        return
    with writing(out), (out / JOURNAL).open("rb") as journal:
        lock(journal, out / JOURNAL)
        for path in [*(out / VOLUMES).glob("*.b2nd"), *(out / name for name in TABLES)]:
            path.unlink(missing_ok=True)


def job_of(study: RawStudy, spacing_mm: Spacing, antialias: bool, out: Path) -> Job:
    target = out / VOLUMES / f"{study.id}.b2nd"
    return Job(study.id, study.path, study.hint, spacing_mm, antialias, target, fingerprint(study))


def fingerprint(study: RawStudy) -> str:
    """Path, sizes, times and hint: cheap to take, and different when the source was exchanged."""
    # A scan inside a zip is as new as the zip.
    path = zip_above(study.path) or study.path
    beside = [path.with_suffix(ending) for ending in (".raw", ".zraw")]
    files = sorted(path.iterdir()) if path.is_dir() else [path, *(p for p in beside if p.exists())]
    stats = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files if p.exists()]
    return hashlib.sha256(
        repr((str(study.path), stats, study.hint)).encode(errors="surrogateescape")
    ).hexdigest()[:16]


def is_stored(job: Job, record: Record | None) -> bool:
    """Whether an earlier call took this scan, from this very source, and its file is still whole in size."""
    if record is None or record["status"] != "taken" or record["fingerprint"] != job.fingerprint:
        return False
    return job.target.is_file() and job.target.stat().st_size == record["bytes"]


def store_all(jobs: list[Job], workers: int, journal: Journal, total: int, progress: Progress | None) -> None:
    """Every job into the journal, in the order in which they finish."""
    if jobs:
        with writing(journal.path.parent):
            (journal.path.parent / COHORT).unlink(missing_ok=True)
    records: Iterator[Record] = (
        map(store_scan, jobs) if workers == 1 else each(store_scan, jobs, workers, died)
    )
    for done, record in enumerate(records, total - len(jobs) + 1):
        journal.append(record)
        if progress is not None:
            progress(done, total, record["id"])


def store_scan(job: Job) -> Record:
    """Read, resample, round, write: the journal's line for one scan, taken or refused."""
    try:
        made = read_resampled(job.path, job.spacing_mm, job.hint, job.antialias)
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


def taken(job: Job, made: Resampled) -> Record:
    volume = made.volume
    voxels = rounded(volume.hu)
    return {
        "id": job.id,
        "status": "taken",
        "reason": "",
        "sentence": "; ".join(((volume.decision.sentence if volume.decision else ""), *volume.notes)),
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
    line = " ".join(sentence.split())
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

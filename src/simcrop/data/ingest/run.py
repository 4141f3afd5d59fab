"""Raw scans and reports -> a cohort store: one volume file and one journal line per scan, then the tables.

Axes: x, y, z of the resampled grid (RAS+), spacing in mm, int16 HU. An ingest that was killed continues where it
stopped, and neither that nor the number of workers changes the result.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from simcrop.data.hounsfield import Hint
from simcrop.data.ingest.estimate import Announce, Pool, announcing
from simcrop.data.ingest.job import (
    Job,
    died,
    is_stored,
    is_taken,
    job_of,
    make_folders,
    mask_is_refused,
    store_scan,
    store_shared_scan,
)
from simcrop.data.ingest.journal import Journal, Record, open_journal
from simcrop.data.ingest.leavings import remove_unlisted
from simcrop.data.ingest.pseudonyms import Pseudonyms, lost_key, new_key, read_key, save_key
from simcrop.data.ingest.shards import Shard
from simcrop.data.ingest.source import RawSource
from simcrop.data.ingest.streamed import read_resampled
from simcrop.data.ingest.target import Spacing, StoreSettings, check_target, clear, first_line, settings_of
from simcrop.data.layouts import Listing, ListingOptions
from simcrop.data.preprocess import InputSpec, Placement, cut_out, paper, preprocess
from simcrop.data.readers import read_volume
from simcrop.data.store.format import COHORT
from simcrop.data.store.volume_file import Codec
from simcrop.errors import SimcropError
from simcrop.files.whole import remove_temporary, writing
from simcrop.parallel.processes import each

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[int, int, Record], None]


@dataclass(frozen=True)
class IngestResult:
    """Counts of inputs. `resumed` of the taken ones were stored by an earlier, interrupted call; `pruned`: scans that
    were stored, are not listed and were removed; `left` is what lies
    in the source and no reader takes, by kinds; `unread` names columns of the user's table that may be labels;
    `shelved`: all of many scans lie in one folder, which was not taken for one patient's; `sides`: patients on several
    sides of the split that the user's table states; `odd_splits`: its names, if any is none that we know.
    """

    cohort: Path
    taken: int
    refused: int
    resumed: int
    pruned: int = 0
    left: str = ""
    unread: tuple[str, ...] = ()
    shelved: bool = False
    sides: int = 0
    odd_splits: str = ""

    @property
    def sentence(self) -> str:
        end = "; nothing could be taken, see ledger.parquet" if self.refused and not self.taken else ""
        return f"{self.taken} scans taken, {self.refused} inputs refused{end}"


def prepare(
    path: str | Path, spec: InputSpec = paper, hint: Hint | None = None
) -> tuple["Tensor", Placement]:
    """A file as the network sees it: what `preprocess(read_volume(path))` gives, without holding the whole raw scan
    unless it is to be resized whole.
    """
    if spec.fit == "resize":
        return preprocess(read_volume(path, hint), spec)
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
    *,
    antialias: bool = False,
    codec: Codec = "lz4",
    shard: Shard | None = None,
    pseudonymise: bool = False,
    options: ListingOptions = ListingOptions(),
    ray: str | None = None,
    announce: Announce | None = None,
    prune: bool = False,
) -> IngestResult:
    """Take what can be taken into the cohort `out`, and write down why the rest was not.

    `progress(done, total, record)` is called after each scan with its line of the journal. Scans refused by an
    earlier call are tried again. A `shard` takes its share of them into a folder of its own below `out`, for `merge`.
    `ray` is the address of a cluster that does the work instead of `workers` processes here. `announce` is told what
    the rest will cost as soon as a few scans are done, if many are to do. `prune` removes at the end what the folder
    still stores of scans that the cohort does not list, and what runs have kept beside it; not where nothing could be
    taken.
    """
    if workers < 1:
        raise SimcropError("bad-setting", f"need workers >= 1, got {workers}")
    if prune and shard is not None:
        raise SimcropError(
            "bad-setting", "--prune: merge the shards first, then ingest the whole cohort again with --prune"
        )
    raw_source, store_settings = (
        RawSource(Path(source).absolute(), layout, options),
        StoreSettings(spacing_mm, antialias, codec),
    )
    out = Path(out).absolute()
    home = shard.folder(out) if shard else out
    key = key_of(out, home, overwrite) if pseudonymise else None
    settings = settings_of(raw_source, store_settings, key)
    check_target(out, settings, overwrite and shard is None, shards=shard is not None)
    check_target(home, with_shard(settings, shard), overwrite)
    listing = raw_source.listing(None)
    if overwrite:
        clear(home)
    if key is not None:
        key = save_key(out, key)
        settings, listing = settings_of(raw_source, store_settings, key), key.listing(listing)
    jobs = [
        job_of(s, store_settings, home, key, listing.classes)
        for s in listing.studies
        if shard is None or shard.holds(s.id)
    ]
    with closing(open_journal(home, with_shard(settings, shard))) as journal:
        folders = make_folders(home, jobs)
        remove_leavings(folders)
        to_do = [job for job in jobs if not is_stored(job, journal.records.get(job.id))]
        pool = pool_of(workers, ray)
        if announce is not None:
            pool = announcing(pool, announce, home, workers)
        store_all(to_do, pool, journal, len(jobs), progress)
        remove_leavings(folders)  # a worker or machine may have died while it wrote
        taken, refused = finish(home, settings, listing, journal, jobs, shard)
        pruned = prune_unlisted(home, journal, jobs) if prune and taken else 0
    result = IngestResult(home, taken, refused, len(jobs) - len(to_do), pruned)
    return with_listing(result, listing, listing.left if shard is None else "")


def with_listing(result: IngestResult, listing: Listing, left: str) -> IngestResult:
    """The result with what a user should know of the listing; `left` is the same for all shards and said once."""
    return replace(
        result,
        left=left,
        unread=listing.unread,
        shelved=listing.shelved,
        sides=listing.sides,
        odd_splits=listing.odd_splits,
    )


def remove_leavings(folders: list[Path]) -> None:
    """Clear the cohort's folders of what was left half-written."""
    for folder in folders:
        remove_temporary(folder)


def key_of(out: Path, home: Path, overwrite: bool) -> Pseudonyms:
    """The cohort's own key, or a new one for a new cohort."""
    begun = first_line(home)
    key = read_key(out)
    if key is None and begun is not None and "pseudonyms" in begun and not overwrite:
        raise lost_key(out)
    return key or new_key()


def with_shard(settings: Record, shard: Shard | None) -> Record:
    return settings if shard is None else settings | {"shard": str(shard)}


def finish(
    home: Path, settings: Record, listing: Listing, journal: Journal, jobs: list[Job], shard: Shard | None
) -> tuple[int, int]:
    """How many were taken and refused; the tables, unless those of all shards are to be written together."""
    if shard is not None:
        records = [journal.records[job.id] for job in jobs]
        taken = sum(map(is_taken, records))
        return taken, len(jobs) - taken + sum(map(mask_is_refused, records))

    from simcrop.data.ingest.tables import write_tables

    return write_tables(home, settings, listing, journal.records)


def prune_unlisted(home: Path, journal: Journal, jobs: list[Job]) -> int:
    """How many stored scans are gone, once the tables that do not list them are written."""
    known = {job.id for job in jobs}
    return remove_unlisted(home, journal, {id for id in known if is_taken(journal.records[id])}, known)


def pool_of(workers: int, ray: str | None) -> Pool:
    """Who does the jobs: this process, some beside it, or a cluster."""
    if ray is not None:
        from simcrop.parallel.cluster import each_on_ray

        return lambda jobs: each_on_ray(store_shared_scan, jobs, ray, died)
    if workers == 1:
        return lambda jobs: map(store_scan, jobs)
    return lambda jobs: each(store_scan, jobs, workers, died)


def store_all(jobs: list[Job], pool: Pool, journal: Journal, total: int, progress: Progress | None) -> None:
    """Every job into the journal, in the order in which they finish."""
    if not jobs:
        return
    with writing(journal.path.parent):
        (journal.path.parent / COHORT).unlink(missing_ok=True)
    for done, record in enumerate(pool(jobs), total - len(jobs) + 1):
        journal.append(record)
        if progress is not None:
            progress(done, total, record)
    journal.sync()  # before the tables say that all is there

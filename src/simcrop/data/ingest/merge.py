"""The shards of an ingest -> one cohort, with the volumes and tables that a single process would have written.

No axes or units. Volumes are moved and not copied. A merge that was killed is run again.
"""

import json
import shutil
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

from simcrop.data.ingest.job import Job, job_of, make_folders, stored_files
from simcrop.data.ingest.journal import Journal, Record, open_journal, same_settings
from simcrop.data.ingest.pseudonyms import Pseudonyms, lost_key, read_key
from simcrop.data.ingest.run import IngestResult, with_listing
from simcrop.data.ingest.shards import SHARDS, Shard, find_shards
from simcrop.data.ingest.source import RawSource, source_of
from simcrop.data.ingest.target import check_target, first_line, store_settings_of
from simcrop.data.store.format import COHORT
from simcrop.errors import SimcropError
from simcrop.files.whole import remove_temporary, writing

MERGED = ".merged-shards"  # what a merge has done with and not yet removed


def merge(out: str | Path, raw_source: RawSource | None = None) -> IngestResult:
    """Join what `--shard` has written below `out`. The raw scans are listed again, so they must still be there.

    `raw_source` says where, which a cohort of pseudonyms does not know.
    """
    out = Path(out).absolute()
    shutil.rmtree(out / MERGED, ignore_errors=True)
    if (out / COHORT).is_file() and not (out / SHARDS).exists():
        counts = json.loads((out / COHORT).read_bytes())[
            "counts"
        ]  # it was merged, and killed while clearing up
        return IngestResult(out, counts["taken"], counts["refused"], 0)
    shards = find_shards(out)
    settings = common_settings(out, shards)
    key = read_key(out) if "pseudonyms" in settings else None
    raw_source = checked_source(out, settings, raw_source, key)
    check_target(out, settings, overwrite=False, shards=True)
    with ExitStack() as stack:
        journals = {s: stack.enter_context(closing(open_shard(out, s, settings))) for s in shards}
        listing = raw_source.listing(key)
        store_settings = store_settings_of(settings)
        jobs = [job_of(s, store_settings, out, key, listing.classes) for s in listing.studies]
        records = gather(out, jobs, journals)
        journal = stack.enter_context(closing(open_journal(out, settings)))
        with writing(out):
            (out / COHORT).unlink(missing_ok=True)
        make_folders(out, jobs)
        remove_temporary(out)
        move_volumes(out, jobs, records, shards)
        journal.extend([records[job.id] for job in jobs])

        from simcrop.data.ingest.tables import write_tables

        taken, refused = write_tables(out, settings, listing, journal.records)
    with writing(out):
        (out / SHARDS).rename(out / MERGED)
        shutil.rmtree(out / MERGED)
    return with_listing(IngestResult(out, taken, refused, 0), listing, listing.left)


def common_settings(out: Path, shards: list[Shard]) -> Record:
    """What all shards were made with."""
    common: Record | None = None
    for shard in shards:
        folder = shard.folder(out)
        line = first_line(folder)
        if line is None:
            raise unfinished(out, shard, "was never begun")
        settings = {name: value for name, value in line.items() if name != "shard"}
        if common is not None:
            same_settings(folder, settings, common)
        common = settings
    assert common is not None
    return common


def checked_source(
    out: Path, settings: Record, raw_source: RawSource | None, key: Pseudonyms | None
) -> RawSource:
    """Where the raw scans are; if it is said, it must be where the shards found them."""
    if "pseudonyms" not in settings:
        raw_source = raw_source or source_of(settings)
    elif key is None or key.fingerprint != settings["pseudonyms"]:
        raise lost_key(out)
    elif raw_source is None:
        raise SimcropError(
            "no-source",
            f"{out}: its shards keep no path; say where the raw scans are, as for the shards: "
            f"simcrop ingest SOURCE --layout {settings['layout']} --merge --out {out}",
        )
    same_settings(out, settings, settings | raw_source.settings(key))
    return raw_source


def open_shard(out: Path, shard: Shard, settings: Record) -> Journal:
    """A shard's journal; while it is open nobody else can write there."""
    return open_journal(shard.folder(out), settings | {"shard": str(shard)})


def gather(out: Path, jobs: list[Job], journals: dict[Shard, Journal]) -> dict[str, Record]:
    """The journal's line for every scan, if each shard has done all of its own."""
    records: dict[str, Record] = {}
    lacking: Counter[Shard] = Counter()
    for job in jobs:
        shard = next(shard for shard in journals if shard.holds(job.id))
        record = journals[shard].records.get(job.id)
        if record is not None and is_done(job, record, shard.folder(out)):
            records[job.id] = record
        else:
            lacking[shard] += 1
    if lacking:
        shard, count = min(lacking.items())
        raise unfinished(out, shard, f"lacks {count} of its scans, or they have changed since")
    return records


def is_done(job: Job, record: Record, folder: Path) -> bool:
    """Refused, or stored whole: in the shard, or in the cohort already by an earlier merge."""
    if record["fingerprint"] != job.fingerprint:
        return False
    return record["status"] == "refused" or all(
        any(at.is_file() and at.stat().st_size == size for at in (in_shard(path, job, folder), path))
        for path, size in stored_files(job, record)
    )


def in_shard(path: Path, job: Job, folder: Path) -> Path:
    """Where a shard has what belongs to `path` of the cohort."""
    return folder / path.relative_to(job.cohort)


def unfinished(out: Path, shard: Shard, what: str) -> SimcropError:
    return SimcropError(
        "unfinished-shard",
        f"{shard.folder(out)}: shard {shard} {what}; run it again to the end before --merge",
    )


def move_volumes(out: Path, jobs: list[Job], records: dict[str, Record], shards: list[Shard]) -> None:
    """Each stored volume and its masks to where a single process would have written them."""
    for job in jobs:
        shard, record = next(shard for shard in shards if shard.holds(job.id)), records[job.id]
        for target, _ in stored_files(job, record) if record["status"] == "taken" else ():
            path = in_shard(target, job, shard.folder(out))
            if path.is_file():
                with writing(target):
                    path.replace(target)

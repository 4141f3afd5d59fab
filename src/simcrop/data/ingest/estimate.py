"""What an ingest will cost, before most of it is done: a few of its scans are stored first, and the rest goes by them.

Bytes on disk, seconds of wall time. The scans stored for the estimate stay stored.
"""

import shutil
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from simcrop.data.ingest.job import Job, died, store_scan
from simcrop.data.ingest.journal import Record
from simcrop.data.readers.slices import zip_above
from simcrop.parallel.processes import each

TRIED = 4  # scans; the first of them also pays for the start of a process and does not count
WORTH_IT = 32  # with fewer scans to do the answer is there as soon as the estimate


@dataclass(frozen=True)
class Estimate:
    """`raw_bytes` are still to be read and `stored_bytes` to be written, in `seconds` by `workers` processes."""

    scans: int
    raw_bytes: float
    stored_bytes: float
    seconds: float
    workers: int
    free_bytes: float

    @property
    def sentence(self) -> str:
        return (
            f"{self.scans} scans left to do, {size(self.raw_bytes)} to read. Judging by {TRIED} done on one core: "
            f"{duration(self.seconds)} with {self.workers} at work, {size(self.stored_bytes)} to write, "
            f"{size(self.free_bytes)} free"
        )

    @property
    def fits(self) -> bool:
        return self.stored_bytes < self.free_bytes


Announce = Callable[[Estimate], None]
Pool = Callable[[list[Job]], Iterator[Record]]


def announcing(pool: Pool, announce: Announce, out: Path, workers: int) -> Pool:
    """The same pool, which has a few scans of many done first and tells what the rest will cost."""

    def records(jobs: list[Job]) -> Iterator[Record]:
        if len(jobs) >= WORTH_IT:
            trial = Trial(jobs)
            yield from trial.records()
            announce(trial.estimate(out, workers))
            jobs = trial.rest
        yield from pool(jobs)

    return records


class Trial:
    """Stores a few scans and keeps the time; `estimate` then tells of the rest."""

    def __init__(self, jobs: list[Job]) -> None:
        """`jobs`: all still to do. Those `tried` come from all over the list, for its ends may differ."""
        step = len(jobs) / TRIED
        places = {int((i + 0.5) * step) for i in range(TRIED)}
        self.tried = [job for i, job in enumerate(jobs) if i in places]
        self.rest = [job for i, job in enumerate(jobs) if i not in places]
        self.seconds: list[float] = []
        self.stored: list[int] = []

    def records(self) -> Iterator[Record]:
        """One process, one scan after the other: each one's line for the journal."""
        last = time.perf_counter()
        for record in each(store_scan, self.tried, 1, died):
            now = time.perf_counter()
            self.seconds.append(now - last)
            self.stored.append(record.get("bytes", 0) + sum((record.get("mask") or {}).get("bytes", ())))
            yield record
            last = time.perf_counter()

    def estimate(self, out: Path, workers: int) -> Estimate:
        """By the median scan, scaled to the bytes of the raw files, as if `workers` never waited for each other."""
        raw = raw_bytes([*self.tried, *self.rest])
        tried = [max(1.0, raw[job.id]) for job in self.tried]
        rest = sum(raw[job.id] for job in self.rest)
        pace = statistics.median([s / b for s, b in zip(self.seconds, tried, strict=True)][1:])
        shrink = sum(self.stored) / sum(tried)
        free = float(shutil.disk_usage(out).free)
        return Estimate(len(self.rest), rest, rest * shrink, rest * pace / workers, workers, free)


def raw_bytes(jobs: list[Job]) -> dict[str, float]:
    """Of each scan by its id. An archive of many scans is shared out evenly among them."""
    homes = {job.id: zip_above(job.path) for job in jobs}
    sharing = Counter(homes.values())
    return {job.id: job.raw_bytes / (sharing[homes[job.id]] if homes[job.id] else 1) for job in jobs}


def size(count: float) -> str:
    """`740 MB`, `21.3 TB`."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def duration(seconds: float) -> str:
    """`about 3.5 hours`, `about 12 minutes`."""
    if seconds >= 3600:
        return f"about {seconds / 3600:.2g} hours"
    return f"about {round(seconds / 60)} minutes" if seconds >= 90 else "about a minute"

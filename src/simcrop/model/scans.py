"""Scans as somebody hands them over, paths or volumes, read ahead: one that is bad does not lose the rest.

Axes: x y z voxels of the input (RAS+), in [-1, 1].
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from simcrop.data.preprocess import InputSpec, preprocess
from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError
from simcrop.parallel.processes import alone, processes

Scan = Volume | str | Path


@dataclass(frozen=True)
class Refused:
    """A scan that gave no vector. `name`: its path as it was given, or `scan N` of a volume; `place`: where it stood
    among the scans, from 0; `reason`: a short code that can be counted; `sentence`: what was wrong with it.
    """

    name: str
    place: int
    reason: str
    sentence: str


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan that was read. `input`: as the network sees it."""

    name: str
    place: int
    input: Float32[np.ndarray, "1 x y z"]


@dataclass(frozen=True, eq=False)
class Job:
    """One scan to be read, and what the network expects to see."""

    name: str
    place: int
    scan: object
    spec: InputSpec


def volume_of(scan: object) -> Volume:
    """The scan itself, or read from its path. Raises SimcropError for what cannot be read or is neither."""
    if isinstance(scan, Volume):
        refuse_no_numbers(scan.hu)
        return scan
    if isinstance(scan, str | Path):
        return read_volume(scan)
    raise SimcropError(
        "not-a-scan",
        f"expected a path or a simcrop.Volume, found {type(scan).__name__}; "
        "voxels in HU with their affine become one by simcrop.Volume(hu, affine)",
    )


def refuse_no_numbers(hu: object) -> None:
    """Of a file its reader sees to it."""
    kind = getattr(hu, "dtype", None)
    if not isinstance(hu, np.ndarray) or hu.dtype.kind not in "biuf":
        found = type(hu).__name__ if kind is None else f"{type(hu).__name__} of {kind}"
        raise SimcropError("not-numbers", f"expected a NumPy array of plain numbers in HU, found {found}")
    if hu.size == 0:
        raise SimcropError("no-voxels", f"the volume has no voxels, its shape is {hu.shape}")
    if (bad := hu.size - int(np.isfinite(hu).sum())) > 0:
        raise SimcropError(
            "not-finite",
            f"{bad} of {hu.size} voxels are no numbers: what was not measured is written as air, -1000 HU",
        )


def prepared(job: Job) -> Prepared | Refused:
    """One scan as the network sees it, or why it cannot be."""
    try:
        tensor, _ = preprocess(volume_of(job.scan), job.spec)
    except SimcropError as error:
        return Refused(job.name, job.place, error.reason, error.sentence)
    return Prepared(job.name, job.place, tensor.numpy())


def died(job: Job) -> Refused:
    """What is said of a scan that ends every process that reads it."""
    sentence = f"{job.name}: the process that read it was killed, perhaps for its memory"
    return Refused(job.name, job.place, "worker-died", sentence)


def listed(scans: object) -> Iterable[Scan]:
    """The same, unless it is one scan, whose letters or voxels would be taken for many."""
    if isinstance(scans, str | Path | Volume) or not isinstance(scans, Iterable):
        raise SimcropError(
            "bad-setting",
            f"embed_many wants a list of paths or volumes, found one {type(scans).__name__}; for a single scan there "
            "is embed",
        )
    return scans


class Readers:
    """One thread of this process, or for paths so many processes as `workers`, begun when the first path comes."""

    def __init__(self, workers: int, until: ExitStack) -> None:
        self.workers, self.until = workers, until
        self.thread = ThreadPoolExecutor(1)
        until.callback(self.thread.shutdown, cancel_futures=True)
        self.processes: Executor | None = None

    def begin(self, job: Job) -> Future[Prepared | Refused]:
        """To be read as soon as one is free. Volumes are here already, and processes would have to be sent them."""
        if self.workers == 1 or isinstance(job.scan, Volume):
            return self.thread.submit(prepared, job)
        try:
            if self.processes is not None:
                return self.processes.submit(prepared, job)
        except BrokenProcessPool:
            pass  # a scan ended one of them, and with it all
        self.processes = self.until.enter_context(processes(self.workers))
        return self.processes.submit(prepared, job)


def ahead(
    scans: Iterable[Scan], spec: InputSpec, count: int, workers: int
) -> Generator[Prepared | Refused, None, None]:
    """Every scan in its order; up to `count` more are read before they are asked for, and only their inputs kept. One
    whose process dies is read once more, alone.
    """
    waiting: deque[tuple[Job, Future[Prepared | Refused]]] = deque()

    def first() -> Prepared | Refused:
        job, future = waiting.popleft()
        try:
            return future.result()
        except BrokenProcessPool:
            return alone(prepared, job, died)

    with ExitStack() as until:
        readers = Readers(workers, until)
        for place, scan in enumerate(scans):
            name = str(scan) if isinstance(scan, str | Path) else f"scan {place}"
            job = Job(name, place, scan, spec)
            waiting.append((job, readers.begin(job)))
            if len(waiting) > count:
                yield first()
        while waiting:
            yield first()


def in_batches(
    found: Iterable[Prepared | Refused], batch: int
) -> Iterator[tuple[list[Prepared], list[Refused]]]:
    """So many that were read at a time, the last time fewer or none, and those that were refused meanwhile."""
    read: list[Prepared] = []
    refused: list[Refused] = []
    for scan in found:
        read.append(scan) if isinstance(scan, Prepared) else refused.append(scan)
        if len(read) == batch:
            yield read, refused
            read, refused = [], []
    yield read, refused

"""`simcrop ingest`: raw scans and reports into a cohort store."""

from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any

from simcrop.data.ingest import IngestResult
from simcrop.data.ingest import ingest as ingest_scans
from simcrop.data.ingest.estimate import Estimate
from simcrop.data.ingest.job import mask_is_refused
from simcrop.data.ingest.journal import Record
from simcrop.data.ingest.merge import merge
from simcrop.data.ingest.pseudonyms import KEY
from simcrop.data.ingest.shards import SHARDS, parse_shard
from simcrop.data.ingest.source import RawSource
from simcrop.data.layouts import FOLDER
from simcrop.data.layouts.marks import refuse_known
from simcrop.data.layouts.raw import ListingOptions
from simcrop.data.store.schema import NAMELESS
from simcrop.data.store.volume_file import Codec
from simcrop.engine.progress import Pace, show_progress
from simcrop.errors import SimcropError
from simcrop.parallel.cluster import check_cluster
from simcrop.stderr import write_line
from simcrop.tasks.folder import check_folder, read_run, start_folder, unspoiled, write_metrics
from simcrop.tasks.rescale import parse_rescale


@dataclass(frozen=True)
class IngestOptions:
    """What a user may ask of an ingest beside source and target, as the command line says it. `layout`: a folder of
    scans where none is named, unless the source is known for another.
    """

    layout: str | None = None
    spacing: str = "1.5,1.5,3"
    antialias: bool = False
    codec: str = "lz4"
    pseudonymise: bool = False
    reports: Path | None = None
    key: str | None = None
    split: str | None = None
    rescale: str | None = None

    @property
    def listing_options(self) -> ListingOptions:
        told = parse_rescale(self.rescale)
        rescale = (told.slope, told.intercept) if told else None
        return ListingOptions(
            self.reports.absolute() if self.reports else None, self.key, self.split, rescale
        )

    def settings(self, source: Path) -> dict[str, Any]:
        """For `run.json`, without a path where pseudonyms are asked for."""
        settings = asdict(self) | {"layout": self.layout or FOLDER, "source": str(source.resolve())}
        settings["spacing_mm"] = parse_spacing(settings.pop("spacing"))
        if self.rescale is None:  # as it was before there was such an option
            del settings["rescale"]
        if self.pseudonymise:
            settings |= {"source": NAMELESS, "reports": NAMELESS if self.reports else None}
        return settings


def ingest(
    source: Path,
    layout: str,
    out: Path,
    workers: int = 1,
    spacing: str = "1.5,1.5,3",
    resume: bool = False,
    overwrite: bool = False,
) -> IngestResult:
    """Read, resample and store every scan of `source`; interrupted, the same call continues."""
    del resume  # State is kept per scan, so that continuing is always safe: no --resume needed.
    return ingest_as(source, out, IngestOptions(layout, spacing), workers, overwrite)


def ingest_as(
    source: Path,
    out: Path,
    options: IngestOptions,
    workers: int = 1,
    overwrite: bool = False,
    shard: str | None = None,
    ray: str | None = None,
    prune: bool = False,
) -> IngestResult:
    """The same with every option; of a `shard` only its share, kept below `out` until `merge_shards`."""
    settings, codec = options.settings(source), parse_codec(options.codec)
    if not source.exists():
        raise SimcropError("missing-file", f"{source}: no such file or folder")
    if options.layout is None:
        refuse_known(source)
    if ray is not None:
        check_cluster(ray)
    part = parse_shard(shard) if shard else None
    home = part.folder(out) if part else out
    settings |= {"shard": shard} if part else {}
    continues = holds_more_than_a_key(home) and check_folder(
        home, "ingest", settings, resume=not overwrite, overwrite=overwrite
    )
    with unspoiled(home):
        if not continues:
            start_folder(home, "ingest", settings)
        # It clears an old cohort only once the new source is known to hold scans.
        result = ingest_scans(
            source,
            settings["layout"],
            out,
            settings["spacing_mm"],
            workers,
            Shown(),
            overwrite,
            antialias=options.antialias,
            codec=codec,
            shard=part,
            pseudonymise=options.pseudonymise,
            options=options.listing_options,
            ray=ray,
            announce=announce,
            prune=prune,
        )
    write_metrics(home, {"taken": result.taken, "refused": result.refused})
    return result


def holds_more_than_a_key(home: Path) -> bool:
    """A key that was copied into a new folder gives its cohort the names of another one."""
    return not home.is_dir() or {path.name for path in home.iterdir()} != {KEY}


def merge_shards(out: Path, source: Path | None, options: IngestOptions) -> IngestResult:
    """One cohort of what the shards below `out` have stored. Without `source` all is as the shards were told."""
    raw_source = (
        RawSource(source.absolute(), options.layout or FOLDER, options.listing_options) if source else None
    )
    earlier = next((run for p in sorted((out / SHARDS).glob("*")) if (run := read_run(p))), None)
    with unspoiled(out):
        if earlier is not None:
            settings = {name: value for name, value in earlier["settings"].items() if name != "shard"}
            start_folder(out, "ingest", settings)
        result = merge(out, raw_source)
    write_metrics(out, {"taken": result.taken, "refused": result.refused})
    return result


def announce(estimate: Estimate) -> None:
    """What the rest will cost, on a line of its own, and a warning where there is no room for it."""
    write_line(f"ingest: {estimate.sentence}")
    if not estimate.fits:
        write_line("ingest: warning: that is less than it needs; it can go on once there is room")


class Shown:
    """The progress of an ingest. A name made from a file's path may hold a patient's: it stays out of the log."""

    def __init__(self) -> None:
        self.show, self.pace, self.refused = show_progress("ingest"), Pace("scans"), 0

    def __call__(self, done: int, total: int, record: Record) -> None:
        self.refused += record["status"] == "refused" or mask_is_refused(record)
        self.show(done, total, f"{self.pace(done, total)}, {self.refused} refused so far")


def parse_codec(text: str) -> Codec:
    """`lz4` or `raw`."""
    if text == "lz4" or text == "raw":
        return text
    raise SimcropError("bad-setting", f"--codec {text}: expected lz4 or raw")


def parse_spacing(text: str) -> tuple[float, float, float]:
    """`1.5,1.5,3` -> mm along x, y, z."""
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError as error:
        raise SimcropError(
            "bad-setting", f"--spacing {text}: expected three numbers in mm such as 1.5,1.5,3"
        ) from error
    if not all(0 < mm < inf for mm in (x, y, z)):
        raise SimcropError("bad-setting", f"--spacing {text}: millimetres must be positive")
    return x, y, z

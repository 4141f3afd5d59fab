"""`simcrop ingest`: raw scans and reports into a cohort store."""

from math import inf
from pathlib import Path

from simcrop.data.ingest import IngestResult
from simcrop.data.ingest import ingest as ingest_scans
from simcrop.data.journal import Record
from simcrop.data.volume_file import Codec
from simcrop.engine.progress import Pace, show_progress
from simcrop.errors import SimcropError
from simcrop.tasks.folder import check_folder, start_folder, unspoiled, write_metrics


def ingest(
    source: Path,
    layout: str,
    out: Path,
    workers: int = 1,
    spacing: str = "1.5,1.5,3",
    resume: bool = False,
    overwrite: bool = False,
    antialias: bool = False,
    codec: str = "lz4",
) -> IngestResult:
    """Read, resample and store every scan of `source`; interrupted, the same call continues."""
    spacing_mm, stored = parse_spacing(spacing), parse_codec(codec)
    if not source.exists():
        raise SimcropError("missing-file", f"{source}: no such file or folder")
    settings = {
        "source": str(source.resolve()),
        "layout": layout,
        "spacing_mm": spacing_mm,
        "antialias": antialias,
        "codec": codec,
    }
    # State is kept per scan, so that continuing is always safe: no --resume needed.
    del resume
    continues = check_folder(out, "ingest", settings, resume=not overwrite, overwrite=overwrite)
    with unspoiled(out):
        if not continues:
            start_folder(out, "ingest", settings)
        # It clears an old cohort only once the new source is known to hold scans.
        result = ingest_scans(source, layout, out, spacing_mm, workers, Shown(), overwrite, antialias, stored)
    write_metrics(out, {"taken": result.taken, "refused": result.refused})
    return result


class Shown:
    """The progress of an ingest. A name made from a file's path may hold a patient's: it stays out of the log."""

    def __init__(self) -> None:
        self.show, self.pace, self.refused = show_progress("ingest"), Pace("scans"), 0

    def __call__(self, done: int, total: int, record: Record) -> None:
        self.refused += record["status"] == "refused"
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

"""The folder of a cohort in the making: what lies in it, whose it is, and how it is cleared.

No axes; spacing in mm, window in HU. A file that is not ours is never touched.
"""

from dataclasses import dataclass
from pathlib import Path

from simcrop.data.ingest.journal import Record, alone_in, is_record, same_settings
from simcrop.data.ingest.leavings import FOLDERS, remove_kept, stored
from simcrop.data.ingest.pseudonyms import KEY, Pseudonyms
from simcrop.data.ingest.shards import SHARDS
from simcrop.data.ingest.source import RawSource
from simcrop.data.preprocess import paper
from simcrop.data.store.format import (
    COHORT,
    FEATURES,
    FINDINGS,
    FORMAT,
    JOURNAL,
    KEPT,
    LEDGER,
    LOCK,
    STUDIES,
)
from simcrop.data.store.volume_file import ENDINGS, Codec
from simcrop.errors import SimcropError
from simcrop.files.lines import whole_lines
from simcrop.files.whole import writing

TABLES = (COHORT, STUDIES, FINDINGS, LEDGER, JOURNAL)
BESIDE = {"run.json", "metrics.json", KEY, LOCK}  # what else may lie in the folder before and after
Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class StoreSettings:
    """What is the same for every scan of a cohort. `spacing_mm`: of the stored grid along x, y, z."""

    spacing_mm: Spacing = paper.spacing_mm
    antialias: bool = False
    codec: Codec = "lz4"

    def __post_init__(self) -> None:
        if min(self.spacing_mm) <= 0:
            raise SimcropError("bad-setting", f"need spacing > 0 mm, got {self.spacing_mm}")
        if self.codec not in ENDINGS:
            raise SimcropError("bad-setting", f"no codec {self.codec!r}, known are {', '.join(ENDINGS)}")


def settings_of(
    raw_source: RawSource, store_settings: StoreSettings, key: Pseudonyms | None = None
) -> Record:
    """What makes two ingests the same; the first line of the journal and the body of `cohort.json`."""
    settings = {
        "format": FORMAT,
        "kind": "simcrop-cohort",
        **raw_source.settings(key),
        "spacing_mm": [float(mm) for mm in store_settings.spacing_mm],
        "antialias": store_settings.antialias,
        "codec": store_settings.codec,
        "window_hu": list(paper.window_hu),
    }
    return settings if key is None else settings | {"pseudonyms": key.fingerprint}


def store_settings_of(settings: Record) -> StoreSettings:
    """The part of the settings that is about single scans."""
    x, y, z = settings["spacing_mm"]
    return StoreSettings((x, y, z), settings["antialias"], settings["codec"])


def check_target(out: Path, settings: Record, overwrite: bool, shards: bool = False) -> None:
    """`out` is absent, empty, or a cohort of ours: with the same settings, unless it is to be overwritten.

    With `shards` it may be one whose shards are not merged yet.
    """
    if out.exists() and not out.is_dir():
        raise SimcropError("not-a-folder", f"{out}: is a file, expected a folder for the cohort")
    names = {path.name for path in out.iterdir()} - BESIDE if out.is_dir() else set()
    before = first_line(out)
    if before is not None and not overwrite:
        same_settings(out, before, settings)
    if before is None and SHARDS in names and not shards:
        raise SimcropError("unmerged", f"{out}: holds shards of an ingest, join them with --merge")
    if before is None and names - {*FOLDERS, SHARDS, KEPT, FEATURES} and names != {JOURNAL}:
        raise SimcropError(
            "not-empty", f"{out}: holds other files and no cohort, expected an empty or new folder"
        )


def first_line(out: Path) -> Record | None:
    """The settings with which a cohort of ours was begun."""
    try:
        with (out / JOURNAL).open("rb") as file:
            lines, _ = whole_lines(file, is_record, at_most=1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SimcropError(
            "unreadable", f"{out / JOURNAL}: cannot be read: {error.strerror or error}"
        ) from error
    return lines[0] if lines and lines[0].get("kind") == "simcrop-cohort" else None


def clear(out: Path) -> None:
    """Remove a cohort's own files and nothing else; the journal goes last, so that a killed clearing can go on."""
    if first_line(out) is None:
        return
    with alone_in(out), writing(out):
        remove_kept(out)
        for path in [*stored(out), *(out / name for name in TABLES)]:
            path.unlink(missing_ok=True)

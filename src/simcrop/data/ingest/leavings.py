"""What lies in a cohort's folder beside its tables: stored scans, and what runs and probes have kept of them.

No axes or units. Whoever withdraws a consent is gone from the tables with the next ingest; here their voxels, masks,
sentences, features and lines of the journal go, too. A file that is not ours is never touched.
"""

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from simcrop.data.ingest.journal import Journal
from simcrop.data.store.format import FEATURES, KEPT, MASKS, SOURCE_MASKS, VOLUMES
from simcrop.data.store.volume_file import ENDINGS
from simcrop.files.whole import TEMPORARY, writing

FOLDERS = (VOLUMES, MASKS, SOURCE_MASKS)
LEFT = f".*{TEMPORARY}"  # of processes that were killed
# What runs and probes keep, by the names that they give it; heads lie in folders of their own.
KEPT_FILES = {
    KEPT: ("bank-*.safetensors", "index-*.safetensors", "split-*.parquet", "*-*-*.vectors", LEFT),
    FEATURES: ("*.vectors", "*.tokens", "*.fits", LEFT),
}


def stored(out: Path) -> Iterator[Path]:
    """Every stored scan and mask, whether the cohort lists it or not."""
    return (path for end in ENDINGS.values() for name in FOLDERS for path in (out / name).glob(f"*{end}"))


def remove_kept(out: Path) -> None:
    """What runs and probes have kept for the next ones: it holds texts of reports, and features of scans by digest.
    They make it anew.
    """
    with writing(out):
        for path in [
            path for name, kinds in KEPT_FILES.items() for of in kinds for path in (out / name).glob(of)
        ]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def remove_unlisted(out: Path, journal: Journal, listed: Collection[str], known: Collection[str]) -> int:
    """Remove what is stored or kept of scans that the cohort does not list, and of those that the source does not hold,
    `known`, the lines of the journal; how many scans it was. Stopped anywhere, it is done by the next call.
    """
    gone = [path for path in stored(out) if path.stem not in listed]
    with writing(out):
        for path in gone:
            path.unlink(missing_ok=True)
    remove_kept(out)
    journal.keep(known)
    return sum(path.parent.name == VOLUMES for path in gone)

"""Maps to take away: the files that `simcrop ground` writes, NIfTI, pictures and boxes, or DICOM, in one zip.

Maps lie on the scan's own grid, boxes are in RAS+ mm. Names of files hold no words of a sentence.
"""

import re
import secrets
import shutil
import time
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from simcrop.data.guess import shown
from simcrop.data.readers.series_headers import is_series
from simcrop.errors import SimcropError
from simcrop.tasks.grounding.ground import lead, write_results
from simcrop.tasks.grounding.ground_options import GroundOptions, write_dicom
from simcrop.viewer.bodies import Exported
from simcrop.viewer.catalogue import Entry
from simcrop.viewer.refusals import not_found
from simcrop.viewer.shown import unnamed
from simcrop.viewer.sight import Sight
from simcrop.viewer.view import View
from simcrop.viewer.work import Job

PACKED = (".gz", ".png")
ROOM_LEFT = 1 << 30  # bytes on the disk


def export(
    view: View, sight: Sight, entry: Entry, sentences: list[str], asked: Exported, job: Job
) -> dict[str, str]:
    """The zip's address."""
    if shutil.disk_usage(view.folder).free < ROOM_LEFT:
        raise SimcropError("disk-full", "there is no room for an export on the disk of this machine")
    job.tell(0.1, "looking at the scan")
    with TemporaryDirectory(dir=view.folder, prefix="export-") as home, unnamed(entry):
        out = Path(home)
        write(out, sight, entry, sentences, asked, job)
        job.tell(0.9, "packing")
        made = secrets.token_hex(12)
        pack(out, place_of(view, made))
    forget_old(view)
    return {"file": f"/api/files/{made}.zip"}


def write(out: Path, sight: Sight, entry: Entry, sentences: list[str], asked: Exported, job: Job) -> None:
    options = GroundOptions(asked.top_k, asked.fine)
    started = time.perf_counter()
    maps = sight.look_for(entry, sentences, asked.top_k, asked.fine)
    volume = sight.scans.volume(entry)
    seconds = time.perf_counter() - started
    job.tell(0.4, f"writing {len(sentences)} map{'s' * (len(sentences) > 1)}")
    if asked.format == "dicom":
        if entry.path is None or not is_series(entry.path):
            raise SimcropError("not-dicom", "results in DICOM are made of scans that were read from DICOM")
        notes = write_dicom(out, entry.path, volume, sentences, maps, options, sight.digest, asked.thresholds)
        if notes:
            raise SimcropError("not-dicom", notes[0])
        return
    introduction = lead(volume, sight.model.recipe.method)
    write_results(out, volume, sentences, maps, introduction, seconds, tuple(map(shown, volume.notes)))


def pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "x") as archive:
        for path in sorted(folder.iterdir()):
            kind = zipfile.ZIP_STORED if path.suffix in PACKED else zipfile.ZIP_DEFLATED
            archive.write(path, path.name, kind, 1)


def place_of(view: View, id: str) -> Path:
    return view.folder / f"made-{id}.zip"


def exported(view: View, id: str) -> Path:
    path = place_of(view, id)
    if re.fullmatch(r"[0-9a-f]{24}", id) is None or not path.is_file():
        raise not_found("file")
    return path


def forget_old(view: View) -> None:
    made = sorted(view.folder.glob("made-*.zip"), key=lambda path: path.stat().st_mtime_ns)
    for old in made[: -view.limits.exports]:
        old.unlink(missing_ok=True)

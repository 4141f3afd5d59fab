"""`simcrop segment-predict`: a mask for each scan of a folder, or for one, on the scan's own grid.

No axes; volumes in ml. Of each scan `masks/ID.json` is written last: a job that was killed goes on with those that have
none, and a scan that was refused is tried once more.
"""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import OutOfMemoryError

from simcrop.data.guess import shown
from simcrop.data.hounsfield import Hint
from simcrop.data.readers import naming, read_volume
from simcrop.data.readers.series_headers import is_series, series_headers
from simcrop.data.volume import Volume
from simcrop.data.writers.dicom_seg import as_dicom_seg, check_highdicom
from simcrop.data.writers.nifti import write_labels
from simcrop.errors import SimcropError
from simcrop.figures.label_cuts import draw_label_cuts
from simcrop.files.digest import digest_of_files
from simcrop.files.whole import StoreError, read_json, remove_temporary, write_json, write_whole
from simcrop.model.folder import WEIGHTS, model_folder
from simcrop.model.segmenter import Segmentation, Segmenter, load_segmenter
from simcrop.tasks.folder import check_folder, open_folder, write_metrics
from simcrop.tasks.many_scans import Row, Tell, each_scan, folder_of_results, nothing_done
from simcrop.tasks.replaced import replacing
from simcrop.tasks.rescale import parse_rescale, tell_if_unused
from simcrop.tasks.scans import Scan, Unread, read_one, scans_at
from simcrop.tasks.segmentation.predict_page import PAGE, VOLUMES, write_page, write_volumes

VERB, MASKS = "segment-predict", "masks"
MASK, SEG, PICTURE = ".nii.gz", ".seg.dcm", ".png"


@dataclass(frozen=True)
class Marked:
    """How many scans have a mask, which were refused and why, and the page. `notes`: of a single scan what its reader
    guessed, and of each for which no DICOM SEG could be made, why.
    """

    scans: int
    refused: tuple[Unread, ...]
    page: Path
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Work:
    """By whom scans are marked, and where masks go."""

    segmenter: Segmenter
    digest: str
    hint: Hint | None
    out: Path

    def place(self, scan: Scan, ending: str) -> Path:
        return self.out / MASKS / f"{scan.id}{ending}"


def segment_predict(
    model: str,
    source: Path,
    out: Path,
    resume: bool = False,
    overwrite: bool = False,
    rescale: str | None = None,
) -> Marked:
    """Per scan `masks/ID.nii.gz`, for DICOM also `masks/ID.seg.dcm`, `ID.png` and `ID.json`; for all `volumes.csv`,
    `metrics.json` and a page.
    """
    hint, digest = parse_rescale(rescale), digest_of_files(model_folder(Path(model)) / WEIGHTS)
    scans, refused = scans_at(source, out)
    settings = {"model": digest, "source": str(source.resolve())} | ({"rescale": rescale} if rescale else {})
    check_folder(out, VERB, settings, resume, overwrite)
    work = Work(load_segmenter(model), digest, hint, out)
    with replacing(out, f"{MASKS}/*.json", overwrite) as replaced:
        first = read_alone(scans[0], hint) if len(scans) == 1 else None
        open_folder(out, VERB, settings, resume, overwrite, clear=replaced.set_aside)
        with folder_of_results(out / MASKS):
            remove_temporary(out / MASKS)
            do = replaced.until_done(partial(mark, work, first))
            rows, bad = each_scan(VERB, scans, partial(earlier, work), do, "windows")
            return finish(work, scans, rows, [*refused, *bad])


def read_alone(scan: Scan, hint: Hint | None) -> Volume:
    """A scan that was named itself and cannot be read ends the command before anything is written."""
    volume = read_volume(scan.path, hint)
    tell_if_unused(volume, hint)
    return volume


def earlier(work: Work, scan: Scan) -> Row | None:
    """What a job that was interrupted knew of a scan whose files are all there."""
    try:
        row = read_json(work.place(scan, ".json"))
    except (OSError, ValueError):
        return None
    return row if all((work.out / MASKS / name).is_file() for name in row["files"]) else None


def mark(work: Work, read: Volume | None, scan: Scan, tell: Tell) -> Row:
    """One scan from its voxels, which may have been `read`, to its files, all of them or none; the line about it."""
    volume = read or read_one(scan.path, work.hint)
    started = time.perf_counter()
    try:
        made = work.segmenter.predict(volume, tell)
        files, notes = write_files(work, scan, volume, made)
        row = {
            "classes": {str(i): name for i, name in enumerate(made.names, start=1)},
            "volumes_ml": made.volumes_ml,
            "notes": notes,
            "files": files,
            "seconds": round(time.perf_counter() - started, 3),
        }
        write_json(work.place(scan, ".json"), row)
    except BaseException as error:
        for ending in (MASK, SEG, PICTURE):
            work.place(scan, ending).unlink(missing_ok=True)
        if isinstance(error, (MemoryError, OutOfMemoryError)):
            raise SimcropError("too-large", f"{scan.path}: not enough memory to mark it") from error
        raise
    return row


def write_files(work: Work, scan: Scan, volume: Volume, made: Segmentation) -> tuple[list[str], list[str]]:
    """Their names, and what is to be noted."""
    write_labels(work.place(scan, MASK), made.labels, made.affine)
    write_whole(work.place(scan, PICTURE), draw_label_cuts(volume, made.labels))
    files, notes = [scan.id + MASK, scan.id + PICTURE], [shown(note) for note in volume.notes]
    if is_series(scan.path):
        try:
            write_seg(work, scan, made)
            files.append(scan.id + SEG)
        except StoreError:
            raise
        except SimcropError as error:
            notes.append(f"no DICOM SEG: {error.sentence}")
    return files, notes


def write_seg(work: Work, scan: Scan, made: Segmentation) -> None:
    """Beside the NIfTI; raises SimcropError where the series has not what a SEG refers to."""
    check_highdicom()
    with naming(scan.path):
        content = as_dicom_seg(made.labels, made.names, series_headers(scan.path), work.digest)
    write_whole(work.place(scan, SEG), content)


def finish(work: Work, scans: list[Scan], rows: dict[str, Row], refused: list[Unread]) -> Marked:
    """The tables and the page; raises SimcropError where no scan at all could be marked."""
    if not rows:
        raise nothing_done(refused, "could be marked")
    order = [scan.id for scan in scans if scan.id in rows]
    names, ordered = work.segmenter.names, {name: rows[name] for name in order}
    write_volumes(work.out / VOLUMES, names, ordered)
    write_page(work.out, names, ordered, refused)
    write_metrics(
        work.out,
        {
            "scans": len(order),
            "refused": [vars(one) for one in refused],
            "classes": list(names),
            "volumes_ml": {name: row["volumes_ml"] for name, row in ordered.items()},
            "notes": {name: row["notes"] for name, row in ordered.items() if row["notes"]},
            "seconds_per_scan": sum(row["seconds"] for row in ordered.values()) / len(order),
        },
    )
    notes = [f"{name}: {note}" for name, row in ordered.items() for note in row["notes"]]
    return Marked(len(order), tuple(refused), work.out / PAGE, tuple(notes))

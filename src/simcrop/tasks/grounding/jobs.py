"""`simcrop ground` over many scans: thousands of pairs of a scan and a sentence, killed anywhere and continued.

Axes: s sentence, e features shared with texts. Of each scan the folder `scans/ID` is renamed to its name when it is
whole; a job that was interrupted goes on with those that have none, and a scan that was refused is tried once more.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import OutOfMemoryError, Tensor

from simcrop.data.hounsfield import Hint
from simcrop.data.readers import naming
from simcrop.data.volume import Volume
from simcrop.data.writers.dicom_text import digest_of
from simcrop.errors import SimcropError
from simcrop.figures.page import Page
from simcrop.files.digest import digest_of_files
from simcrop.files.tables import write_csv
from simcrop.files.whole import flush, read_json, write_json, writing
from simcrop.model import Model, load
from simcrop.model.folder import WEIGHTS, model_folder
from simcrop.tasks.folder import check_folder, open_folder, write_metrics
from simcrop.tasks.grounding.ground import lead, write_results
from simcrop.tasks.grounding.ground_options import GroundOptions, seek, write_dicom
from simcrop.tasks.grounding.listed import Pairs, pairs_of
from simcrop.tasks.many_scans import Row, each_scan, folder_of_results, nothing_done, show_refused
from simcrop.tasks.replaced import replacing
from simcrop.tasks.rescale import parse_rescale
from simcrop.tasks.scan_notes import notes_of
from simcrop.tasks.scans import Scan, Unread, read_one

VERB, SCANS, DONE, RESULTS, PAGE = "ground", "scans", "scan.json", "results.csv", "report.html"
COLUMNS = ("scan", "number", "sentence", "similarity_max", "similarity_mean", "x_mm", "y_mm", "z_mm")
UNFINISHED, COULD = ".unfinished", "could be looked at"
TEXTS_AT_ONCE = 64
LEAD = (
    "A trained network compared each sentence with every patch of its scan. Of each scan, maps, pictures and boxes lie "
    "in a folder of its own. Not for diagnosis."
)


@dataclass(frozen=True)
class GroundedMany:
    """How many scans and sentences have a map, which were refused and why, the page, and what is to be noted."""

    scans: int
    sentences: int
    refused: tuple[Unread, ...]
    page: Path
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Work:
    """By what scans are looked at, and where results go. `texts`: the row of each sentence's feature."""

    model: Model
    digest: str
    asked: GroundOptions
    hint: Hint | None
    out: Path
    texts: "Texts"

    def place(self, scan: Scan) -> Path:
        return self.out / SCANS / scan.id


class Texts:
    """Features of all sentences, each computed once and only when it is needed: in batches that depend on the list
    alone, since the last digit of a feature depends on its neighbours, and a continued job should end as a whole one.
    """

    def __init__(self, model: Model, pairs: Pairs) -> None:
        self.model = model
        self.sentences = sorted({sentence for _, own in pairs.scans for sentence in own})
        self.at = {sentence: i for i, sentence in enumerate(self.sentences)}
        self.batches: dict[int, Tensor] = {}

    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """`(s, e)` in the order of `sentences`."""
        rows = [divmod(self.at[sentence], TEXTS_AT_ONCE) for sentence in sentences]
        for batch in {batch for batch, _ in rows} - self.batches.keys():
            some = self.sentences[batch * TEXTS_AT_ONCE : (batch + 1) * TEXTS_AT_ONCE]
            self.batches[batch] = self.model.encode(some)
        return torch.stack([self.batches[batch][row] for batch, row in rows])


def ground_many(
    model: str,
    source: Path,
    sentences: Sequence[str],
    report: Path | None,
    jobs: Path | None,
    out: Path,
    asked: GroundOptions = GroundOptions(),
    resume: bool = False,
    overwrite: bool = False,
    rescale: str | None = None,
) -> GroundedMany:
    """Per scan `scans/ID/` with what `ground` writes; for all `results.csv`, `metrics.json` and a page."""
    hint, digest = parse_rescale(rescale), digest_of_files(model_folder(Path(model)) / WEIGHTS)
    pairs = pairs_of(source, sentences, report, jobs, out)
    network = load(model)
    asked.check(network)
    settings = {"model": digest, "source": str(source.resolve()), **asked.settings(network)}
    settings |= {"rescale": rescale} if rescale else {}
    check_folder(out, VERB, settings, resume, overwrite)
    if not pairs.scans:
        raise nothing_done(pairs.refused, COULD)
    work = Work(network, digest, asked, hint, out, Texts(network, pairs))
    with replacing(out, f"{SCANS}/*/{DONE}", overwrite) as replaced:
        open_folder(out, VERB, settings, resume, overwrite, clear=replaced.set_aside)
        with folder_of_results(out / SCANS):
            remove_unfinished(out / SCANS)
            own = {scan.id: of for scan, of in pairs.scans}
            rows, bad = each_scan(
                VERB,
                [scan for scan, _ in pairs.scans],
                lambda scan: earlier(work, scan, own[scan.id]),
                replaced.until_done(lambda scan, _: ground_one(work, scan, own[scan.id])),
            )
            return finish(work, pairs, rows, [*pairs.refused, *bad])


def remove_unfinished(folder: Path) -> None:
    """What a killed job left half done."""
    with writing(folder):
        for half in folder.glob(f".*{UNFINISHED}"):
            shutil.rmtree(half)


def earlier(work: Work, scan: Scan, sentences: Sequence[str]) -> Row | None:
    """What an interrupted job knew of a scan, if it was asked the same of it."""
    try:
        row = read_json(work.place(scan) / DONE)
    except (OSError, ValueError):
        return None
    return row if row.get("asked") == digest_of(sentences) else None


def ground_one(work: Work, scan: Scan, sentences: Sequence[str]) -> Row:
    """One scan from its voxels to its folder, which is there whole or not at all; the line about it."""
    volume, place = read_one(scan.path, work.hint), work.place(scan)
    stage = place.with_name(f".{place.name}{UNFINISHED}")
    try:
        with writing(stage):
            shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir()
        row = write_one(work, scan, volume, sentences, stage)
        with writing(place):
            shutil.rmtree(place, ignore_errors=True)
            stage.rename(place)
            flush(place.parent)
    except (MemoryError, OutOfMemoryError) as error:
        raise SimcropError("too-large", f"{scan.path}: not enough memory to look at it") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return row


def write_one(
    work: Work, scan: Scan, volume: Volume, sentences: Sequence[str], stage: Path
) -> dict[str, Any]:
    started = time.perf_counter()
    with naming(scan.path):
        maps = seek(work.model, volume, sentences, work.asked, work.texts(sentences))
    seconds = time.perf_counter() - started
    notes = notes_of(volume)
    notes += write_dicom(stage, scan.path, volume, sentences, maps, work.asked, work.digest)
    introduction = lead(volume, work.model.recipe.method)
    write_results(stage, volume, sentences, maps, introduction, seconds, notes)
    measured = read_json(stage / "metrics.json")
    row = {
        "asked": digest_of(sentences),
        "found": [measured[name] for name in measured if name.startswith("sentence_")],
        "notes": notes,
    }
    write_json(stage / DONE, row)
    return row


def finish(work: Work, pairs: Pairs, rows: dict[str, Row], refused: list[Unread]) -> GroundedMany:
    """The table and the page; raises SimcropError where no scan at all could be looked at."""
    if not rows:
        raise nothing_done(refused, COULD)
    done = [(scan, own) for scan, own in pairs.scans if scan.id in rows]
    lines = [
        (scan.id, number, sentence, of["similarity_max"], of["similarity_mean"], *of["nearest_mm"])
        for scan, own in done
        for number, (sentence, of) in enumerate(zip(own, rows[scan.id]["found"], strict=True), start=1)
    ]
    write_csv(work.out / RESULTS, COLUMNS, lines)
    notes = {scan.id: rows[scan.id]["notes"] for scan, _ in done if rows[scan.id]["notes"]}
    write_page(work.out / PAGE, len(done), lines, refused, notes)
    facts = {"scans": len(done), "sentences": len(lines), "refused": [vars(one) for one in refused]}
    write_metrics(work.out, facts | {"notes": notes})
    told = tuple(f"{name}: {note}" for name, of in notes.items() for note in of)
    return GroundedMany(len(done), len(lines), tuple(refused), work.out / PAGE, told)


def write_page(
    path: Path, scans: int, lines: Sequence[tuple[Any, ...]], refused: Sequence[Unread], notes: dict[str, Any]
) -> None:
    """No pictures: they are on the page in each scan's folder."""
    page = Page("Where sentences are seen", LEAD)
    page.figures({"scans": scans, "sentences": len(lines), "refused": len(refused)})
    show_refused(page, refused, "These have no map.")
    if notes:
        page.section("Noted", "What a reader guessed or left out, and where no DICOM could be made.")
        page.table([[name, note] for name, of in notes.items() for note in of], ["scan", "note"])
    page.section("Sentences", f"The nearest patch of each, in RAS+ mm. All are in {RESULTS}, too.")
    page.table([list(line) for line in lines], list(COLUMNS))
    page.write(path)

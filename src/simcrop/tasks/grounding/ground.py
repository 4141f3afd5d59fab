"""`simcrop ground`: where in a scan each sentence is seen, as heat map, picture and boxes; in DICOM for DICOM.

Maps lie on the scan's own grid; boxes are in RAS+ mm.
"""

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.data.readers import read_volume
from simcrop.data.report import read_report_file
from simcrop.data.volume import Volume
from simcrop.data.writers.nifti import write_nifti
from simcrop.errors import SimcropError
from simcrop.evaluation.wording.marks import MEANS, mark_of
from simcrop.figures.cuts import draw_cuts
from simcrop.figures.page import Page
from simcrop.files.digest import digest_of_files
from simcrop.files.whole import write_json
from simcrop.model import Heat, load
from simcrop.model.folder import model_folder
from simcrop.model.heat import Nearest, TopK
from simcrop.tasks.folder import check_folder, staged, write_metrics
from simcrop.tasks.grounding.ground_options import GroundOptions, seek, write_dicom
from simcrop.tasks.rescale import parse_rescale, tell_if_unused
from simcrop.tasks.scan_notes import notes_of

MOST_PICTURES = (
    200  # on a page; beyond these it would be too large to open, and they lie beside it all the same
)


@dataclass(frozen=True)
class Grounded:
    """The page, and what is to be noted: what the reader guessed, what contradicts itself, why there is no DICOM."""

    page: Path
    notes: tuple[str, ...]


def ground(
    model: str,
    ct: Path,
    sentences: list[str],
    report: Path | None,
    out: Path,
    top_k: TopK = None,
    overwrite: bool = False,
    rescale: str | None = None,
    fine: int = 1,
    whole: bool = False,
    threshold: float | None = None,
) -> Grounded:
    """Write, per sentence, `sentence_NN.nii.gz` on the scan's grid and `sentence_NN.png`; `boxes.json`; a page; of
    DICOM also `maps.pm.dcm`, `regions.seg.dcm` and `report.sr.dcm`.

    File names number the sentences and never hold their words. See `GroundOptions` for the options.
    """
    sentences, hint = wanted_sentences(sentences, report), parse_rescale(rescale)
    asked = GroundOptions(top_k, fine, whole, threshold)
    check_folder(out, "ground", {}, overwrite=overwrite, resumable=False)
    weights = model_folder(Path(model)) / "model.safetensors"
    volume = read_volume(ct, hint)
    tell_if_unused(volume, hint)
    network, digest = load(model), digest_of_files(weights)
    asked.check(network)
    started = time.perf_counter()
    maps = seek(network, volume, sentences, asked)
    seconds = time.perf_counter() - started
    settings = {
        "model": digest,
        "scan": hashlib.sha256(volume.hu.tobytes()).hexdigest(),
        "sentences": len(sentences),
        **asked.settings(network),
    } | ({"rescale": rescale} if rescale else {})
    notes = tuple(notes_of(volume))
    with staged(out, "ground", settings, overwrite) as stage:
        notes += tuple(write_dicom(stage, ct, volume, sentences, maps, asked, digest))
        write_results(stage, volume, sentences, maps, lead(volume, network.recipe.method), seconds, notes)
    return Grounded(out / "report.html", notes)


def write_results(
    out: Path,
    volume: Volume,
    sentences: Sequence[str],
    heats: Iterable[Heat],
    introduction: str,
    seconds: float,
    notes: Sequence[str],
) -> None:
    """Per sentence a map and a picture; then boxes, figures and the page. One map at a time is in memory."""
    page = Page("Where each sentence is seen", introduction)
    if notes:
        page.table([[note] for note in notes], ["noted of the scan"])
    results, found = dict[str, Any](), dict[str, Any]()
    for number, (sentence, heat) in enumerate(zip(sentences, heats, strict=True), start=1):
        name, mark = f"sentence_{number:02d}", mark_of(sentence)
        write_map(out / f"{name}.nii.gz", heat, volume)
        picture = draw_cuts(volume, heat.map, heat.boxes_mm, title=f"{sentence} [{mark}: {MEANS[mark]}]")
        (out / f"{name}.png").write_bytes(picture)
        if number <= MOST_PICTURES:
            page.picture(picture, f"{sentence} ({mark})", f"heat map of sentence {number}")
        results[name], found[name] = {"mark": mark, **measures(heat)}, boxes(heat)
    write_json(out / "boxes.json", found)
    write_metrics(out, {"sentences": len(sentences), "seconds": seconds, "notes": list(notes), **results})
    page.write(out / "report.html")


def wanted_sentences(sentences: list[str], report: Path | None) -> list[str]:
    """Those on the command line, then every Findings sentence of the report."""
    wanted = [" ".join(sentence.split()) for sentence in sentences]
    if any(not sentence for sentence in wanted):
        raise SimcropError("empty-sentence", "--sentence is empty; give a sentence to look for")
    if report is not None:
        found = read_report_file(report).sentences
        if not found:
            raise SimcropError("empty-report", f"{report}: no sentence in its findings")
        wanted += found
    if not wanted:
        raise SimcropError("empty-sentence", "nothing to look for: give --sentence or --report")
    return wanted


def write_map(path: Path, heat: Heat, volume: Volume) -> None:
    """float32 cosine similarity on the scan's own grid and affine, NaN outside the crop."""
    finite = heat.patches[np.isfinite(heat.patches)]
    write_nifti(path, heat.map, volume.affine, (float(finite.min()), float(finite.max())))


def measures(heat: Heat | Nearest) -> dict[str, Any]:
    """Largest and mean similarity, and the middle of the nearest patch in RAS+ mm."""
    return {
        "similarity_max": float(heat.scores[0]),
        "similarity_mean": float(heat.patches.mean()),
        "nearest_mm": heat.boxes_mm[0].mean(0).round(2).tolist(),
    }


def boxes(heat: Heat | Nearest, most: int | None = None) -> list[dict[str, Any]]:
    """Nearest first, `most` of them: similarity, low and high corner in RAS+ mm."""
    return [
        {"similarity": float(score), "low_mm": box[0].round(3).tolist(), "high_mm": box[1].round(3).tolist()}
        for box, score in zip(heat.boxes_mm[:most], heat.scores[:most], strict=True)
    ]


def lead(volume: Volume, method: str) -> str:
    spacing = " x ".join(f"{mm:.2f}" for mm in volume.spacing_mm)
    shape = " x ".join(map(str, volume.shape))
    return (
        f"A {method} model compared each sentence with every patch of a scan of {shape} voxels, {spacing} mm. "
        "Colour is cosine similarity; boxes are the patches nearest to the sentence. Not for diagnosis."
    )

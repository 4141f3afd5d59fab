"""`simcrop ground`: where in a scan each sentence is seen, as heat map, picture and boxes."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.data.guess import shown
from simcrop.data.readers import read_volume
from simcrop.data.report import read_report_file
from simcrop.data.volume import Volume
from simcrop.data.writers.nifti import write_nifti
from simcrop.errors import SimcropError
from simcrop.evaluation.marks import MEANS, mark_of
from simcrop.figures.cuts import draw_cuts
from simcrop.figures.page import Page
from simcrop.files.digest import digest_of_files
from simcrop.files.whole import write_json
from simcrop.model import Heat, load
from simcrop.model.folder import model_folder
from simcrop.tasks.folder import check_folder, staged, write_metrics
from simcrop.tasks.rescale import parse_rescale, tell_if_unused


@dataclass(frozen=True)
class Grounded:
    """The page, and what the reader notes of the scan: all that it guessed, and what contradicts itself."""

    page: Path
    notes: tuple[str, ...]


def ground(
    model: str,
    ct: Path,
    sentences: list[str],
    report: Path | None,
    out: Path,
    top_k: int | None = None,
    overwrite: bool = False,
    rescale: str | None = None,
) -> Grounded:
    """Write, per sentence, `sentence_NN.nii.gz` on the scan's grid and `sentence_NN.png`; `boxes.json`; a page.

    File names number the sentences and never hold their words.
    """
    sentences, hint = wanted_sentences(sentences, report), parse_rescale(rescale)
    check_folder(out, "ground", {}, overwrite=overwrite, resumable=False)
    weights = model_folder(Path(model)) / "model.safetensors"
    volume = read_volume(ct, hint)
    tell_if_unused(volume, hint)
    network = load(model)
    started = time.perf_counter()
    heats = network.ground(volume, sentences, top_k)
    seconds = time.perf_counter() - started
    settings = {
        "model": digest_of_files(weights),
        "scan": hashlib.sha256(volume.hu.tobytes()).hexdigest(),
        "sentences": len(sentences),
        "top_k": top_k or network.top_k,
    } | ({"rescale": rescale} if rescale else {})
    with staged(out, "ground", settings, overwrite) as stage:
        write_results(stage, volume, sentences, heats, lead(volume, network.recipe.method), seconds)
    return Grounded(out / "report.html", tuple(map(shown, volume.notes)))


def write_results(
    out: Path, volume: Volume, sentences: list[str], heats: list[Heat], introduction: str, seconds: float
) -> None:
    """Per sentence a map and a picture; then boxes, figures and the page."""
    page = Page("Where each sentence is seen", introduction)
    notes = [shown(note) for note in volume.notes]
    if notes:
        page.table([[note] for note in notes], ["noted of the scan"])
    results: dict[str, Any] = {}
    for number, (sentence, heat) in enumerate(zip(sentences, heats, strict=True), start=1):
        name, mark = f"sentence_{number:02d}", mark_of(sentence)
        write_map(out / f"{name}.nii.gz", heat, volume)
        picture = draw_cuts(volume, heat.map, heat.boxes_mm, title=f"{sentence} [{mark}: {MEANS[mark]}]")
        (out / f"{name}.png").write_bytes(picture)
        page.picture(picture, f"{sentence} ({mark})", f"heat map of sentence {number}")
        results[name] = {"mark": mark, **measures(heat)}
    write_json(out / "boxes.json", {name: boxes(heat) for name, heat in zip(results, heats, strict=True)})
    write_metrics(out, {"sentences": len(sentences), "seconds": seconds, "notes": notes, **results})
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


def measures(heat: Heat) -> dict[str, Any]:
    """Largest and mean similarity, and the middle of the nearest patch in RAS+ mm."""
    return {
        "similarity_max": float(heat.scores[0]),
        "similarity_mean": float(heat.patches.mean()),
        "nearest_mm": heat.boxes_mm[0].mean(0).round(2).tolist(),
    }


def boxes(heat: Heat) -> list[dict[str, Any]]:
    """Nearest first: similarity, low and high corner in RAS+ mm."""
    return [
        {"similarity": float(score), "low_mm": box[0].round(3).tolist(), "high_mm": box[1].round(3).tolist()}
        for box, score in zip(heat.boxes_mm, heat.scores, strict=True)
    ]


def lead(volume: Volume, method: str) -> str:
    spacing = " x ".join(f"{mm:.2f}" for mm in volume.spacing_mm)
    shape = " x ".join(map(str, volume.shape))
    return (
        f"A {method} model compared each sentence with every patch of a scan of {shape} voxels, {spacing} mm. "
        "Colour is cosine similarity; boxes are the patches nearest to the sentence. Not for diagnosis."
    )

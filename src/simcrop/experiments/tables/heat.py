"""Fig. 4: where sentences are seen in test scans, each beside a swapped sentence as control.

No axes; similarities are cosines, distances in mm. Which scans and sentences are shown is drawn by seed before the
model is loaded, so that nothing is chosen by how it looks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.affines import apply_affine

from simcrop.data.readers import read_volume
from simcrop.data.store.cohort import Cohort, Study, open_cohort
from simcrop.data.volume import Volume
from simcrop.evaluation.asking import Question, draw_questions, read_mask
from simcrop.evaluation.truth import Truth
from simcrop.experiments.tables.answers import NOT_FINISHED, NOT_YET
from simcrop.experiments.tables.budget import TableOrigin
from simcrop.experiments.tables.columns import Column
from simcrop.experiments.tables.jobs import judged_split
from simcrop.experiments.tables.notes import OWN_COHORTS, SYNTHETIC, TITLES
from simcrop.experiments.tables.paper import NOT_READABLE
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.rows import Row
from simcrop.experiments.tables.table_rows import csv_bytes
from simcrop.figures.cuts import draw_cuts
from simcrop.figures.page import Page
from simcrop.files.whole import read_json, write_json, write_whole, writing
from simcrop.model import Heat, Model, load
from simcrop.phantom.truth import read_truth
from simcrop.tasks.folder import METRICS

KINDS = 6
STREAM = 7  # of the random numbers that choose what is shown
READING = (
    "Each scan is one that nothing was learned from. Above it is asked a sentence of its own report, below a sentence "
    "about a finding that it lacks. Both pictures are cut through the middle of the true lesion, outlined in green; "
    "colour is cosine similarity with each patch, and boxes are the nearest patches where the cuts meet them. Scans, "
    "kinds of findings and sentences were drawn by seed {seed} before the model was loaded, not by result. So few "
    "show how a map looks, not how often it is right: that is the pointing game over all test scans "
    "(docs/results/extension.md)."
)
REAL = (
    "Scans held out, asked the sentences of their own reports. Where findings truly lie is not known, so nothing is "
    "outlined, and no sentence was swapped. They are the first such scans of the cohort, not chosen by result."
)
CSV = (
    "row",
    "kind",
    "similarity",
    "touches",
    "away_mm",
    "swapped_similarity",
    "swapped_touches",
    "swapped_away_mm",
)


@dataclass(frozen=True, eq=False)
class Seen:
    """One question asked of one scan: what was found, and for the swapped sentence. `touches`: whether the nearest
    patch touches the lesion; `away_mm`: from its middle to the nearest voxel of the lesion.
    """

    question: Question
    pictures: tuple[bytes, bytes]
    similarity: tuple[float, float]
    touches: tuple[bool, bool]
    away_mm: tuple[float, float]

    @property
    def captions(self) -> tuple[str, str]:
        own, swapped = (
            f"{'touches' if hit else 'misses'} the lesion ({mm:.0f} mm from it)"
            for hit, mm in zip(self.touches, self.away_mm, strict=True)
        )
        return (
            f"{self.question.kind}: the nearest patch {own}.",
            f"Control, a swapped sentence on the same scan: its nearest patch {swapped}.",
        )


def write_heat(
    rows: Sequence[Row],
    columns: Sequence[Column],
    seeds: Sequence[int],
    places: Places,
    missing: Mapping[str, str],
    failed: Mapping[Path, str],
    origin: TableOrigin,
) -> dict[str, Any]:
    """`OUT/fig4.html`, `.md`, `.csv`, `.json`, and the pictures in `OUT/fig4/`."""
    seed, dataset = seeds[0], columns[0].dataset
    lead = SYNTHETIC if origin.phantoms else OWN_COHORTS
    lead = f"{lead} Command: {origin.command}. Machine: {'; '.join(origin.machines)}. Seed {seed}."
    note = READING.format(seed=seed) if origin.phantoms else REAL
    page = Page(TITLES["fig4"], lead).section("How to read it", f"{note}\n\n{NOT_READABLE.format(4)}")
    lines = [f"# {TITLES['fig4']}", "", lead, "", note, "", NOT_READABLE.format(4), ""]
    found: list[dict[str, Any]] = []
    for row in rows:
        page.section(row.name)
        lines += [f"## {row.name}", ""]
        reason = missing.get(dataset) or reason_of(row, seed, places, failed, origin.phantoms)
        asked = asked_of(places, row, seed, dataset) if origin.phantoms and not reason else []
        if origin.phantoms and not reason and not asked:
            reason = "no scan held out has a finding that another one lacks"
        if reason:
            page.table([[reason]], ["no picture"])
            lines += [f"No picture: {reason}.", ""]
        elif origin.phantoms:
            for number, seen in enumerate(asked, 1):
                page.picture(seen.pictures[0], seen.captions[0]).picture(seen.pictures[1], seen.captions[1])
                lines += pictures_of(places, row, number, seen)
                found.append(fields_of(row, seen))
        else:
            for path in sorted(places.heat(row.key, seed).glob("*/sentence_*.png")):
                caption = f"Scan {path.parent.name}, {path.stem.replace('_', ' ')}"
                png = path.read_bytes()
                page.picture(png, caption)
                lines += as_file(places, f"{row.key}-{path.parent.name}-{path.stem}", png, caption)
                found.append(fields_of_own(row, path))
    results = {
        "table": "fig4",
        "phantoms": origin.phantoms,
        "command": origin.command,
        "machines": list(origin.machines),
        "seeds": [seed],
        "shown": found,
    }
    write_json(places.table("fig4", "json"), results)
    write_whole(places.table("fig4", "csv"), csv_bytes(CSV, [[of[name] for name in CSV] for of in found]))
    write_whole(places.table("fig4", "md"), "\n".join(lines).encode())
    page.write(places.table("fig4", "html"))
    return results


def reason_of(row: Row, seed: int, places: Places, failed: Mapping[Path, str], phantoms: bool) -> str:
    """Why there is nothing to show; empty where there is."""
    run, maps = places.run(row.key, seed), places.heat(row.key, seed)
    if why := failed.get(run) or failed.get(maps):
        return f"failed: {why}"
    if (run / "model").is_dir() if phantoms else (maps / METRICS).is_file():
        return ""
    return NOT_FINISHED if not phantoms and maps.is_dir() else NOT_YET


def asked_of(places: Places, row: Row, seed: int, dataset: str) -> list[Seen]:
    """Of a phantom cohort, whose truth is known."""
    cohort, truth = open_cohort(places.cohort(dataset, "all")), read_truth(places.raw(dataset, "all"))
    held = cohort.select(judged_split(cohort))
    chosen = choose(held, truth, seed)
    model, by_id = load(places.run(row.key, seed)), {study.id: study for study in held}
    return [look(model, by_id[question.study], question, truth) for question in chosen]


def choose(held: Cohort, truth: Truth, seed: int) -> list[Question]:
    """One question of each of some kinds, drawn by seed, of scans not shown yet while there are others."""
    rng = np.random.default_rng((seed, STREAM))
    by_kind: dict[str, list[Question]] = {}
    for question in draw_questions(held, truth, seed):
        if question.swapped is not None:
            by_kind.setdefault(question.kind, []).append(question)
    kinds = sorted(by_kind)
    chosen: list[Question] = []
    for at in sorted(rng.permutation(len(kinds))[:KINDS].tolist()):
        some = by_kind[kinds[at]]
        new = [of for of in some if of.study not in {one.study for one in chosen}] or some
        chosen.append(new[int(rng.integers(len(new)))])
    return chosen


def look(model: Model, study: Study, question: Question, truth: Truth) -> Seen:
    volume = read_volume(study.source_path)
    lesion = read_mask(truth.mask_path(study.id)) == question.mask_value
    texts = [question.text, question.swapped or ""]
    heats = model.ground(volume, texts)
    at_mm = middle_of(lesion, volume)
    pictures = [
        draw_cuts(volume, heat.map, heat.boxes_mm, title=text, at_mm=at_mm, lesion=lesion)
        for heat, text in zip(heats, texts, strict=True)
    ]
    own, swapped = heats
    return Seen(
        question,
        (pictures[0], pictures[1]),
        (float(own.scores[0]), float(swapped.scores[0])),
        (touches(own, lesion), touches(swapped, lesion)),
        (away_mm(own, lesion, volume), away_mm(swapped, lesion, volume)),
    )


def middle_of(lesion: np.ndarray, volume: Volume) -> np.ndarray:
    """The lesion's voxel nearest to its centre, in RAS+ mm: a hollow or bent one has no voxel in its centre."""
    points = apply_affine(volume.affine, np.argwhere(lesion))
    return points[((points - points.mean(0)) ** 2).sum(1).argmin()]


def touches(heat: Heat, lesion: np.ndarray) -> bool:
    """Whether the nearest patch holds a voxel of the lesion."""
    return bool((heat.map[lesion] >= np.nanmax(heat.map)).any())


def away_mm(heat: Heat, lesion: np.ndarray, volume: Volume) -> float:
    points = apply_affine(volume.affine, np.argwhere(lesion))
    return float(np.linalg.norm(points - heat.boxes_mm[0].mean(0), axis=1).min())


def pictures_of(places: Places, row: Row, number: int, seen: Seen) -> list[str]:
    """The pictures as files, and the Markdown that shows them."""
    lines = []
    for what, png, caption in zip(("sentence", "swapped"), seen.pictures, seen.captions, strict=True):
        lines += as_file(places, f"{row.key}-{number}-{what}", png, caption)
    return lines


def as_file(places: Places, name: str, png: bytes, caption: str) -> list[str]:
    """Written to `fig4/`, and the Markdown that shows it."""
    folder = places.out / "fig4"
    with writing(folder):
        folder.mkdir(exist_ok=True)
    write_whole(folder / f"{name}.png", png)
    return [f"![{caption}](fig4/{name}.png)", "", caption, ""]


def fields_of_own(row: Row, picture: Path) -> dict[str, Any]:
    """Of a user's scan, where nothing is known of the truth: which, and how near its nearest patch is."""
    known = read_json(picture.parent / METRICS)[picture.stem]
    return dict.fromkeys(CSV) | {
        "row": row.key,
        "scan": picture.parent.name,
        "sentence": picture.stem,
        "similarity": known["similarity_max"],
    }


def fields_of(row: Row, seen: Seen) -> dict[str, Any]:
    """As plain values, no words of a report."""
    prefixes = ("", "swapped_")
    values = {"similarity": seen.similarity, "touches": seen.touches, "away_mm": seen.away_mm}
    return {"row": row.key, "kind": seen.question.kind, "study": seen.question.study} | {
        f"{prefix}{name}": of[n] for n, prefix in enumerate(prefixes) for name, of in values.items()
    }

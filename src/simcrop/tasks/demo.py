"""`simcrop demo`: the main job end to end on a phantom cohort, from raw scans to heat maps and one HTML page."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from simcrop.config import flat, load_recipe
from simcrop.data.cohort import open_cohort
from simcrop.data.phantom.truth import read_truth
from simcrop.data.readers import read_volume
from simcrop.data.report import sentences
from simcrop.engine.journal import read_journal
from simcrop.figures.curves import draw_curves
from simcrop.figures.cuts import draw_cuts
from simcrop.figures.page import Page
from simcrop.model import Heat, Model, load
from simcrop.tasks.embed import embed
from simcrop.tasks.folder import open_folder, read_json, write_json, write_metrics
from simcrop.tasks.ingest import ingest
from simcrop.tasks.phantom import phantom
from simcrop.tasks.pretrain import pretrain

PATIENTS, RECIPE, SPACING, PICTURES = 240, "simcrop-tiny", "5.5,5.5,10", 4


@dataclass(frozen=True, eq=False)
class Grounded:
    """One true sentence of a held-out study, and where the model saw it."""

    volume: Path
    sentence: str
    finding: str
    heat: Heat
    hit: bool
    chance: float


def demo(
    out: Path,
    seed: int = 0,
    patients: int = PATIENTS,
    overrides: list[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Path:
    """Run every station, each in its own folder under `out`; the page that shows them."""
    recipe = load_recipe(RECIPE, [f"seed={seed}", *(overrides or [])])
    open_folder(out, "demo", {"patients": patients, **flat(recipe)}, resume, overwrite)
    clock = Clock(out / "seconds.json")
    raw, cohort, run = out / "raw", out / "cohort", out / "run"
    clock.time("phantom", lambda: phantom(raw, "ct-rate", patients, seed, "tiny"))
    clock.time("ingest", lambda: ingest(raw, "ct-rate", cohort, workers=2, spacing=SPACING))
    clock.time("pretrain", lambda: pretrain(cohort, recipe, run, resume=(run / "run.json").exists()))
    clock.time("embed", lambda: embed(str(run), cohort, out / "embed", resume=(out / "embed").exists()))
    started = time.perf_counter()
    grounded = ground_held_out(load(run), raw, cohort)
    clock.seconds["ground"] = time.perf_counter() - started
    metrics = {
        **{f"pretrain_{k}": v for k, v in read_json(run / "metrics.json").items()},
        "effective_rank": read_json(out / "embed" / "metrics.json")["effective_rank"],
        "pointing_sentences": len(grounded),
        "pointing_hit": mean_of([g.hit for g in grounded]),
        "pointing_chance": mean_of([g.chance for g in grounded]),
        "seconds": sum(clock.seconds.values()),
    }
    write_metrics(out, metrics)
    return write_page(out, clock.seconds, metrics, grounded)


class Clock:
    """Seconds per station, kept on disk so that a resumed demo still knows them; a finished station is not repeated."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds: dict[str, float] = read_json(path) if path.exists() else {}

    def time(self, station: str, work: Callable[[], Any]) -> None:
        if station in self.seconds:
            return
        started = time.perf_counter()
        fitted = work()
        if getattr(fitted, "finished", True) is False:
            raise KeyboardInterrupt
        self.seconds[station] = time.perf_counter() - started
        write_json(self.path, self.seconds)


def ground_held_out(model: Model, raw: Path, cohort: Path) -> list[Grounded]:
    """Every sentence of the held-out studies that names a lesion, against the lesion's own mask."""
    truth, found = read_truth(raw), []
    for study in open_cohort(cohort).select(split="valid"):
        volume, said = read_volume(study.source_path), sentences(study.findings)
        shown = [sentence for sentence in truth.of(study.id) if sentence.shows]
        if not shown:
            continue
        mask = np.asarray(nib.load(truth.mask_path(study.id)).dataobj)  # type: ignore[attr-defined]
        asked = [said[sentence.sentence_index] for sentence in shown]
        for sentence, words, heat in zip(shown, asked, model.ground(volume, asked), strict=True):
            lesion = mask == sentence.mask_value
            touched = np.unique(heat.map[lesion & np.isfinite(heat.map)])
            found.append(
                Grounded(
                    study.source_path,
                    words,
                    sentence.finding or "",
                    heat,
                    hit=bool(heat.patches.max() in touched),
                    chance=len(touched) / heat.patches.size,
                )
            )
    return found


def mean_of(values: Sequence[bool | float]) -> float | None:
    """None when there is nothing to average: absent is not zero."""
    return float(np.mean(values)) if values else None


def write_page(
    out: Path, seconds: dict[str, float], metrics: dict[str, Any], grounded: list[Grounded]
) -> Path:
    """One page for all stations."""
    rows = read_journal(out / "run" / "journal.jsonl")
    cohort = open_cohort(out / "cohort")
    page = Page(
        "SimCroP, end to end on phantom chests",
        f"{len(cohort)} synthetic chest CTs with reports, in CT-RATE's raw layout, were ingested, used to pre-train a "
        f"small SimCroP from nothing on this machine, embedded and grounded. Recipe {RECIPE}; nothing was pre-computed "
        "but the frozen text encoder.",
    )
    page.figures(
        {
            "scans": len(cohort),
            "training steps": rows[-1]["step"],
            "volumes per second": metrics["pretrain_volumes_per_s"],
            "waiting for data": f"{metrics['pretrain_data_wait']:.1%}",
            "effective rank": metrics["effective_rank"],
            "minutes": metrics["seconds"] / 60,
        }
    )
    first = next(iter(cohort.select(split="valid")))
    page.section("What the network reads", "A held-out phantom scan in the lung window, and its report.")
    page.picture(draw_cuts(read_volume(first.source_path)), first.findings, "three cuts of a phantom chest")
    page.section(
        "What it learned from",
        "Eq. 1 paints hidden patches, Eq. 4 aligns sentences with patches, Eq. 6 spells hidden words.",
    )
    page.drawing(draw_curves(rows, ["volume", "align", "report"], "Loss terms over steps"))
    page.section("Where it sees a sentence", pointing_words(metrics))
    for shown in one_of_each(grounded):
        verdict = (
            "The nearest patch touches the lesion." if shown.hit else "The nearest patch misses the lesion."
        )
        picture = draw_cuts(
            read_volume(shown.volume), shown.heat.map, shown.heat.boxes_mm, title=shown.sentence
        )
        page.picture(picture, f"{shown.finding}. {verdict}", f"heat map, {shown.finding}")
    page.section("How long it took")
    page.table([[name, round(value, 1)] for name, value in seconds.items()], ["station", "seconds"])
    page.write(out / "report.html")
    return out / "report.html"


def pointing_words(metrics: dict[str, Any]) -> str:
    if not metrics["pointing_sentences"]:
        return "No held-out sentence names a lesion: this cohort is too small to say where the model looks."
    return (
        f"Held-out sentences that name a lesion: {metrics['pointing_sentences']}. The patch nearest to the sentence "
        f"touches its lesion in {metrics['pointing_hit']:.0%} of them; "
        f"a patch taken blindly would in {metrics['pointing_chance']:.0%}."
        "\n\nEq. 4 compares the sentences of one report with each other only. It can be met by a fixed map from "
        "place to sentence, without looking at the image, so a falling alignment loss proves nothing about these "
        "maps: judge them by the two figures above."
    )


def one_of_each(grounded: list[Grounded]) -> list[Grounded]:
    """The first example of each kind of finding, up to a handful; not the best ones."""
    first: dict[str, Grounded] = {}
    for shown in grounded:
        first.setdefault(shown.finding, shown)
    return list(first.values())[:PICTURES]

"""`simcrop segment`: a cohort with masks and a recipe become a run whose masks are judged on scans held out.

No axes; distances in mm. Nothing is chosen by the scans that are held out: the model is that of the last step.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from simcrop.config import Recipe
from simcrop.data.store.cohort import Cohort
from simcrop.engine.fit import Fitted
from simcrop.engine.progress import Progress, show_progress
from simcrop.evaluation.segmentation import judge
from simcrop.figures.page import Page
from simcrop.files.digest import digest_of_names
from simcrop.metrics.segmentation import TOLERANCE_MM
from simcrop.model.folder import model_folder, read_config
from simcrop.model.segmenter import load_segmenter
from simcrop.tasks.folder import RUN, write_metrics
from simcrop.tasks.labelled import parents_note
from simcrop.tasks.segmentation.judged import judge_studies, kept_pictures
from simcrop.tasks.segmentation.page import NOTHING, add_judgement
from simcrop.tasks.segmentation.table import JUDGED, SEGMENT, TABLE, JudgedScan, write_table
from simcrop.tasks.training.page import add_run, run_figures, summary
from simcrop.tasks.training.samples import training_studies, with_masks
from simcrop.tasks.training.start_from import started_from
from simcrop.tasks.training.train import Trained, Verb, train

HELD_OUT = ("test", "valid")  # the first of these that has masks


@dataclass(frozen=True)
class SegmentOptions:
    """`tolerance_mm`: of surface Dice."""

    tolerance_mm: float = TOLERANCE_MM

    @property
    def settings(self) -> dict[str, Any]:
        return {"tolerance_mm": self.tolerance_mm}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Scans to judge by, of patients that nothing was learned from. `words`: which they are; `left_out`: how many more
    there would be, were their patients not among those learned from.
    """

    studies: Cohort
    words: str
    left_out: int = 0
    fold: int = 0


Choose = Callable[[Trained], HeldOut]


def segment(
    cohort_path: Path,
    recipe: Recipe,
    out: Path,
    options: SegmentOptions | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Fitted:
    """Train on the split that the recipe names, then judge by the test split, or the valid one where there is none.
    Interrupted, it goes on with `resume`, while it trains and while it judges.
    """
    options = options or SegmentOptions()
    resume = resume and not overwrite  # of a folder that is emptied nothing goes on

    def learned_from(cohort: Cohort, recipe: Recipe) -> Cohort:
        studies = training_studies(cohort, recipe)
        if not (resume and (out / RUN).exists()):
            refuse_seen_before(cohort, recipe, held_out_of(cohort, studies).studies)
        return studies

    verb = segment_verb(options, held_out, learned_from)
    return train(verb, cohort_path, recipe, out, resume, overwrite, progress)


def refuse_seen_before(cohort: Cohort, recipe: Recipe, judged: Cohort) -> None:
    """Said before anything is learned: whom the model that is to be the start has seen judges nothing. A run that goes
    on has this written down, and is held to it when it is judged.
    """
    if recipe.init.model is not None:
        parents_note(started_from(recipe.init.model), cohort, judged)


def note_of(folder: Path, cohort: Cohort, judged: Cohort) -> str:
    """Whether the models that a run started from have seen these patients."""
    return parents_note(read_config(model_folder(folder)), cohort, judged)


def segment_verb(
    options: SegmentOptions,
    choose_held_out: Choose,
    choose: Callable[[Cohort, Recipe], Cohort] = training_studies,
    **settings: Any,
) -> Verb:
    finish = partial(finish_segment, options, choose_held_out)
    return Verb(SEGMENT, finish, choose, {**options.settings, **settings})


def held_out(trained: Trained) -> HeldOut:
    return held_out_of(trained.cohort, trained.studies)


def held_out_of(cohort: Cohort, learned_from: Cohort) -> HeldOut:
    """Of the data set's own split."""
    every = with_masks(cohort)
    found = [(split, studies) for split in HELD_OUT if len(studies := every.select(split))]
    if not found:
        return HeldOut(every.keep([]), "")
    split, studies = found[0]
    learned = learned_from.index["patient"].unique()
    strangers = replace(studies, index=studies.index.filter(~pl.col("patient").is_in(learned.implode())))
    left_out = len(studies) - len(strangers)
    words = f"Judged by the split {split}, by which nothing was chosen."
    if left_out:
        words += f" {left_out} of its scans are of patients that were learned from, and are left out."
    return HeldOut(strangers, words, left_out)


def finish_segment(options: SegmentOptions, choose: Choose, trained: Trained) -> None:
    """`segmentation.parquet`, `report.html` and `metrics.json`."""
    out, held = trained.folder, choose(trained)
    note = note_of(out, trained.cohort, held.studies) if len(held.studies) else ""
    names = trained.recipe.class_names
    training = summary(trained.rows, list(trained.objective.terms))
    metrics: dict[str, Any] = {"classes": list(names), "scans_left_out": held.left_out, "note": note}
    words = " ".join(filter(None, (held.words, note, "" if len(held.studies) else NOTHING)))
    page = Page("Segmentation", f"{trained.recipe.method}: {', '.join(names)}. {words}")
    if len(held.studies):
        scans = judged_scans(options, trained, held)
        judged = judge([scan.scores for scan in scans], trained.recipe.seed)
        write_table(out / TABLE, scans)
        metrics |= judged.figures() | facts(scans)
        add_judgement(page, judged, scans, kept_pictures(out, scans), held.words)
        (out / JUDGED).unlink()
    page.section("Training").figures(run_figures(trained.rows, training))
    add_run(page, out, trained.recipe, trained.objective.terms, trained.rows)
    page.write(out / "report.html")
    write_metrics(out, {**metrics, "training": training})


def judged_scans(options: SegmentOptions, trained: Trained, held: HeldOut) -> list[JudgedScan]:
    """By the model as it was written, not as it lies in memory."""
    return judge_studies(
        held.studies,
        trained.recipe.class_names,
        load_segmenter(trained.folder, trained.device).labels_of,
        options.tolerance_mm,
        trained.folder,
        show_progress(f"{SEGMENT}, judged by scans held out"),
        held.fold,
    )


def facts(scans: list[JudgedScan]) -> dict[str, Any]:
    """By whom a model was judged, so that results of the same scans are known again."""
    return {
        "split_hash": digest_of_names(scan.scores.patient for scan in scans),
        "truth_hash": digest_of_names(f"{scan.scores.study} {scan.truth}" for scan in scans),
    }

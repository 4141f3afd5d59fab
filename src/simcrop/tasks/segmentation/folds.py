"""`simcrop segment --folds K`: cross-validation by patient. K runs, and one table of all scans, each judged by the
model that did not learn from its patient.

No axes or units. The folds take the place of the data set's own split.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from simcrop.config import Recipe, flat, free_settings
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.engine.fit import Fitted
from simcrop.engine.progress import Progress, show_progress
from simcrop.engine.stop import stop_requests
from simcrop.errors import SimcropError
from simcrop.evaluation.segmentation import judge
from simcrop.tasks.folder import METRICS, RUN, check_folder, open_folder, write_metrics
from simcrop.tasks.replaced import JOURNAL, replacing
from simcrop.tasks.segmentation.judged import PICTURES
from simcrop.tasks.segmentation.page import worst_scans, write_pooled_page
from simcrop.tasks.segmentation.segment import (
    HeldOut,
    SegmentOptions,
    facts,
    note_of,
    refuse_seen_before,
    segment_verb,
)
from simcrop.tasks.segmentation.table import SEGMENT, TABLE, JudgedScan, read_table, write_table
from simcrop.tasks.training.pinned import unset_before
from simcrop.tasks.training.samples import training_studies, with_masks
from simcrop.tasks.training.train import Trained, train


def folds_of(patients: Sequence[str], folds: int, seed: int) -> np.ndarray:
    """`(s,)`: the fold of each scan, from 1; patients are drawn one by one, so that folds differ by one at most."""
    names, number = np.unique(np.asarray(patients), return_inverse=True)
    if not 2 <= folds <= len(names):
        raise SimcropError(
            "bad-setting",
            f"--folds {folds}: from 2 to as many as there are patients with masks, {len(names)}",
        )
    place = np.empty(len(names), int)
    place[np.random.default_rng((seed, 6)).permutation(len(names))] = np.arange(len(names)) % folds
    return place[number] + 1


def segment_folds(
    cohort_path: Path,
    recipe: Recipe,
    out: Path,
    folds: int,
    options: SegmentOptions | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Fitted:
    """One run after the other in `fold-1` ...; then `segmentation.parquet`, `metrics.json` and `report.html` of all."""
    options = options or SegmentOptions()
    resume = resume and not overwrite  # of a folder that is emptied nothing goes on
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise SimcropError(
            "bad-setting", "--folds trains one run after the other in one process: start it without torchrun"
        )
    whole = open_cohort(cohort_path)
    cohort = with_masks(whole)
    split = {"data": recipe.data.model_copy(update={"split": ""})}
    recipe, of = recipe.model_copy(update=split), folds_of(patients_of(cohort), folds, recipe.seed)
    settings = {
        "cohort": cohort.digest,
        **flat(recipe),
        **options.settings,
        "folds": folds,
    }
    if not (resume and (out / RUN).exists()):
        refuse_seen_before(whole, recipe, cohort)
    free = free_settings(recipe) | unset_before(out, recipe)
    with stop_requests():
        check_folder(out, SEGMENT, settings, resume, overwrite, free=free)
        with replacing(out, f"fold-*/{JOURNAL}", overwrite) as replaced:
            open_folder(out, SEGMENT, settings, resume, overwrite, free, replaced.set_aside)
            fitted = Fitted(0, True, {})
            for fold in range(1, folds + 1):
                tell = replaced.until_a_step(progress or shown_from_the_first_step())
                fitted = train_fold(cohort_path, recipe, out / f"fold-{fold}", of, fold, options, tell)
                if not fitted.finished:
                    return fitted
            pool(out, whole, folds, recipe.seed)
    return fitted


def shown_from_the_first_step() -> Progress:
    """A bar of one fold, which is not there while that fold waits for its first step and says so itself."""
    bar = cache(partial(show_progress, SEGMENT))
    return lambda done, total, words: bar()(done, total, words)


def train_fold(
    cohort_path: Path,
    recipe: Recipe,
    out: Path,
    of: np.ndarray,
    fold: int,
    options: SegmentOptions,
    progress: Progress | None,
) -> Fitted:
    """At once when it is there, continued when it was left half."""
    if (out / METRICS).exists():
        return Fitted(0, True, {})

    def learned_from(cohort: Cohort, recipe: Recipe) -> Cohort:
        return training_studies(with_masks(cohort).keep(np.flatnonzero(of != fold).tolist()), recipe)

    def judged_by(trained: Trained) -> HeldOut:
        held = with_masks(trained.cohort).keep(np.flatnonzero(of == fold).tolist())
        return HeldOut(
            held, f"Judged by the patients of fold {fold} of {of.max()}, who were held out.", fold=fold
        )

    verb = segment_verb(options, judged_by, learned_from, fold=f"{fold} of {of.max()}")
    return train(verb, cohort_path, recipe, out, (out / RUN).exists(), False, progress)


def patients_of(cohort: Cohort) -> list[str]:
    return cohort.index["patient"].to_list()


def pool(out: Path, cohort: Cohort, folds: int, seed: int) -> None:
    """All scans together, each from the fold in which it was held out."""
    before = note_of(out / "fold-1", cohort, with_masks(cohort))
    patients = dict(cohort.index.select("id", "patient").iter_rows())
    each = [named(read_table(out / f"fold-{fold}"), patients) for fold in range(1, folds + 1)]
    scans = [scan for some in each for scan in some]
    judged = judge([scan.scores for scan in scans], seed)
    write_table(out / TABLE, scans)
    note = f"Every scan with a mask, judged by the model of {folds} that did not learn from its patient."
    note = f"{note} {before}".strip()
    classes = list(scans[0].scores.scores)
    write_pooled_page(
        out / "report.html",
        "Segmentation",
        f"{folds} models: {', '.join(classes)}. {note}",
        judged,
        scans,
        pictures_of(out, scans),
        note,
        [judge([scan.scores for scan in some], seed) for some in each],
    )
    write_metrics(
        out, {"classes": classes, "folds": folds, "note": before, **judged.figures(), **facts(scans)}
    )


def named(scans: Sequence[JudgedScan], patients: dict[str, str]) -> list[JudgedScan]:
    """With the patients of the cohort, where a table has numbers."""
    return [replace(scan, scores=replace(scan.scores, patient=patients[scan.scores.study])) for scan in scans]


def pictures_of(out: Path, scans: Sequence[JudgedScan]) -> dict[str, bytes]:
    """Of the worst of all, who are among the worst of their own fold."""
    paths = {
        scan.scores.study: out / f"fold-{scan.fold}" / PICTURES / f"{scan.scores.study}.png"
        for scan in worst_scans(scans)
    }
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}

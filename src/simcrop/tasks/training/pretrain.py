"""`simcrop pretrain`: a cohort and a recipe become a run folder with a journal, checkpoints and a model."""

from functools import partial
from pathlib import Path

import torch

from simcrop.claim import refuse_missing
from simcrop.config import Recipe, flat
from simcrop.data.store.cohort import open_cohort
from simcrop.engine.checkpoint import trained_state
from simcrop.engine.fit import Fitted
from simcrop.engine.progress import Progress
from simcrop.tasks.folder import staged, write_metrics
from simcrop.tasks.training.components import with_known_classes, with_known_labels
from simcrop.tasks.training.job import prepare_job
from simcrop.tasks.training.page import summary, write_run_page
from simcrop.tasks.training.samples import training_studies
from simcrop.tasks.training.train import Trained, Verb, record_start, say, train, write_model


def pretrain(
    cohort_path: Path,
    recipe: Recipe,
    out: Path,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Fitted:
    """Train `recipe` on the cohort. Raises SimcropError; an interrupted run returns `finished=False` and resumes.

    `progress` is told after each step; a bar or lines on the terminal where it is not given.
    """
    return train(PRETRAIN, cohort_path, recipe, out, resume, overwrite, progress)


def finish(trained: Trained) -> None:
    """`report.html` and `metrics.json`."""
    metrics = summary(trained.rows, list(trained.objective.terms))
    write_run_page(trained.folder, trained.recipe, trained.objective.terms, trained.rows, metrics)
    write_metrics(trained.folder, metrics)


PRETRAIN = Verb("pretrain", finish)


def untrained(cohort_path: Path, recipe: Recipe, out: Path, overwrite: bool = False) -> Path:
    """Write the model that training this recipe on this cohort would start from, step for step the same except that
    there is no step: random or imported weights, principal components, the centre of the texts. The folder `out`.
    """
    refuse_missing(flat(recipe))
    cohort = open_cohort(cohort_path)
    studies = training_studies(cohort, recipe)
    recipe = with_known_classes(with_known_labels(recipe, studies), studies)
    settings = {"cohort": cohort.digest, **flat(recipe)}
    torch.manual_seed(recipe.seed)
    with staged(out, "untrained", settings, overwrite) as stage:
        objective, job = prepare_job(cohort, studies, recipe, stage)
        record_start(stage, job.start, partial(say, "pretrain"))
        write_model(trained_state(objective), recipe, job.describe, stage)
    return out

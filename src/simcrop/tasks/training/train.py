"""The training of every verb that trains: one folder, one journal, one way to go on and to stop.

No axes or units. What a verb is called, what it learns from and what it does after the last step, it says itself.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simcrop.claim import differences, refuse_missing
from simcrop.config import Recipe, flat, free_settings
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.engine.checkpoint import Describe, checkpoints, describe_beside, trained_state
from simcrop.engine.company import in_company
from simcrop.engine.distributed import DistributedContext, join_distributed, leave_distributed
from simcrop.engine.fit import Fitted, fit
from simcrop.engine.job import share_of
from simcrop.engine.journal import Row, read_journal
from simcrop.engine.precision import settled
from simcrop.engine.progress import Progress, show_progress
from simcrop.engine.sharding import gather_whole
from simcrop.engine.stop import stop_requests
from simcrop.errors import SimcropError
from simcrop.files.digest import digest_of_files
from simcrop.files.whole import flush_folder, write_json, writing
from simcrop.logs.choice import refuse_missing_logs, sinks_of
from simcrop.model.folder import CONFIG, WEIGHTS, save_model
from simcrop.objectives.method import Objective
from simcrop.stderr import write_line
from simcrop.tasks.folder import (
    MODEL,
    RUN,
    check_folder,
    open_folder,
    read_run,
    reserved,
    unpinned_before,
    unspoiled,
)
from simcrop.tasks.replaced import Replaced
from simcrop.tasks.resampled import resampled_words
from simcrop.tasks.training.components import with_known_classes, with_known_labels
from simcrop.tasks.training.job import prepare_job, refuse_graphs_without_a_card
from simcrop.tasks.training.kept_cost import kept_cost
from simcrop.tasks.training.mirrored import mirrored_words
from simcrop.tasks.training.pinned import pinned, unset_before
from simcrop.tasks.training.room import room_words
from simcrop.tasks.training.samples import training_studies
from simcrop.tasks.training.start_from import lines_of

Tell = Callable[[str], None]
QUIET_S = 1.5  # of each stretch of the start: a setting that cannot be used is then one line and nothing else


@dataclass(frozen=True, eq=False)
class Trained:
    """A run whose last step is done: what it learned from, and what its journal says."""

    cohort: Cohort
    studies: Cohort
    recipe: Recipe
    objective: Objective
    rows: list[Row]
    folder: Path
    device: torch.device


@dataclass(frozen=True)
class Verb:
    """`name`: on the command line and in `run.json`; `finish`: what is left to do once `model/` is written, up to
    `metrics.json`, which says that the run is whole; `choose`: the studies that it learns from; `settings`: what else
    must be the same for a run to go on.
    """

    name: str
    finish: Callable[[Trained], None]
    choose: Callable[[Cohort, Recipe], Cohort] = training_studies
    settings: Mapping[str, Any] = field(default_factory=dict)


def train(
    verb: Verb,
    cohort_path: Path,
    recipe: Recipe,
    out: Path,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Fitted:
    """Train `recipe` on what `verb` chooses of the cohort, and finish. Raises SimcropError; an interrupted run returns
    `finished=False` and resumes. `progress` is told after each step; a bar or lines on the terminal where it is not
    given.
    """
    resume = resume and not overwrite  # of a folder that is emptied nothing goes on
    refuse_tasks_that_know_nothing_of_each_other(os.environ, verb.name)
    refuse_recipe_of_other_verb(verb, recipe)
    refuse_missing(flat(recipe))
    refuse_missing_logs(recipe.log.sinks)
    with stop_requests():
        context = join_distributed()
        try:
            with in_company(context):
                cohort = open_cohort(cohort_path)
                studies = verb.choose(cohort, recipe)
                recipe = with_known_classes(with_known_labels(recipe, studies), studies)
                recipe = with_precision(recipe, out, context, resume)
                return train_together(
                    verb, cohort, studies, recipe, out, context, resume, overwrite, progress
                )
        finally:
            leave_distributed()


def train_together(
    verb: Verb,
    cohort: Cohort,
    studies: Cohort,
    recipe: Recipe,
    out: Path,
    context: DistributedContext,
    resume: bool,
    overwrite: bool,
    progress: Progress | None,
) -> Fitted:
    """The same, in each of all processes."""
    pins = pinned(recipe) if context.is_main else {}  # by the one process that compares them
    settings = {
        "cohort": cohort.digest,
        **flat(recipe),
        **pins,
        **verb.settings,
    }
    free = free_settings(recipe) | unpinned_before(out, pins) | unset_before(out, recipe)
    with ExitStack() as folder:
        replaced = Replaced(out)
        if context.is_main:
            check_folder(out, verb.name, settings, resume, overwrite, free=free)
            folder.enter_context(reserved(out))
            folder.enter_context(replaced.or_put_back())
        share_of(recipe.optim, recipe.engine, context)  # refused before the texts of a cohort are encoded
        refuse_graphs_without_a_card(recipe.engine, context.device)
        torch.manual_seed(recipe.seed)
        begun = resume and bool(checkpoints(out / "checkpoints"))
        show = partial(show_progress, f"{verb.name}, before the first step", context.is_main, QUIET_S)
        objective, job = prepare_job(cohort, studies, recipe, out, begun, show, context)
        if context.is_main and not (overwrite and (out / RUN).is_file()):
            folder.enter_context(unspoiled(out))
        continued = context.is_main and open_folder(
            out, verb.name, settings, resume, overwrite, free, replaced.set_aside
        )
        continued = context.any_rank(continued)
        tell = partial(say, verb.name) if context.is_main else silence
        tell_differences(recipe, tell)
        tell(resampled_words(cohort, recipe.input.spec))
        tell(mirrored_words(studies, recipe))
        job = replace(job, sinks=sinks_of(recipe.log.sinks, out, flat(recipe), tell))
        if context.is_main and not begun:
            record_start(out, job.start, tell)
            record_facts(out, job.facts, tell)
        if context.is_main and context.world > 1 and recipe.engine.sharding == "full":
            describe_beside(out / "checkpoints", job.describe)
        tell(job.cut_short)
        if context.is_main and (cost := kept_cost(recipe, out)) is not None:
            tell(room_words(recipe, context, cost))
            job = replace(job, flops=cost.gflop_per_scan * 1e9)
        progress = progress or show_progress(verb.name, context.is_main)
        progress = replaced.until_a_step(progress) if context.is_main else progress
        fitted = fit(objective, job, context, continued, progress)
        if fitted.finished:
            gather_whole(objective)
        trained = trained_state(objective)  # gathered by all, written by one
        if context.is_main and fitted.finished:
            rows = read_journal(out / "journal.jsonl")
            refuse_nothing_learned(rows)
            write_model(trained, recipe, job.describe, out)
            record_model(out)
            verb.finish(Trained(cohort, studies, recipe, objective, rows, out, context.device))
            tell(job.cut_short)
    return fitted


def refuse_recipe_of_other_verb(verb: Verb, recipe: Recipe) -> None:
    """What a method is trained with, its settings say."""
    if recipe.verb != verb.name:
        raise SimcropError(
            "other-verb",
            f"a recipe of the method {recipe.method!r} is trained by `simcrop {recipe.verb}`, not by "
            f"`simcrop {verb.name}`",
        )


def refuse_nothing_learned(rows: list[Row]) -> None:
    if not rows:
        raise SimcropError(
            "no-journal",
            "journal.jsonl has no row of this run: put it back, or delete the newest checkpoint, and --resume takes "
            "the steps since the one before once more",
        )
    if all("skipped" in row for row in rows):
        raise SimcropError("non-finite-loss", "the loss of no step was finite: nothing was learned")


def record_start(out: Path, start: Mapping[str, Any] | None, tell: Tell) -> None:
    """Into `run.json`, and told in a few lines; nothing where the network starts at random."""
    if start is not None:
        run = read_run(out)
        write_json(out / RUN, {**(run or {}), "start": start})
        for line in lines_of(start):
            tell(line)


def record_facts(out: Path, facts: Mapping[str, str], tell: Tell) -> None:
    """What is to be known of a run beside its settings: into `run.json`, and told."""
    if facts:
        write_json(out / RUN, {**(read_run(out) or {}), **facts})
        for words, fact in facts.items():
            tell(f"{words.replace('_', ' ')}: {fact}")


def record_model(out: Path) -> None:
    """Into `run.json`, so that figures that lie beside a model are known as its own."""
    model = digest_of_files(out / "model" / WEIGHTS, out / "model" / CONFIG)
    write_json(out / RUN, {**(read_run(out) or {}), MODEL: model})


def refuse_tasks_that_know_nothing_of_each_other(environment: Mapping[str, str], verb: str) -> None:
    """`srun` starts as many processes as it is told; only torchrun tells them of one another."""
    tasks = environment.get("SLURM_STEP_NUM_TASKS", "1")
    if tasks != "1" and "WORLD_SIZE" not in environment:
        raise SimcropError(
            "not-torchrun",
            f"srun started {tasks} processes that each would train a model of their own; start torchrun once on "
            "each machine: srun --ntasks-per-node=1 torchrun --nnodes=$SLURM_NNODES --nproc-per-node=GPUS "
            f"--rdzv-backend=c10d --rdzv-endpoint=FIRST_MACHINE:29500 -m simcrop {verb} ...",
        )


def tell_differences(recipe: Recipe, tell: Tell) -> None:
    """In what the run is not what its recipe claims to follow: a line each, nothing where it claims nothing."""
    for line in differences(flat(recipe)):
        tell(f"not as in {recipe.claim.source}: {line}")


def say(verb: str, line: str) -> None:
    """On stderr, unless there is nothing to say."""
    if line:
        write_line(f"{verb}: {line}")


def silence(line: str) -> None:
    """Of the processes that are not the first."""
    del line


def with_precision(recipe: Recipe, out: Path, context: DistributedContext, resume: bool) -> Recipe:
    """The recipe with `engine.precision` settled: a run that is continued keeps what it began with."""
    asked = recipe.engine.precision
    begun = read_run(out) if resume and asked == "auto" else None
    if begun is not None:
        asked = begun["settings"].get("engine.precision", asked)
    slow = settled(asked, context.device) == "fp32"
    precision = "fp32" if context.any_rank(slow) else "bf16"
    return recipe.model_copy(update={"engine": recipe.engine.model_copy(update={"precision": precision})})


def write_model(trained: Mapping[str, Tensor], recipe: Recipe, describe: Describe, out: Path) -> None:
    """`model/`, whole or not at all."""
    partial = out / "model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with writing(out / "model"):
            partial.mkdir(parents=True)
            save_model(trained, recipe, partial)
            describe(partial)
            flush_folder(partial)
            shutil.rmtree(out / "model", ignore_errors=True)
            partial.rename(out / "model")
    finally:
        shutil.rmtree(partial, ignore_errors=True)

"""`simcrop pretrain`: a cohort and a recipe become a run folder with a journal, checkpoints and a model."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simcrop.claim import differences
from simcrop.config import Recipe, flat, free_settings
from simcrop.data.samples.collate import Collate
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.engine.checkpoint import Describe, checkpoints, trained_state
from simcrop.engine.distributed import DistributedContext, join_distributed, leave_distributed
from simcrop.engine.fit import Fitted, Job, fit
from simcrop.engine.journal import read_journal
from simcrop.engine.precision import settled
from simcrop.engine.progress import Progress, show_progress, silent
from simcrop.engine.stop import stop_requests
from simcrop.errors import SimcropError
from simcrop.evaluation.monitor import build_monitor
from simcrop.files.digest import digest_of_files
from simcrop.files.whole import flush_folder, write_json, writing
from simcrop.model.folder import describe_model, save_model
from simcrop.nn.transformer import Block, Transformer
from simcrop.objectives.method import Objective
from simcrop.tasks.components import ALONE, gather_inputs, with_known_classes, with_known_labels
from simcrop.tasks.folder import (
    RUN,
    check_folder,
    open_folder,
    read_run,
    reserved,
    staged,
    unspoiled,
    write_metrics,
)
from simcrop.tasks.run_page import summary, write_run_page
from simcrop.tasks.start import start_encoder
from simcrop.tasks.start_from import lines_of, origin_of
from simcrop.tasks.training_samples import samples_of, training_studies

QUIET_S = 1.5  # of each stretch of the start: a setting that cannot be used is then one line and nothing else


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
    refuse_tasks_that_know_nothing_of_each_other(os.environ)
    with stop_requests():
        cohort = open_cohort(cohort_path)
        studies = training_studies(cohort, recipe)
        recipe = with_known_classes(with_known_labels(recipe, studies), studies)
        context = join_distributed()
        try:
            recipe = with_precision(recipe, out, context, resume)
            return pretrain_together(cohort, studies, recipe, out, context, resume, overwrite, progress)
        finally:
            leave_distributed()


def pretrain_together(
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
    settings = {"cohort": digest_of_files(cohort.path / "studies.parquet"), **flat(recipe)}
    free = free_settings(recipe)
    with ExitStack() as folder:
        if context.is_main:
            check_folder(out, "pretrain", settings, resume, overwrite, free=free)
            folder.enter_context(reserved(out))
        torch.manual_seed(recipe.seed)
        begun = resume and bool(checkpoints(out / "checkpoints"))
        show = partial(show_progress, "pretrain, before the first step", context.is_main, QUIET_S)
        objective, job = prepare_job(cohort, studies, recipe, out, begun, show, context)
        job.share(context)  # a batch that cannot be shared is refused before anything else is said
        if context.is_main:
            folder.enter_context(unspoiled(out))
        continued = context.is_main and open_folder(out, "pretrain", settings, resume, overwrite, free)
        continued = context.any_rank(continued)
        if context.is_main:
            tell_differences(recipe)
            if not begun:
                record_start(out, job.start)
            tell(job.cut_short)
        progress = progress or show_progress("pretrain", context.is_main)
        fitted = fit(objective, job, context, continued, progress)
        trained = trained_state(objective)  # gathered by all, written by one
        if context.is_main and fitted.finished:
            finish(objective, trained, job, recipe, out)
            tell(job.cut_short)
    return fitted


def record_start(out: Path, start: Mapping[str, Any] | None) -> None:
    """Into `run.json`, and a few lines on stderr; nothing where the network starts at random."""
    if start is not None:
        run = read_run(out)
        write_json(out / RUN, {**(run or {}), "start": start})
        for line in lines_of(start):
            tell(line)


def recorded_start(out: Path) -> dict[str, Any] | None:
    """Of a run that is continued, which loads nothing again."""
    return (read_run(out) or {}).get("start")


def refuse_tasks_that_know_nothing_of_each_other(environment: Mapping[str, str]) -> None:
    """`srun` starts as many processes as it is told; only torchrun tells them of one another."""
    tasks = environment.get("SLURM_STEP_NUM_TASKS", "1")
    if tasks != "1" and "WORLD_SIZE" not in environment:
        raise SimcropError(
            "not-torchrun",
            f"srun started {tasks} processes that each would train a model of their own; start torchrun once on "
            "each machine: srun --ntasks-per-node=1 torchrun --nnodes=$SLURM_NNODES --nproc-per-node=GPUS "
            "--rdzv-backend=c10d --rdzv-endpoint=FIRST_MACHINE:29500 -m simcrop pretrain ...",
        )


def tell_differences(recipe: Recipe) -> None:
    """In what the run is not what its recipe claims to follow: a line each, nothing where it claims nothing."""
    for line in differences(flat(recipe)):
        tell(f"not as in {recipe.claim.source}: {line}")


def tell(line: str) -> None:
    """On stderr, unless there is nothing to say."""
    if line:
        sys.stderr.write(f"pretrain: {line}\n")


def with_precision(recipe: Recipe, out: Path, context: DistributedContext, resume: bool) -> Recipe:
    """The recipe with `engine.precision` settled: a run that is continued keeps what it began with."""
    asked = recipe.engine.precision
    begun = read_run(out) if resume and asked == "auto" else None
    if begun is not None:
        asked = begun["settings"].get("engine.precision", asked)
    slow = settled(asked, context.device) == "fp32"
    precision = "fp32" if context.any_rank(slow) else "bf16"
    return recipe.model_copy(update={"engine": recipe.engine.model_copy(update={"precision": precision})})


def prepare_job(
    cohort: Cohort,
    studies: Cohort,
    recipe: Recipe,
    out: Path,
    begun: bool = False,
    show: Callable[[], Progress] = lambda: silent,
    context: DistributedContext = ALONE,
) -> tuple[Objective, Job]:
    """Network and data, joined for the engine. `begun`: a checkpoint will replace whatever the network starts as."""
    inputs = gather_inputs(cohort, studies, recipe, context, show)
    objective = recipe.build(inputs.components)
    start = recorded_start(out) if begun else start_encoder(objective, recipe, studies, show)
    for module in objective.modules():
        if isinstance(module, Transformer):
            module.recompute = recipe.engine.recompute
        if isinstance(module, Block) and recipe.engine.compile:
            module.compile()

    provenance = {
        "cohort": digest_of_files(cohort.path / "studies.parquet"),
        "studies": len(studies),
        "data_licence": "not stated by the cohort",
        **({"start": origin_of(start)} if start else {}),
    }

    def describe(folder: Path) -> None:
        describe_model(recipe, inputs.components.text, inputs.components.tokenizer, provenance, folder)

    job = Job(
        dataset=samples_of(studies, recipe),
        collate=Collate(inputs.texts, recipe.label_names or (), recipe.wants_masks, recipe.extra),
        folder=out,
        describe=describe,
        seed=recipe.seed,
        optim=recipe.optim,
        engine=recipe.engine,
        checkpoint=recipe.checkpoint,
        workers=recipe.data.workers,
        unreadable=recipe.data.unreadable,
        monitor=build_monitor(objective, cohort, recipe, inputs.components.tokenizer),
        start=start,
    )
    return objective, job


def finish(objective: Objective, trained: Mapping[str, Tensor], job: Job, recipe: Recipe, out: Path) -> None:
    """`model/`, `metrics.json` and `report.html`, once the last step is done."""
    rows = read_journal(out / "journal.jsonl")
    if all("skipped" in row for row in rows):
        raise SimcropError("non-finite-loss", "the loss of no step was finite: nothing was learned")
    write_model(trained, recipe, job.describe, out)
    metrics = summary(rows, list(objective.terms))
    write_run_page(out, recipe, objective.terms, rows, metrics)
    write_metrics(out, metrics)


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


def untrained(cohort_path: Path, recipe: Recipe, out: Path, overwrite: bool = False) -> Path:
    """Write the model that training this recipe on this cohort would start from, step for step the same except that
    there is no step: random or imported weights, principal components, the centre of the texts. The folder `out`.
    """
    cohort = open_cohort(cohort_path)
    studies = training_studies(cohort, recipe)
    recipe = with_known_classes(with_known_labels(recipe, studies), studies)
    settings = {"cohort": digest_of_files(cohort_path / "studies.parquet"), **flat(recipe)}
    torch.manual_seed(recipe.seed)
    with staged(out, "untrained", settings, overwrite) as stage:
        objective, job = prepare_job(cohort, studies, recipe, stage)
        record_start(stage, job.start)
        write_model(trained_state(objective), recipe, job.describe, stage)
    return out

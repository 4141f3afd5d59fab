"""`simcrop pretrain`: a cohort and a recipe become a run folder with a journal, checkpoints and a model."""

import shutil
from contextlib import nullcontext
from pathlib import Path

import torch

from simcrop.config import Recipe, flat
from simcrop.data.samples.dataset import Collate, StudyCrops, derangement
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.engine.distributed import DistributedContext, join_distributed, leave_distributed
from simcrop.engine.fit import Fitted, Job, fit
from simcrop.engine.journal import read_journal
from simcrop.engine.precision import settled
from simcrop.engine.progress import Progress, show_progress
from simcrop.errors import SimcropError
from simcrop.evaluation.monitor import build_monitor
from simcrop.files.digest import digest_of_files
from simcrop.files.whole import writing
from simcrop.model import describe_model, save_model
from simcrop.nn.transformer import Transformer
from simcrop.objectives.method import Objective
from simcrop.tasks.components import gather_components, with_known_labels
from simcrop.tasks.folder import check_folder, open_folder, read_run, staged, unspoiled, write_metrics
from simcrop.tasks.run_page import summary, write_run_page
from simcrop.tasks.start import start_encoder


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
    cohort = open_cohort(cohort_path)
    studies = training_studies(cohort, recipe)
    recipe = with_known_labels(recipe, studies)
    processes = join_distributed()
    try:
        recipe = with_precision(recipe, out, processes, resume)
        settings = {"cohort": digest_of_files(cohort_path / "studies.parquet"), **flat(recipe)}
        if processes.leads:
            check_folder(out, "pretrain", settings, resume, overwrite)
        torch.manual_seed(recipe.seed)
        objective, job = prepare_job(cohort, studies, recipe, out)
        with unspoiled(out) if processes.leads else nullcontext():
            continued = processes.leads and open_folder(out, "pretrain", settings, resume, overwrite)
            continued = processes.any(continued)
            progress = progress or show_progress("pretrain", processes.leads)
            fitted = fit(objective, job, processes, continued, progress)
            if processes.leads and fitted.finished:
                finish(objective, job, recipe, out)
        return fitted
    finally:
        leave_distributed()


def with_precision(recipe: Recipe, out: Path, processes: DistributedContext, resume: bool) -> Recipe:
    """The recipe with `engine.precision` settled: a run that is continued keeps what it began with."""
    asked = recipe.engine.precision
    begun = read_run(out) if resume and asked == "auto" else None
    if begun is not None:
        asked = begun["settings"].get("engine.precision", asked)
    slow = settled(asked, processes.device) == "fp32"
    precision = "fp32" if processes.any(slow) else "bf16"
    return recipe.model_copy(update={"engine": recipe.engine.model_copy(update={"precision": precision})})


def training_studies(cohort: Cohort, recipe: Recipe) -> Cohort:
    split = recipe.data.split
    studies = cohort.select(split=split) if split else cohort
    if len(studies) == 0:
        found = sorted(set(cohort.index["split"].to_list()))
        raise SimcropError(
            "no-studies", f"the cohort has no study in split {split!r}; it has {found or 'none at all'}"
        )
    return studies


def prepare_job(cohort: Cohort, studies: Cohort, recipe: Recipe, out: Path) -> tuple[Objective, Job]:
    """Network and data, joined for the engine."""
    gathered = gather_components(cohort, studies, recipe)
    objective = recipe.build(gathered.parts)
    start_encoder(objective, recipe, studies)
    for module in objective.modules():
        if isinstance(module, Transformer):
            module.recompute = recipe.engine.recompute

    provenance = {
        "cohort": digest_of_files(cohort.path / "studies.parquet"),
        "studies": len(studies),
        "data_licence": "not stated by the cohort",
    }

    def describe(folder: Path) -> None:
        describe_model(recipe, gathered.parts.text, gathered.parts.tokenizer, provenance, folder)

    job = Job(
        dataset=StudyCrops(
            studies,
            recipe.input.spec,
            recipe.aug.crop == "random",
            recipe.aug.flip_lr,
            derangement(len(studies), recipe.seed) if recipe.data.mispaired else None,
        ),
        collate=Collate(gathered.texts, recipe.label_names or ()),
        folder=out,
        describe=describe,
        seed=recipe.seed,
        optim=recipe.optim,
        engine=recipe.engine,
        checkpoint=recipe.checkpoint,
        workers=recipe.data.workers,
        monitor=build_monitor(objective, cohort, recipe, gathered.parts.tokenizer),
    )
    return objective, job


def finish(objective: Objective, job: Job, recipe: Recipe, out: Path) -> None:
    """`model/`, `metrics.json` and `report.html`, once the last step is done."""
    write_model(objective, job, out)
    metrics = summary(read_journal(out / "journal.jsonl"))
    write_run_page(out, recipe, metrics)
    write_metrics(out, metrics)


def write_model(objective: Objective, job: Job, out: Path) -> None:
    """`model/`, whole or not at all."""
    partial = out / "model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with writing(out / "model"):
            partial.mkdir(parents=True)
            save_model(objective, partial)
            job.describe(partial)
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
    recipe = with_known_labels(recipe, studies)
    settings = {"cohort": digest_of_files(cohort_path / "studies.parquet"), **flat(recipe)}
    torch.manual_seed(recipe.seed)
    with staged(out, "untrained", settings, overwrite) as stage:
        write_model(*prepare_job(cohort, studies, recipe, stage), stage)
    return out

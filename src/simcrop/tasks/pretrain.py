"""`simcrop pretrain`: a cohort and a recipe become a run folder with a journal, checkpoints and a model."""

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor

from simcrop.config import Recipe, flat
from simcrop.data.cohort import Cohort, open_cohort
from simcrop.data.durable import writing
from simcrop.data.pretraining import Collate, StudyCrops, cut
from simcrop.data.report import Report
from simcrop.data.sentence_bank import SentenceBank, build_bank
from simcrop.data.words import Tokenizer
from simcrop.engine.distributed import join_processes, leave_processes
from simcrop.engine.fit import Fitted, Job, fit
from simcrop.engine.journal import read_journal
from simcrop.engine.progress import show_progress
from simcrop.errors import SimcropError
from simcrop.model import describe_model, save_model
from simcrop.nn.text import TextEncoder, read_text_encoder
from simcrop.objectives.simcrop import SimCroP
from simcrop.tasks.folder import check_folder, fingerprint, open_folder, unspoiled, write_metrics
from simcrop.tasks.run_page import summary, write_run_page
from simcrop.weights.embedded import text_encoder_folder
from simcrop.weights.mae import init_patch_embed_by_pca, load_mae

PCA_PATCHES = 20_000


def pretrain(
    cohort_path: Path, recipe: Recipe, out: Path, resume: bool = False, overwrite: bool = False
) -> Fitted:
    """Train `recipe` on the cohort. Raises SimcropError; an interrupted run returns `finished=False` and resumes."""
    cohort = open_cohort(cohort_path)
    studies = training_studies(cohort, recipe)
    processes = join_processes()
    try:
        settings = {"cohort": fingerprint(cohort_path / "studies.parquet"), **flat(recipe)}
        if processes.leads:
            check_folder(out, "pretrain", settings, resume, overwrite)
        torch.manual_seed(recipe.seed)
        objective, job = prepare_job(cohort, studies, recipe, out)
        with unspoiled(out) if processes.leads else nullcontext():
            continued = processes.leads and open_folder(out, "pretrain", settings, resume, overwrite)
            continued = processes.any(continued)
            fitted = fit(objective, job, processes, continued, show_progress("pretrain", processes.leads))
            if processes.leads and fitted.finished:
                finish(objective, job, recipe, out)
        return fitted
    finally:
        leave_processes()


def training_studies(cohort: Cohort, recipe: Recipe) -> Cohort:
    split = recipe.data.split
    studies = cohort.select(split=split) if split else cohort
    if len(studies) == 0:
        found = sorted(set(cohort.index["split"].to_list()))
        raise SimcropError(
            "no-studies", f"the cohort has no study in split {split!r}; it has {found or 'none at all'}"
        )
    return studies


def prepare_job(cohort: Cohort, studies: Cohort, recipe: Recipe, out: Path) -> tuple[SimCroP, Job]:
    """Text, sentences, network and data, joined for the engine."""
    folder = text_encoder_folder(recipe.text.model)
    tokenizer = Tokenizer.load(folder)
    text = read_text_encoder(folder, recipe.text.freeze)
    reports = [Report(study.findings, study.impression) for study in studies]
    if not any(report.sentences for report in reports):
        raise SimcropError(
            "no-reports",
            f"{cohort.path}: none of its {len(studies)} studies has a sentence of findings, and {recipe.method} learns "
            "from reports; put them into reports.csv beside the scans and ingest again",
        )
    bank = sentence_bank(reports, recipe, text, tokenizer, cohort.path)
    objective = build_objective(recipe, text, tokenizer, reports, bank)
    start_encoder(objective, recipe, studies)

    provenance = {
        "cohort": fingerprint(cohort.path / "studies.parquet"),
        "studies": len(studies),
        "data_licence": "not stated by the cohort",
    }

    def describe(folder: Path) -> None:
        describe_model(recipe, text, tokenizer, provenance, folder)

    objective.vision.transformer.recompute = recipe.engine.recompute
    objective.painter.transformer.recompute = recipe.engine.recompute
    job = Job(
        dataset=StudyCrops(studies, recipe.input.spec, recipe.aug.crop == "random", recipe.aug.flip_lr),
        collate=Collate(tokenizer, bank, recipe.text.report_length, recipe.text.sentence_length),
        folder=out,
        describe=describe,
        seed=recipe.seed,
        optim=recipe.optim,
        engine=recipe.engine,
        checkpoint=recipe.checkpoint,
        workers=recipe.data.workers,
    )
    return objective, job


def sentence_bank(
    reports: Sequence[Report], recipe: Recipe, text: TextEncoder, tokenizer: Tokenizer, cohort: Path
) -> SentenceBank:
    """All sentences, encoded once when the text encoder is frozen; the cache's name tells what made it."""
    if not recipe.text.freeze:
        return build_bank([report.sentences for report in reports], None)
    pool, length = recipe.align.sent_pool, recipe.text.sentence_length

    @torch.no_grad()
    def encode(texts: list[str]) -> Tensor:
        tokens = tokenizer.encode(texts, length)
        return text.pool(text(tokens), tokens.mask, pool).float()

    weights = fingerprint(text_encoder_folder(recipe.text.model) / "model.safetensors")[:12]
    cache = cohort / "sentences" / f"{weights}-{pool}-{length}.safetensors"
    return build_bank(
        [report.sentences for report in reports], encode, cache if recipe.text.cache_sentences else None
    )


def build_objective(
    recipe: Recipe, text: TextEncoder, tokenizer: Tokenizer, reports: Sequence[Report], bank: SentenceBank
) -> SimCroP:
    vocabulary = None
    if recipe.mlm.vocabulary == "compact":
        tokens = tokenizer.encode([report.text for report in reports], recipe.text.report_length)
        vocabulary = tokens.ids[tokens.mask].unique()
    center = None
    if recipe.align.center_text:
        center = bank.center()
        if center is None:
            raise SimcropError(
                "bad-setting", "align.center_text needs a frozen text encoder (text.freeze = true)"
            )
    return SimCroP(recipe, recipe.input.grid, text, tokenizer, vocabulary, center)


def start_encoder(objective: SimCroP, recipe: Recipe, studies: Cohort) -> None:
    """ImageNet MAE weights, or principal components, when the recipe asks for them."""
    if recipe.init.mae is not None:
        load_mae(objective.vision, Path(recipe.init.mae), recipe.init.patch_embed)
    if recipe.init.patch_embed == "pca":
        init_patch_embed_by_pca(objective.vision, some_patches(studies, recipe))


def some_patches(studies: Cohort, recipe: Recipe) -> Tensor:
    """Patches of up to 64 studies, evenly chosen, for the principal components."""
    grid = recipe.input.grid
    chosen = range(0, len(studies), max(1, len(studies) // 64))
    patches: list[Tensor] = []
    for i in chosen:
        volume = torch.from_numpy(cut(studies[i], recipe.input.spec, None))
        patches.append(grid.split(volume[None, None])[0])
    every = torch.cat(patches)
    return every[:: max(1, len(every) // PCA_PATCHES)]


def finish(objective: SimCroP, job: Job, recipe: Recipe, out: Path) -> None:
    """`model/`, `metrics.json` and `report.html`, once the last step is done."""
    partial = out / "model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with writing(out / "model"):
            partial.mkdir()
            save_model(objective, partial)
            job.describe(partial)
            shutil.rmtree(out / "model", ignore_errors=True)
            partial.rename(out / "model")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    metrics = summary(read_journal(out / "journal.jsonl"))
    write_run_page(out, recipe, metrics)
    write_metrics(out, metrics)

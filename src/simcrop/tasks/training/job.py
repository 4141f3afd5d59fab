"""What a training run is made of: its studies, its network and its data, joined for the engine.

No axes or units.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import torch

from simcrop.config import Recipe
from simcrop.data.samples.collate import Collate
from simcrop.data.samples.dataset import refuse_whole
from simcrop.data.samples.text_features import SentenceBank
from simcrop.data.store.cohort import Cohort
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.graphs import Graphs
from simcrop.engine.job import EngineSettings, Job
from simcrop.engine.progress import Progress, silent
from simcrop.errors import SimcropError
from simcrop.evaluation.monitor import build_monitor
from simcrop.model.folder import describe_model
from simcrop.nn.co_attention import CoAttention
from simcrop.nn.transformer import Block, Transformer
from simcrop.objectives.method import Objective
from simcrop.tasks.data_source import data_of
from simcrop.tasks.doctor_facts import cpp_compiler
from simcrop.tasks.folder import read_run
from simcrop.tasks.training.components import ALONE, TrainingInputs, gather_inputs
from simcrop.tasks.training.organ_texts import refuse_all_normal
from simcrop.tasks.training.samples import left_out, samples_of, shared_index
from simcrop.tasks.training.start import start_encoder
from simcrop.tasks.training.start_from import origin_of


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
    refuse_whole(recipe.input.spec)
    refuse_lone_sample(cohort, studies, recipe)
    inputs = gather_inputs(cohort, studies, recipe, context, show)
    refuse_nothing_abnormal(studies, recipe, inputs)
    objective = recipe.build(inputs.components)
    refuse_repeats(cohort.path, len(studies), recipe, objective)
    start = recorded_start(out) if begun else start_encoder(objective, recipe, studies, show)
    if not begun:
        objective.started()
    take_ways(objective, recipe.engine, context.device)

    provenance = {
        "cohort": cohort.digest,
        "studies": len(studies),
        **data_of(cohort.path),
        **({"start": origin_of(start)} if start else {}),
    }

    def describe(folder: Path) -> None:
        describe_model(recipe, inputs.components.text, inputs.components.tokenizer, provenance, folder)

    job = Job(
        dataset=samples_of(studies, recipe, shared_index(studies, recipe, context)),
        collate=Collate(inputs.texts, recipe.label_names or (), recipe.wants_masks, recipe.extra),
        folder=out,
        describe=describe,
        seed=recipe.seed,
        optim=recipe.optim,
        engine=recipe.engine,
        checkpoint=recipe.checkpoint,
        workers=recipe.data.workers,
        unreadable=recipe.data.unreadable,
        studies=len(studies),
        monitor=build_monitor(
            objective,
            cohort,
            recipe,
            inputs.components.tokenizer,
            bank_of_split(cohort, studies, recipe, inputs),
        ),
        start=start,
        facts={**inputs.facts, **left_out(cohort, recipe)},
    )
    return objective, job


def take_ways(objective: Objective, engine: EngineSettings, device: torch.device) -> None:
    """How the parts of the network are computed, as the settings say; what is computed stays the same."""
    refuse_graphs_without_a_card(engine, device)
    refuse_compiling_without_a_compiler(engine, device)
    refuse_graphs_of_nothing(objective, engine)
    for module in objective.modules():
        if isinstance(module, (Transformer, CoAttention)):
            module.recompute = engine.recompute
        if isinstance(module, Block) and engine.compile:
            module.compile()
        if isinstance(module, Transformer) and engine.cuda_graphs:
            module.replay = replayed(module)


def refuse_graphs_without_a_card(engine: EngineSettings, device: torch.device) -> None:
    if engine.cuda_graphs and device.type != "cuda":
        raise SimcropError(
            "bad-setting", f"engine.cuda_graphs = true is for CUDA devices, and this run is on {device}"
        )


def refuse_graphs_of_nothing(objective: Objective, engine: EngineSettings) -> None:
    if engine.cuda_graphs and not any(isinstance(module, Transformer) for module in objective.modules()):
        raise SimcropError(
            "bad-setting",
            "engine.cuda_graphs = true is for vision transformers, and there is none in this network: leave it out",
        )


def refuse_compiling_without_a_compiler(engine: EngineSettings, device: torch.device) -> None:
    """Torch itself finds out in the first step."""
    if engine.compile and device.type == "cpu" and cpp_compiler() is None:
        raise SimcropError(
            "bad-setting",
            "engine.compile = true needs a C++ compiler that works, g++ or the one that CXX names: leave it out, or "
            "install one",
        )


def replayed(transformer: Transformer) -> Graphs:
    return Graphs(lambda x, skip: transformer.through(x, skip).last, transformer.parameters())


def bank_of_split(
    cohort: Cohort, studies: Cohort, recipe: Recipe, inputs: TrainingInputs
) -> SentenceBank | None:
    """Every sentence of the split that is trained on; None where other texts are read, or not those of all studies."""
    texts = inputs.texts
    whole = studies.index["id"].equals(cohort.select(recipe.data.split).index["id"])
    return texts.bank if texts is not None and texts.unit == "sentence" and whole else None


def refuse_lone_sample(cohort: Cohort, studies: Cohort, recipe: Recipe) -> None:
    """Where a batch is one sample, before anything long begins: a term that compares samples would be nothing for ever.
    What the terms are, the method itself says, built once more for one study.
    """
    if min(recipe.optim.batch, len(studies)) > 1:
        return
    parts = [(pl.col(part) != "").cast(pl.Int8) for part in ("findings", "impression")]
    fullest = studies.index.sort(pl.sum_horizontal(parts), descending=True, maintain_order=True)
    one = replace(studies, index=fullest.head(1))
    text = recipe.text.model_copy(update={"cache_sentences": False})
    bare = recipe.model_copy(update={"text": text})
    with torch.random.fork_rng(devices=[]):
        refuse_lone(cohort.path, recipe, bare.build(gather_inputs(cohort, one, bare).components))


def refuse_lone(where: object, recipe: Recipe, objective: Objective) -> None:
    compared = [name for name, term in objective.terms.items() if term.compares_samples]
    if not compared:
        return
    lone = "optim.batch = 1" if recipe.optim.batch == 1 else f"{where}: one study to learn from"
    raise SimcropError(
        "lone-sample",
        f"{lone}, and {recipe.method} compares the samples of a batch with one another ({', '.join(compared)}): "
        "two are the least",
    )


def refuse_repeats(where: object, count: int, recipe: Recipe, objective: Objective) -> None:
    """Where a batch holds more samples than the `count` of studies, some are there twice in every step."""
    batch = recipe.optim.batch
    told_apart = [name for name, term in objective.terms.items() if term.each_once]
    if batch > count and told_apart:
        raise SimcropError(
            "small-cohort",
            f"{where}: {count} studies to learn from, and optim.batch = {batch}: {recipe.method} would tell a "
            f"study from itself ({', '.join(told_apart)}); --set optim.batch={count} is the most",
        )


def refuse_nothing_abnormal(studies: Cohort, recipe: Recipe, inputs: TrainingInputs) -> None:
    """Of a method that reads texts by organ."""
    needs, texts = recipe.text_needs, inputs.texts
    if needs is not None and needs.organs is not None and texts is not None and texts.normal is not None:
        refuse_all_normal(studies, needs.organs, texts.normal)


def recorded_start(out: Path) -> dict[str, Any] | None:
    """Of a run that is continued, which loads nothing again."""
    return (read_run(out) or {}).get("start")

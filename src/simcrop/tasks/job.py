"""What a training run is made of: its studies, its network and its data, joined for the engine.

No axes or units.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from simcrop.config import Recipe
from simcrop.data.samples.collate import Collate
from simcrop.data.store.cohort import Cohort
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.fit import Job
from simcrop.engine.progress import Progress, silent
from simcrop.evaluation.monitor import build_monitor
from simcrop.files.digest import digest_of_files
from simcrop.model.folder import describe_model
from simcrop.nn.transformer import Block, Transformer
from simcrop.objectives.method import Objective
from simcrop.tasks.components import ALONE, gather_inputs
from simcrop.tasks.folder import read_run
from simcrop.tasks.start import start_encoder
from simcrop.tasks.start_from import origin_of
from simcrop.tasks.training_samples import samples_of


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
    if not begun:
        objective.started()
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


def recorded_start(out: Path) -> dict[str, Any] | None:
    """Of a run that is continued, which loads nothing again."""
    return (read_run(out) or {}).get("start")

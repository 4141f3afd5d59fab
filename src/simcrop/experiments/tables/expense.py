"""What jobs cost before they are run: 10^9 operations by the count of each recipe, and bytes on disk.

No axes. A count leaves out reading, judging masks, fitting heads and starting processes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path

from simcrop.config import Recipe, build_recipe
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.experiments.tables.jobs import Job, Pretrain, Probe, Segment, Transfer
from simcrop.experiments.tables.rows import ORGAN_TEXTS
from simcrop.tasks.methods import Cost, cost_of
from simcrop.tasks.training_samples import training_studies

NUMBER = 4  # bytes of a weight, and of a feature
WAYS = 2  # of pooling, both of which are kept
MOMENTS = 2  # of AdamW, in a checkpoint beside the weights
GPU_GFLOPS = 790e3 * 0.4  # of an H200: 40 % of its dense bf16 limit
CORE_GFLOPS = {"bf16": 150.0, "fp32": 60.0}  # of a training or a look at scans, on one of two shared cores
CORE_START_S = 15.0  # of a process, until its first step


@dataclass(frozen=True)
class Expense:
    gflop: float = 0.0
    bytes_on_disk: int = 0

    def __add__(self, other: "Expense") -> "Expense":
        return Expense(self.gflop + other.gflop, self.bytes_on_disk + other.bytes_on_disk)

    @property
    def gpu_hours(self) -> float:
        return self.gflop / GPU_GFLOPS / 3600


Sizes = Mapping[Path, int]  # scans of cohorts that are not drawn yet


def total(jobs: Sequence[Job], encoder: Recipe, sizes: Sizes) -> Expense:
    """Of all these; `encoder`: a recipe with the encoder that looks at scans."""
    return sum((expense_of(job, encoder, sizes) for job in jobs), Expense())


def expense_of(job: Job, encoder: Recipe, sizes: Sizes) -> Expense:
    """Of one job from its beginning."""
    if isinstance(job, Pretrain | Segment):
        recipe = job.built
        cost = counted(recipe)
        weights = (1 + MOMENTS) * cost.trained * recipe.checkpoint.keep + cost.kept
        return Expense(cost.gflop_per_scan * samples_seen(recipe, job), NUMBER * weights)
    if isinstance(job, Probe | Transfer):
        scans = sizes[job.cohort] if job.cohort in sizes else len(opened(str(job.cohort)))
        return Expense(scans * looking(encoder), scans * NUMBER * WAYS * vision(encoder)[1])
    return Expense()


@cache
def opened(path: str) -> Cohort:
    return open_cohort(path)


def counted(recipe: Recipe) -> Cost:
    """Recipes that differ in seed, length, start or files cost the same."""
    plain = recipe.model_copy(
        update={
            "seed": 0,
            "init": type(recipe.init)(),
            "data": type(recipe.data)(),
            "optim": type(recipe.optim)(),
        }
    )
    tree = plain.model_dump(mode="json")
    for group, name in (setting.split(".") for setting in ORGAN_TEXTS):
        if group in tree:
            tree[group][name] = None
    return counted_once(json.dumps(tree))


@cache
def counted_once(text: str) -> Cost:
    return cost_of(build_recipe(json.loads(text), "a recipe"))


def samples_seen(recipe: Recipe, job: Job) -> int:
    """Scans, or windows of scans, with repetition."""
    if recipe.optim.steps is not None:
        return recipe.optim.batch * recipe.optim.steps
    per_scan = recipe.window_needs.per_scan if recipe.window_needs is not None else 1
    return recipe.optim.epochs * len(training_studies(opened(str(job.cohort)), recipe)) * per_scan


def looking(recipe: Recipe) -> float:
    """10^9 operations of an encoder that sees every patch of a scan once."""
    depth, dim = vision(recipe)
    tokens = prod(recipe.input.grid.shape)
    block = 24 * tokens * dim**2 + 4 * tokens**2 * dim
    return (depth * block + 2 * tokens * prod(recipe.input.patch) * dim) / 1e9


def vision(recipe: Recipe) -> tuple[int, int]:
    """Depth and width of the encoder."""
    tree = recipe.model_dump()["vision"]
    return tree["depth"], tree["dim"]

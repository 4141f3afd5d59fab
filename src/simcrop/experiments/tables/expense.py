"""What jobs cost before they are run: 10^9 operations by the count of each recipe, and bytes on disk.

No axes. A count leaves out reading, judging masks, fitting heads and starting processes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path

from simcrop.config import Recipe
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.engine.journal import read_journal
from simcrop.experiments.speeds import speeds
from simcrop.experiments.tables.jobs import Job, Pretrain, Probe, Segment, Transfer
from simcrop.tasks.training.cost import Cost
from simcrop.tasks.training.counted import counted
from simcrop.tasks.training.samples import training_studies

NUMBER = 4  # bytes of a weight, and of a feature
WAYS = 2  # of pooling, both of which are kept
MOMENTS = 2  # of AdamW, in a checkpoint beside the weights
GPU = "h200"  # whose hours are said


@dataclass(frozen=True)
class Expense:
    gflop: float = 0.0
    bytes_on_disk: int = 0

    def __add__(self, other: "Expense") -> "Expense":
        return Expense(self.gflop + other.gflop, self.bytes_on_disk + other.bytes_on_disk)

    @property
    def gpu_hours(self) -> float:
        return hours_on(GPU, self.gflop)


def hours_on(kind: str, gflop: float) -> float:
    """On one card, at the share of its product limit that a step of the paper's batch was measured at."""
    known = speeds()
    tflops = known.product_tflops(known.device(kind)) * known.training.share(known.training.largest)
    return gflop / (tflops * 1e3) / 3600


Sizes = Mapping[Path, int]  # scans of cohorts that are not there yet: all, or those to learn from


def total(jobs: Sequence[Job], encoder: Recipe, sizes: Sizes, anew: bool = False) -> Expense:
    """Of all these; `encoder`: a recipe with the encoder that looks at scans; `anew`: nothing they did counts."""
    return sum((expense_of(job, encoder, sizes, anew) for job in jobs), Expense())


def expense_of(job: Job, encoder: Recipe, sizes: Sizes, anew: bool = False) -> Expense:
    """Of what is left of one job, or of all of it `anew`."""
    if isinstance(job, Pretrain | Segment):
        recipe = job.built
        cost = counted(recipe)
        on_disk = checkpoint_bytes(cost) * recipe.checkpoint.keep + NUMBER * cost.kept
        samples = samples_seen(recipe, job, sizes)
        seen = recipe.optim.batch * steps_done(job) if job.begun and not anew else 0
        return Expense(cost.gflop_per_scan * max(0, samples - seen), on_disk)
    if isinstance(job, Probe | Transfer):
        scans = sizes[job.cohort] if job.cohort in sizes else len(opened(str(job.cohort)))
        return Expense(scans * looking(encoder), scans * NUMBER * WAYS * vision(encoder)[1])
    return Expense()


def steps_done(job: Job) -> int:
    """Of a training that was begun; perhaps a few more than its newest checkpoint has."""
    rows = read_journal(job.folder / "journal.jsonl")
    return int(rows[-1]["step"]) if rows else 0


@cache
def opened(path: str) -> Cohort:
    return open_cohort(path)


def checkpoint_bytes(cost: Cost) -> int:
    """Of one: what learns, and both moments."""
    return NUMBER * (1 + MOMENTS) * cost.trained


def samples_seen(recipe: Recipe, job: Job, sizes: Sizes) -> int:
    """Scans, or windows of scans, with repetition."""
    if recipe.optim.steps is not None:
        return recipe.optim.batch * recipe.optim.steps
    if job.cohort in sizes:
        studies = round(sizes[job.cohort] * recipe.data.share)
    else:
        studies = len(training_studies(opened(str(job.cohort)), recipe))
    per_scan = recipe.window_needs.per_scan if recipe.window_needs is not None else 1
    return recipe.optim.epochs * studies * per_scan


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

"""GPU hours of the paper's tables, from the jobs that `simcrop reproduce` would run. No axes.

Pre-trainings see the scans that were asked for; what is judged are the paper's data sets, as large as they are.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simcrop.config import load_recipe
from simcrop.experiments.scale.asked import Asked
from simcrop.experiments.speeds import speeds
from simcrop.experiments.tables.expense import Sizes, expense_of, hours_on
from simcrop.experiments.tables.jobs import Job, Pretrain
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.planning import Setup, plan
from simcrop.experiments.tables.rows import SIMCROP
from simcrop.experiments.tables.sources import PARTS, Sources

TABLES = ("table1", "table2", "table3", "fig2", "fig3")
SEEDS = 3  # alike in what they cost
ALL = "all"


@dataclass(frozen=True)
class TableHours:
    """`hours`: by the clock, a GPU for each job, none before those that it waits for. The last one is all tables
    together, which share what they train.
    """

    name: str
    jobs: int
    trainings: int
    gpu_hours: float
    hours: float


def hours_of_tables(asked: Asked) -> tuple[TableHours, ...]:
    setup, sizes = made_up(asked.scans)
    by_table = {name: plan(name, setup) for name in TABLES}
    every = {job.folder: job for jobs in by_table.values() for job in jobs}
    spent = {folder: hours(job, asked, sizes) for folder, job in every.items()}
    lists = {**by_table, ALL: list(every.values())}
    return tuple(summed(name, jobs, spent, asked.gpus) for name, jobs in lists.items())


def made_up(scans: int) -> tuple[Setup, Sizes]:
    """Cohorts that nobody looks into, and how large they are."""
    sets = speeds().data_sets
    cohorts = {name: {part: Path(name, part) for part in PARTS} for name in {*sets.classify, *sets.segment}}
    sizes = {Path(name, "classify"): count for name, count in sets.classify.items()}
    sizes |= {Path(name, "segment"): count for name, count in sets.segment.items()}
    sizes[Path("ct-rate", "pretrain")] = scans
    return Setup(Places(Path("tables")), Sources(cohorts), "paper", (0,)), sizes


def hours(job: Job, asked: Asked, sizes: Sizes) -> float:
    """Of one GPU. Epochs that were asked for are those of every pre-training."""
    base = load_recipe(SIMCROP.recipe["paper"])
    longer = asked.recipe.optim.epochs / base.optim.epochs if isinstance(job, Pretrain) else 1.0
    return longer * hours_on(asked.kind, expense_of(job, base, sizes).gflop)


def summed(name: str, jobs: Sequence[Job], spent: dict[Path, float], gpus: int) -> TableHours:
    """Of all seeds. As long as all of them, shared; at least as long as the longest row, whose jobs wait in turn."""
    chains: dict[str, float] = defaultdict(float)
    for job in jobs:
        chains[job.row] += spent[job.folder]
    whole = SEEDS * sum(chains.values())
    trainings = SEEDS * sum(isinstance(job, Pretrain) for job in jobs)
    return TableHours(name, SEEDS * len(jobs), trainings, whole, max(whole / gpus, *chains.values()))

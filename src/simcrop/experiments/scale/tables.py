"""GPU hours of the paper's tables, from the jobs that `simcrop reproduce` would run. No axes.

Pre-trainings see the scans that were asked for; what is judged are the paper's data sets, as large as they are.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from simcrop.config import load_recipe
from simcrop.experiments.scale.request import PlanRequest
from simcrop.experiments.speeds import speeds
from simcrop.experiments.tables.expense import Sizes, expense_of, hours_on
from simcrop.experiments.tables.jobs import Pretrain
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.planning import Setup, plan
from simcrop.experiments.tables.rows import SIMCROP
from simcrop.experiments.tables.sources import PARTS, Sources

TABLES = ("table1", "table2", "table3", "fig2", "fig3")
SEEDS = 3  # alike in what they cost
ALL = "all"
PAPER = SIMCROP.recipe["paper"]


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


def hours_of_tables(asked: PlanRequest) -> tuple[TableHours, ...]:
    """Of each, and of all. Epochs that were asked for are those of every pre-training."""
    longer = asked.recipe.optim.epochs / load_recipe(PAPER).optim.epochs
    return tuple(
        summed(name, works, longer, asked.kind, asked.gpus) for name, works in works_of(asked.scans).items()
    )


@dataclass(frozen=True)
class Work:
    """A job: whose, and 10^9 operations."""

    row: str
    trains: bool
    gflop: float


@cache
def works_of(scans: int) -> dict[str, list[Work]]:
    """By table, with one seed."""
    setup, sizes = made_up(scans)
    encoder = load_recipe(PAPER)
    by_table = {name: plan(name, setup) for name in TABLES}
    every = {job.folder: job for jobs in by_table.values() for job in jobs}
    works = {
        folder: Work(job.row, isinstance(job, Pretrain), expense_of(job, encoder, sizes).gflop)
        for folder, job in every.items()
    }
    lists = {name: [works[job.folder] for job in jobs] for name, jobs in by_table.items()}
    return {**lists, ALL: list(works.values())}


def made_up(scans: int) -> tuple[Setup, Sizes]:
    """Cohorts that nobody looks into, and how large they are."""
    sets = speeds().data_sets
    cohorts = {name: {part: Path(name, part) for part in PARTS} for name in {*sets.classify, *sets.segment}}
    sizes = {Path(name, "classify"): count for name, count in sets.classify.items()}
    sizes |= {Path(name, "segment"): count for name, count in sets.segment.items()}
    sizes[Path("ct-rate", "pretrain")] = scans
    return Setup(Places(Path("tables")), Sources(cohorts), "paper", (0,)), sizes


def summed(name: str, works: Sequence[Work], longer: float, kind: str, gpus: int) -> TableHours:
    """Of all seeds. As long as all of them, shared; at least as long as the longest row, whose jobs wait in turn."""
    chains: dict[str, float] = defaultdict(float)
    for work in works:
        chains[work.row] += hours_on(kind, work.gflop * (longer if work.trains else 1.0))
    whole = SEEDS * sum(chains.values())
    trainings = SEEDS * sum(work.trains for work in works)
    return TableHours(name, SEEDS * len(works), trainings, whole, max(whole / gpus, *chains.values()))

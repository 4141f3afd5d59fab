"""Which jobs a table needs, in their order. Pure: nothing is read or written here. No axes or units.

Every row is trained with the input, encoder, optimiser and number of scans of the row `simcrop`; a row that starts from
another's objective has half of its steps there. What starts at random has no weights of other places. Trainings come
first, seed after seed, so that an unfinished table has whole comparisons.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Literal

from simcrop.config import load_recipe, put_path
from simcrop.experiments.arms import Arm
from simcrop.experiments.tables.columns import COLUMNS, Column
from simcrop.experiments.tables.jobs import Ground, Job, Pretrain, Probe, Segment, Transfer, Untrained
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.rows import SIMCROP, Row, Size, row_of
from simcrop.experiments.tables.sources import SEGMENT_RECIPES, Sources

# One window a step: in batches of eight so few find lungs and liver alone. Chosen by the loss of a random start.
SEGMENTING = ("optim.batch=1", "optim.lr=2e-3", "optim.epochs=100000", "optim.warmup_epochs=5000")
WINDOWS = 8  # of a segmentation, for every step of a pre-training
LUNA16_TENTH = ("optim.epochs=400", "optim.warmup_epochs=50")  # of the public code, at 10 %
Trained = Pretrain | Untrained
Part = Literal["whole", "first", "second"]  # of a row's steps


@dataclass(frozen=True)
class Budget:
    """Of phantoms: `steps` of a pre-training at `batch` scans on so many `patients`; a segmentation sees eight windows
    for each.
    """

    steps: int
    patients: int
    batch: int = 32

    def training(self, part: Part, epochs: int) -> tuple[str, ...]:
        """Of a pre-training that has that part of the steps. They count as the `epochs` of the base recipe, or as more
        where so many are not enough: what a method does for some of its epochs it does for that share of the steps.
        """
        steps = {"whole": self.steps, "first": self.steps // 2, "second": self.steps - self.steps // 2}[part]
        epochs = max(epochs, ceil(steps * self.batch / self.patients) + 1)
        return (
            f"optim.batch={self.batch}",
            f"optim.steps={steps}",
            f"optim.epochs={epochs}",
            f"optim.warmup_epochs={epochs / 10}",
            "checkpoint.every=50",
            "engine.monitor=0",  # it would look at the scans that are held out
        )

    def segmenting(self) -> tuple[str, ...]:
        return (*SEGMENTING, f"optim.steps={WINDOWS * self.steps}")


@dataclass(frozen=True)
class Setup:
    """What all tables of one folder share. `budget`: None where the recipes decide. `common`: changes to every
    pre-training, `segmenting`: to every segmentation.
    """

    places: Places
    sources: Sources
    size: Size
    seeds: tuple[int, ...]
    budget: Budget | None = None
    common: tuple[str, ...] = ()
    segmenting: tuple[str, ...] = ()


def plan(table: str, setup: Setup, chosen: Mapping[str, str] | None = None) -> list[Job]:
    """All jobs, done or not, each only once; none where no column can be filled. `chosen`: how a row's features are
    pooled, the mean where nothing is.
    """
    columns = [c for c in COLUMNS[table] if c.dataset not in setup.sources.missing]
    if not columns:
        return []
    seeds = setup.seeds[:1] if table == "fig4" else setup.seeds
    jobs = [
        job
        for seed in seeds
        for row in setup.sources.rows(table)
        for job in jobs_of(row, seed, columns, setup, (chosen or {}).get(row.key, "mean"))
    ]
    trainings = [job for job in jobs if isinstance(job, Trained)]
    return [*trainings, *(job for job in jobs if job not in trainings)]


def jobs_of(row: Row, seed: int, columns: Sequence[Column], setup: Setup, pool: str) -> Iterator[Job]:
    """Of one row with one seed: nothing here waits for another row, or for another seed."""
    trainings = [] if row.weights else list(trainings_of(row, seed, setup))
    yield from trainings
    model = setup.sources.weights[row.weights] if row.weights else trainings[-1].folder
    after = () if row.weights else (model,)
    probed = {column.dataset: None for column in columns if column.task == "probe"}
    if any(column.task == "transfer" for column in columns):
        probed["ct-rate"] = None
    for dataset in probed:
        yield probe_of(row, seed, dataset, model, after, setup, pool)
    for column in columns:
        if column.task == "segment" and row.weights is None:
            yield segment_of(row, seed, column, model, setup)
        elif column.task == "transfer":
            heads = setup.places.probe(row.key, seed, "ct-rate")
            folder, cohort = setup.places.transfer(row.key, seed), where(setup, column.dataset, "classify")
            before = [setup.places.probe(row.key, seed, dataset) for dataset in probed]
            yield Transfer(row.key, seed, folder, cohort, heads, after=tuple(before))
        elif column.task == "heat" and not setup.sources.phantoms:
            # Of phantoms the truth is at hand, and the page itself asks.
            folder, cohort = setup.places.heat(row.key, seed), where(setup, column.dataset, "classify")
            yield Ground(row.key, seed, folder, cohort, model, after=after)


def where(setup: Setup, dataset: str, part: str) -> Path:
    path = setup.sources.cohort(dataset, part)
    assert path is not None  # `check_sources` has looked
    return path


def trainings_of(row: Row, seed: int, setup: Setup) -> Iterator[Trained]:
    """The pre-training, and the one before it that it starts from."""
    cohort, folder = where(setup, "ct-rate", "pretrain"), setup.places.run(row.key, seed)
    rate = setup.places.rates.get(row.key, 1.0)
    if row.starts_from is None:
        kind = Pretrain if row.trained else Untrained
        yield kind(row.key, seed, folder, cohort, *recipe_of(row, seed, setup, rate))
        return
    first, before = setup.places.first(row.key, seed), row_of(row.starts_from)
    yield Pretrain(row.key, seed, first, cohort, *recipe_of(before, seed, setup, rate, "first"))
    recipe, settings = recipe_of(row, seed, setup, rate, "second")
    yield Pretrain(
        row.key, seed, folder, cohort, recipe, (*settings, put_path("init.model", first)), after=(first,)
    )


def recipe_of(
    row: Row, seed: int, setup: Setup, rate: float = 1.0, part: Part = "whole"
) -> tuple[str, tuple[str, ...]]:
    """Its recipe and all that is changed of it, so that it differs from the base row in its objective alone, and in a
    learning rate of `rate` times the base's.
    """
    base, begins = SIMCROP.recipe[setup.size], row.trained and part != "second"
    text = tuple(of for of in setup.sources.start if begins or not of.startswith("init."))
    length = () if part == "whole" else halved(base, part)
    if setup.budget is not None:
        length = setup.budget.training(part, load_recipe(base).optim.epochs)
    if rate != 1:
        length += (f"optim.lr={load_recipe(base).optim.lr * rate:g}",)
    files = [put_path(name, setup.sources.files[name]) for name in row.files if name in setup.sources.files]
    changes = (*row.changes(setup.size), *files)
    arm = Arm(row.name, row.recipe[setup.size], changes, row.trained, base=base)
    return arm.recipe, tuple(arm.overrides(seed, (*text, *length, *setup.common)))


def halved(recipe: str, part: Part) -> tuple[str, ...]:
    """Half of the recipe's epochs; the second half has the odd one."""
    optim = load_recipe(recipe).optim
    epochs = optim.epochs // 2 if part == "first" else optim.epochs - optim.epochs // 2
    return f"optim.epochs={max(1, epochs)}", f"optim.warmup_epochs={optim.warmup_epochs / 2}"


def probe_of(
    row: Row, seed: int, dataset: str, model: Path, after: tuple[Path, ...], setup: Setup, pool: str
) -> Probe:
    """With the shares of every table, so that no table probes what another has."""
    every = {c.share for of in COLUMNS.values() for c in of if (c.task, c.dataset) == ("probe", dataset)}
    folder, cohort = setup.places.probe(row.key, seed, dataset), where(setup, dataset, "classify")
    head = "logistic" if setup.sources.phantoms else "linear"
    return Probe(row.key, seed, folder, cohort, model, tuple(sorted(every)), pool, head, after=after)


def segment_of(row: Row, seed: int, column: Column, model: Path, setup: Setup) -> Segment:
    """UNETR on the row's encoder; that of the random start is as random here as there."""
    recipe = SEGMENT_RECIPES[setup.size][column.dataset]
    length: tuple[str, ...] = ()
    if setup.budget is not None:
        length = setup.budget.segmenting()
    elif recipe == "segment-paper-luna16" and column.share < 1:
        length = LUNA16_TENTH
    settings = (
        *length,
        f"data.share={column.share}",
        f"seed={seed}",
        put_path("init.model", model),
        *setup.segmenting,
    )
    folder = setup.places.segment(row.key, seed, column.dataset, column.share)
    cohort = where(setup, column.dataset, "segment")
    return Segment(row.key, seed, folder, cohort, recipe, settings, after=(model,))

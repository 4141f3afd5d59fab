"""`simcrop reproduce table1 ... fig4`: a table or figure of the paper, on real data or on phantoms.

No axes or units. All tables share one folder: what one has trained, another finds. On phantoms every row is trained
with the first seed at each of several rates, what is chosen is chosen on the validation cohort and written down, the
other seeds are trained, then the test is opened; on real data nothing is chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from simcrop.config import Recipe, load_recipe
from simcrop.engine.precision import best_precision
from simcrop.engine.stop import stop_requests
from simcrop.errors import SimcropError
from simcrop.experiments.side_by_side import Say
from simcrop.experiments.speeds import speeds
from simcrop.experiments.tables.budget import record_machine
from simcrop.experiments.tables.candidates import (
    Chosen,
    candidates,
    choose,
    left_open,
    rated,
    read_chosen,
    trials,
)
from simcrop.experiments.tables.columns import COLUMNS
from simcrop.experiments.tables.expense import Sizes, total
from simcrop.experiments.tables.jobs import Job
from simcrop.experiments.tables.options import SEEDS, TableOptions, refuse_what_does_not_go_together
from simcrop.experiments.tables.origins import Digests, refuse_other_origins
from simcrop.experiments.tables.phantoms import Patients, draw, sources_of_phantoms, wanted
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.plan_text import lines_of, seconds_on_a_core
from simcrop.experiments.tables.planning import Budget, Setup, Trained, plan
from simcrop.experiments.tables.recorded import read_failures, refuse_other_recipes, write_failures
from simcrop.experiments.tables.rows import SIMCROP
from simcrop.experiments.tables.running import Environment, devices, run_jobs
from simcrop.experiments.tables.slurm import array_script, chains
from simcrop.experiments.tables.sources import check_sources, read_sources, refuse_no_rows
from simcrop.experiments.tables.writing import write_table
from simcrop.files.whole import write_whole
from simcrop.tasks.folder import METRICS, check_folder, open_folder, read_run, start_folder

STEPS = 125  # of a pre-training on phantoms, unless a budget says otherwise
FEWEST = 10


def reproduce_table(
    table: str,
    out: Path,
    asked: TableOptions,
    say: Say,
    on: Sequence[Environment] | None = None,
    patients: Patients = Patients(),
    segmenting: Sequence[str] = (),
    methods: Sequence[str] = (),
) -> bool:
    """Whether every job was done. `on`: what the jobs that run at once are given, none to run them in this process."""
    places = Places(out.absolute())
    on = devices() if on is None else on
    work = Tables(table, places, asked, patients, tuple(segmenting), tuple(methods), len(on) or 1)
    jobs = work.jobs()
    only = asked.only and selected(jobs, asked.only)
    if not asked.overwrite:
        refuse_other_recipes(job for job in work.known(jobs) if job.begun or job.done)
        work.refuse_other_origins(only or jobs)
    if not asked.only:
        for line in work.words():
            say(line)
    if asked.dry_run:
        return True
    if not asked.only:
        open_folder(out, "reproduce", work.settings, asked.resume, asked.overwrite, work.free)
        work.digests.keep()
    elif read_run(out) is None:
        # Nothing else is there, `check_folder` has looked; other tasks of an array may come as this one does.
        start_folder(out, "reproduce", work.settings)
    if asked.slurm and not chains(jobs):
        say(f"nothing is left to do for {table}: without --slurm, and with --resume, the command writes it")
        return True
    if asked.slurm:
        script = out / f"{table}.sbatch"
        write_whole(script, array_script(table, jobs, work.command(), places.out).encode())
        say(f"sbatch {script}")
        return True
    with stop_requests():
        return work.run(only or jobs, on, say)


def selected(jobs: Sequence[Job], only: str) -> list[Job]:
    row, _, seed = only.partition("/")
    found = [job for job in jobs if job.row == row and seed in ("", str(job.seed))]
    if not found:
        rows = ", ".join(dict.fromkeys(job.row for job in jobs))
        raise SimcropError("bad-setting", f"--only {only}: no such row and seed; rows are {rows}")
    return found


class Tables:
    """One call: what was asked, joined with what the folder was begun with."""

    def __init__(
        self,
        table: str,
        places: Places,
        asked: TableOptions,
        patients: Patients,
        segmenting: tuple[str, ...],
        methods: tuple[str, ...],
        at_once: int,
    ) -> None:
        self.table, self.places, self.asked, self.at_once = table, places, asked, at_once
        self.patients, self.columns = patients, COLUMNS[table]
        self.digests = Digests(None if asked.overwrite else places.digests)
        refuse_what_does_not_go_together(asked)
        run = None if asked.overwrite else read_run(places.out)
        before: Mapping[str, Any] = run["settings"] if run and run["verb"] == "reproduce" else {}
        real = asked.data is not None
        size = asked.size or before.get("size") or ("paper" if real else "tiny")
        sources = read_sources(asked.data) if asked.data else sources_of_phantoms(places, methods)
        seeds = asked.seeds or before.get("seeds") or SEEDS
        self.setup = Setup(places, sources, size, tuple(range(seeds)), None, asked.common, tuple(segmenting))
        refuse_no_rows(sources, table)
        if real:
            check_sources(sources, self.columns, size, asked.common)
        self.chosen: Chosen = {} if real or asked.overwrite else read_chosen(places)
        self.setup = rated(self.setup, self.chosen)
        minutes = asked.budget if asked.budget is not None else before.get("budget")
        steps = before.get("steps") or (None if real else self.steps_in(minutes))
        if steps is not None:
            self.setup = self.with_steps(steps)
        self.settings = {
            "table": "of the paper",
            "data": str(asked.data.resolve()) if asked.data else None,
            "size": size,
            "seeds": seeds,
            "budget": minutes,
            "steps": steps,
            "common": list(asked.common),
            "patients": None if real else asdict(patients),
        }
        # Nothing is chosen by a further seed, so that more may be asked for later.
        self.free = ("seeds",) if seeds > before.get("seeds", seeds) else ()
        check_folder(places.out, "reproduce", self.settings, asked.resume, asked.overwrite, free=self.free)

    @property
    def encoder(self) -> Recipe:
        """That of every row."""
        return load_recipe(SIMCROP.recipe[self.setup.size])

    @property
    def sizes(self) -> Sizes:
        """Scans of phantom cohorts, about: few patients have two."""
        if not self.setup.sources.phantoms:
            return {}
        return {self.places.cohort(*of): self.patients.of(*of) for of in wanted(self.columns)}

    def with_steps(self, steps: int) -> Setup:
        return replace(self.setup, budget=Budget(steps, self.patients.ct_rate))

    def steps_in(self, minutes: float | None) -> int:
        """So many that this table takes about that long here; drawing and starting take their part."""
        if minutes is None:
            return STEPS
        few, many = (
            self.seconds(to_do(self.table, self.with_steps(steps), self.chosen)) for steps in (100, 200)
        )
        each = (many - few) / 100
        steps = int((60 * minutes - (few - 100 * each)) / each)
        if steps < FEWEST:
            least = (few - (100 - FEWEST) * each) / 60
            raise SimcropError(
                "bad-setting", f"--budget {minutes:g}: {self.table} takes {least:.0f} minutes at least here"
            )
        return steps

    def seconds(self, jobs: Sequence[Job]) -> float:
        """What is left, on as many cores as there are."""
        anew = self.asked.overwrite
        left = [job for job in jobs if anew or not job.done]
        to_draw = [
            of for of in wanted(self.columns) if anew or not (self.places.cohort(*of) / METRICS).exists()
        ]
        drawing = speeds().cores.draw_s * sum(self.patients.of(*of) for of in to_draw)
        work = seconds_on_a_core(total(left, self.encoder, self.sizes, anew), len(left), best_precision())
        return (drawing + work) / self.at_once

    def jobs(self) -> list[Job]:
        """All there is to do by what is chosen so far, done or not."""
        return planned(self.table, self.setup, self.chosen)

    def known(self, jobs: Sequence[Job]) -> list[Job]:
        """Those whose cohort is there."""
        return [job for job in jobs if (job.cohort / METRICS).exists()]

    def refuse_other_origins(self, jobs: Sequence[Job]) -> None:
        """Of phantoms only what belongs to rows that were chosen for, or tried: the rest is not known yet."""
        tried: list[Job] = []
        if self.setup.sources.phantoms:
            tried = [of.probe for of in candidates(self.table, self.setup, self.chosen)]
            jobs = [job for job in jobs if job.row in self.chosen]
        refuse_other_origins(self.known([*jobs, *tried]), self.jobs(), self.digests)

    def words(self) -> list[str]:
        jobs, end = to_do(self.table, self.setup, self.chosen), ""
        if self.setup.sources.phantoms:
            minutes, budget = self.seconds(jobs) / 60, self.setup.budget
            assert budget is not None
            end = (
                f"phantoms; every method sees {budget.steps * budget.batch} scans in {budget.steps} steps; "
                f"about {minutes:.0f} minutes here, {self.at_once} at once"
            )
        missing = {c.dataset: why for c in self.columns if (why := self.setup.sources.missing.get(c.dataset))}
        precision = best_precision() if end else None
        anew = self.asked.overwrite
        return lines_of(self.table, jobs, self.encoder, self.sizes, missing, precision, end, anew)

    def command(self) -> list[str]:
        """The same command, for a script."""
        asked = self.asked
        words = ["reproduce", self.table, "--out", str(self.places.out)]
        words += ["--data", str(asked.data.resolve())] if asked.data else []
        words += ["--seeds", str(len(self.setup.seeds)), "--size", self.setup.size]
        return words + [word for change in asked.common for word in ("--set", change)]

    def run(self, jobs: Sequence[Job], on: Sequence[Environment], say: Say) -> bool:
        """What is not done yet, then the table; after `--only` no table. A rate that was tried and failed is no failure
        of a row for which another was chosen.
        """
        failed: dict[Path, SimcropError] = {}
        waiting: dict[str, SimcropError] = {}
        record_machine(self.places)
        if self.setup.sources.phantoms:
            draw(self.columns, self.places, self.patients, say, max(1, len(on)))
            failed = self.choose(on, say)
            waiting = left_open(self.table, self.setup, self.chosen, failed)
            jobs = unique([*jobs, *self.jobs()])
            skipped = [job for job in jobs if job.row in waiting and not job.done]
            failed = {job.folder: waiting[job.row] for job in skipped} | failed
            self.refuse_other_origins(self.jobs())
            failed |= run_jobs([job for job in self.jobs() if isinstance(job, Trained)], on, say, failed)
            say("the test is opened")
        failed |= run_jobs(self.jobs() if self.setup.sources.phantoms else jobs, on, say, failed)
        write_failures(self.places, jobs, failed)
        if not self.asked.only:
            self.write(waiting)
        return not failed.keys() & {job.folder for job in self.jobs()}

    def write(self, waiting: Mapping[str, SimcropError]) -> None:
        """The table. A row for which nothing is chosen may have a run all the same, which is not to be shown."""
        setup, places = self.setup, self.setup.places
        seeds = setup.seeds[:1] if self.table == "fig4" else setup.seeds
        whys = {places.run(row, seed): why.sentence for row, why in waiting.items() for seed in seeds}
        rows, missing = setup.sources.rows(self.table), setup.sources.missing
        write_table(self.table, rows, self.columns, seeds, places, missing, read_failures(places) | whys)

    def choose(self, on: Sequence[Environment], say: Say) -> dict[Path, SimcropError]:
        """The rate and the pooling of each row, by the validation cohort; written down once and not chosen again. Why
        trainings and probes failed, by their folders.
        """
        failed: dict[Path, SimcropError] = {}
        for _ in range(2):  # rows that follow another come second
            failed |= run_jobs(trials(self.table, self.setup, self.chosen), on, say, failed)
            every = candidates(self.table, self.setup, self.chosen)
            probes = [of.probe for of in every]
            there = [job for job in probes if (job.model / "model").is_dir() or job.model.name == "model"]
            failed |= run_jobs(there, on, say, failed)
            self.chosen = choose(self.places, every, failed)
            self.setup = rated(self.setup, self.chosen)
        return failed


def planned(table: str, setup: Setup, chosen: Chosen) -> list[Job]:
    """What is tried for rows that nothing is chosen for yet, then all that the table needs."""
    if not setup.sources.phantoms:
        return plan(table, setup)
    pools = {row: of["pool"] for row, of in chosen.items()}
    return unique([*trials(table, setup, chosen), *plan(table, setup, pools)])


def to_do(table: str, setup: Setup, chosen: Chosen) -> list[Job]:
    """The same, with the probes that rates and poolings are chosen by."""
    jobs = planned(table, setup, chosen)
    if not setup.sources.phantoms:
        return jobs
    return unique([*jobs, *(of.probe for of in candidates(table, setup, chosen))])


def unique(jobs: Sequence[Job]) -> list[Job]:
    """One of those with the same folder."""
    return list({job.folder: job for job in jobs}.values())

"""Which jobs a table needs: everything once, in an order that can be run, alike for every row. Nothing is trained."""

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from simcrop.config import flat, load_recipe, recipe_names
from simcrop.data.names import NAMES
from simcrop.errors import SimcropError
from simcrop.experiments.tables.columns import TABLES
from simcrop.experiments.tables.expense import expense_of, total
from simcrop.experiments.tables.jobs import Job, Pretrain, Probe, Segment, Transfer, Untrained
from simcrop.experiments.tables.phantoms import Patients, sources_of_phantoms
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.plan_text import lines_of
from simcrop.experiments.tables.planning import Budget, Setup, plan
from simcrop.experiments.tables.recorded import read_failures, write_failures
from simcrop.experiments.tables.rows import ROWS
from simcrop.experiments.tables.running import HERE, run_jobs
from simcrop.experiments.tables.slurm import array_script, chains
from simcrop.experiments.tables.sources import Sources

EVERY_ROW = {row.key: row for rows in ROWS.values() for row in rows}
SHARED = ("input.", "vision.", "optim.", "aug.", "engine.precision")


@pytest.mark.parametrize("key", list(EVERY_ROW))
def test_the_recipe_of_every_row_is_shipped(key: str) -> None:
    missing = {*EVERY_ROW[key].recipe.values()} - {*recipe_names()}
    assert not missing or EVERY_ROW[key].weights, f"rows without a recipe: {missing}"


@pytest.mark.parametrize("table", TABLES)
def test_every_job_comes_once_and_after_those_it_waits_for(table: str, setup: Setup) -> None:
    jobs = plan(table, setup)
    folders = [job.folder for job in jobs]
    assert len(set(folders)) == len(folders)
    for place, job in enumerate(jobs):
        assert set(job.after) <= set(folders[:place]), job.name


def test_tables_share_what_they_train(setup: Setup) -> None:
    by_folder: dict[Path, Job] = {}
    for table in TABLES:
        for job in plan(table, setup):
            known = by_folder.setdefault(job.folder, job)
            assert known == job or (isinstance(job, Transfer) and known.folder == job.folder)
    trained = {job.folder for job in plan("table1", setup) if isinstance(job, Pretrain)}
    assert {job.folder for job in plan("table2", setup) if isinstance(job, Pretrain)} == trained


def test_rows_differ_from_the_base_in_their_objective_only(setup: Setup) -> None:
    runs = [job for job in plan("table1", setup) if isinstance(job, Pretrain) and job.seed == 0]
    alike = [
        {name: value for name, value in flat(job.built).items() if name.startswith(SHARED)} for job in runs
    ]
    base = next(one for one, job in zip(alike, runs, strict=True) if job.row == "simcrop")
    for one, job in zip(alike, runs, strict=True):
        halved = job.row == "labels-first"
        changed = {name for name in base if one.get(name, base[name]) != base[name]}
        assert changed <= ({"optim.steps", "optim.epochs", "optim.warmup_epochs"} if halved else set()), job


def test_a_row_that_starts_from_another_objective_has_the_same_budget_in_all(setup: Setup) -> None:
    jobs = [job for job in plan("table1", setup) if isinstance(job, Pretrain) and job.seed == 1]
    first, second = [job for job in jobs if job.row == "labels-first"]
    assert first.built.method == "supervised"
    assert second.built.method == "simcrop"
    assert second.built.init.model == str(first.folder)
    assert second.after == (first.folder,)
    assert first.built.optim.steps == second.built.optim.steps == 10
    odd = replace(setup, budget=replace(setup.budget, steps=125))
    steps = {
        job.folder.parent.name: job.built.optim.steps or 0
        for job in plan("table1", odd)
        if isinstance(job, Pretrain)
    }
    assert steps["labels-first-first"] + steps["labels-first"] == steps["simcrop"] == 125


@pytest.mark.parametrize("steps", [20, 125, 5000])
def test_what_a_method_does_for_some_of_its_epochs_it_does_for_that_share_of_the_steps(
    setup: Setup, steps: int
) -> None:
    long = replace(setup, budget=Budget(steps, 2700))
    (job, *_) = [job for job in plan("table1", long) if isinstance(job, Pretrain) and job.row == "dino"]
    own, of = load_recipe("dino-tiny"), job.built
    assert of.optim.epochs >= steps * 32 / 2700
    assert of.optim.warmup_epochs / of.optim.epochs == pytest.approx(0.1)
    if steps < 1000:
        shares = [recipe.head.frozen_epochs / recipe.optim.epochs for recipe in (own, of)]  # type: ignore[attr-defined]
        assert shares[0] == shares[1]


def test_a_random_start_has_no_weights_of_other_places(setup: Setup, tmp_path: Path) -> None:
    weights = {"mae": tmp_path / "mae.safetensors", "text": tmp_path / "bert"}
    jobs = plan("table2", replace(setup, sources=replace(setup.sources, weights=weights)))
    starts = {job.row: job.built.init.mae for job in jobs if isinstance(job, Pretrain | Untrained)}
    assert starts.pop("random") is None
    assert starts.pop("labels-first") is None  # its first half has them
    assert set(starts.values()) == {str(weights["mae"])}


def test_without_a_column_that_can_be_filled_nothing_is_trained(setup: Setup) -> None:
    missing = dict.fromkeys(NAMES, "not there")
    for table in TABLES:
        assert plan(table, replace(setup, sources=replace(setup.sources, missing=missing))) == []


def test_probes_of_a_data_set_are_one_job_with_the_shares_of_all_tables(setup: Setup) -> None:
    (one,) = [
        job for job in plan("table3", setup) if isinstance(job, Probe) and (job.row, job.seed) == ("il", 0)
    ]
    assert one.shares == (0.1, 1.0)
    assert one.after == (setup.places.run("il", 0),)


def test_what_was_chosen_reaches_every_probe_of_the_row(setup: Setup) -> None:
    probes = [job for job in plan("table1", setup, {"mae": "max"}) if isinstance(job, Probe)]
    assert {job.pool for job in probes if job.row == "mae"} == {"max"}
    assert {job.pool for job in probes if job.row != "mae"} == {"mean"}


def test_real_data_has_the_papers_settings_and_no_column_that_is_missing(tmp_path: Path) -> None:
    parts: list[str] = ["pretrain", "classify", "segment"]
    cohorts = {name: dict.fromkeys(parts, tmp_path / name) for name in ("ct-rate", "luna16")}
    missing = {name: "not there" for name in NAMES if name not in cohorts}
    sources = Sources(
        cohorts, missing, ("mae", "simcrop", "labels-first"), {"mae": tmp_path / "mae.safetensors"}
    )
    setup = Setup(Places(tmp_path), sources, "paper", (0,))
    jobs = plan("table2", setup)
    assert {job.folder.name for job in jobs if isinstance(job, Segment)} == {"luna16-10", "luna16-100"}
    tenth = next(job for job in jobs if job.folder.name == "luna16-10")
    assert isinstance(tenth, Segment)
    assert (tenth.built.optim.epochs, tenth.built.data.share) == (400, 0.1)
    runs = {job.folder.parent.name: job.built for job in jobs if isinstance(job, Pretrain)}
    assert runs["mae"].optim.epochs == 140
    assert runs["mae"].init.mae == str(tmp_path / "mae.safetensors")
    assert runs["labels-first-first"].optim.epochs == runs["labels-first"].optim.epochs == 70
    assert runs["labels-first"].init.mae is None
    assert {job.head for job in plan("table1", setup) if isinstance(job, Probe)} == {"linear"}


@pytest.mark.parametrize("name", ["study #2", 'run: "a"', "Prüfung 🫁"])
def test_paths_reach_the_recipes_as_they_are(name: str, setup: Setup, tmp_path: Path) -> None:
    out = tmp_path / name
    weights = {"mae": out / "mae.safetensors", "text": out / "bert"}
    files = {f"organs.{name}": out / f"{name}.json" for name in ("descriptions", "conclusions")}
    sources = replace(setup.sources, weights=weights, files=files)
    jobs = plan("table2", replace(setup, places=Places(out), sources=sources))
    built = {(job.verb, job.row): job.built for job in jobs if isinstance(job, Pretrain | Segment)}
    assert built["segment", "mae"].init.model == str(out / "runs/mae/1")
    assert built["pretrain", "labels-first"].init.model == str(out / "runs/labels-first-first/1")
    assert built["pretrain", "mae"].init.mae == str(out / "mae.safetensors")
    assert built["pretrain", "simcrop"].text.model == str(out / "bert")
    assert flat(built["pretrain", "fvlm"])["organs.descriptions"] == str(out / "descriptions.json")


def test_an_official_model_is_judged_and_not_trained(setup: Setup, tmp_path: Path) -> None:
    sources = Sources(setup.sources.cohorts, methods=("m3d-official",), weights={"m3d": tmp_path / "m3d"})
    jobs = plan("table1", Setup(setup.places, sources, "tiny", (0,), setup.budget))
    assert {type(job) for job in jobs} == {Probe}
    assert {job.model for job in jobs if isinstance(job, Probe)} == {tmp_path / "m3d"}
    assert [row.key for row in sources.rows("table1")] == ["m3d-official"]
    assert sources.rows("table2") == ()  # where every row is fine-tuned


def test_costs_add_up_and_grow_with_the_steps(setup: Setup) -> None:
    sizes = {path: 100 for parts in setup.sources.cohorts.values() for path in parts.values()}
    jobs = [job for job in plan("table3", setup) if job.row == "simcrop"]
    run = next(job for job in jobs if isinstance(job, Pretrain))
    encoder = run.built
    spent = [expense_of(job, encoder, sizes) for job in jobs]
    assert total(jobs, encoder, sizes).gflop == pytest.approx(sum(of.gflop for of in spent))
    assert total(jobs, encoder, sizes).bytes_on_disk == sum(of.bytes_on_disk for of in spent)
    doubled = Setup(setup.places, setup.sources, "tiny", (0,), Budget(40, 48))
    again = next(job for job in plan("table3", doubled) if job.folder == run.folder)
    twice = expense_of(again, encoder, sizes).gflop
    whole = expense_of(run, encoder, sizes).gflop
    assert twice == pytest.approx(2 * whole)
    run.folder.mkdir(parents=True)
    (run.folder / "run.json").touch()
    assert expense_of(run, encoder, sizes).gflop == pytest.approx(whole)
    (run.folder / "journal.jsonl").write_text("".join(f'{{"step": {n + 1}}}\n' for n in range(5)))
    assert expense_of(run, encoder, sizes).gflop == pytest.approx(whole * 15 / 20)
    assert expense_of(run, encoder, sizes, anew=True).gflop == pytest.approx(whole)
    lines = lines_of("table3", jobs, encoder, sizes, {"btcv": "not there"}, None, "the end")
    assert lines[0] == "table3: 6 jobs"
    assert any(line.startswith("simcrop") and "pretrain 2, probe 2, segment 2" in line for line in lines)
    assert lines[-2:] == ["no column btcv: not there", "the end"]


def finish(job: Job) -> None:
    """As if it had been done."""
    place = job.folder / "model" if isinstance(job, Untrained) else job.folder
    place.mkdir(parents=True)
    if place == job.folder:
        (place / "metrics.json").write_text("{}")


def test_what_is_done_is_skipped_and_what_is_begun_goes_on(setup: Setup) -> None:
    jobs = [job for job in plan("table3", setup) if job.row == "simcrop"][:2]
    assert [job.done for job in jobs] == [False, False]
    finish(jobs[0])
    jobs[1].folder.mkdir(parents=True)
    (jobs[1].folder / "run.json").write_text("{}")
    assert [(job.done, job.begun) for job in jobs] == [(True, False), (False, True)]


def test_maps_of_phantoms_are_asked_by_the_page_alone(setup: Setup) -> None:
    assert [job.verb for job in plan("fig4", setup)] == ["pretrain"]


def test_the_array_script_is_bash_with_a_task_for_all_that_is_left(setup: Setup, tmp_path: Path) -> None:
    jobs = plan("table3", setup)
    for job in jobs:
        if (job.row, job.seed) == ("il", 0):
            finish(job)
    left = chains(jobs)
    assert ("il", 0) not in left
    assert len(left) == 11
    script = array_script("table3", jobs, ["reproduce", "table3", "--out", "a b"], tmp_path)
    path = tmp_path / "script"
    path.write_text(script)
    subprocess.run(["bash", "-n", str(path)], check=True)
    assert "#SBATCH --array=0-10" in script
    assert "--out 'a b' --resume --only" in script


@dataclass(frozen=True)
class Toy(Job):
    """Writes its name down, or fails."""

    log: Path = Path()
    fails: bool = False

    def run(self) -> None:
        if self.fails:
            raise SimcropError("bad", f"{self.row} cannot be done")
        with self.log.open("a") as file:
            file.write(self.row)
        finish(self)


def toys(tmp_path: Path, *asked: tuple[str, str, bool]) -> list[Job]:
    log = tmp_path / "log"
    log.touch()
    return [
        Toy(name, 0, tmp_path / name, tmp_path, log, fails, after=tuple(tmp_path / of for of in after))
        for name, after, fails in asked
    ]


def test_a_job_waits_for_others_and_one_that_fails_stops_those_alone_that_wait_for_it(tmp_path: Path) -> None:
    jobs = toys(
        tmp_path, ("a", "b", False), ("b", "", False), ("c", "", True), ("d", "c", False), ("e", "", False)
    )
    said: list[str] = []
    failed = run_jobs(jobs, HERE, said.append)
    assert (tmp_path / "log").read_text() == "bae"
    why = {folder: error.sentence for folder, error in failed.items()}
    assert why == {tmp_path / "c": "c cannot be done", tmp_path / "d": "c cannot be done"}
    assert any("failed: " in line for line in said)
    assert run_jobs(jobs, HERE, said.append).keys() == failed.keys()
    assert (tmp_path / "log").read_text() == "bae", "what is done is done again"


def test_failures_are_kept_until_their_job_is_done(tmp_path: Path) -> None:
    places, jobs = Places(tmp_path), toys(tmp_path, ("a", "", False), ("b", "", False))
    write_failures(places, jobs, {tmp_path / "a": SimcropError("bad", "why")})
    assert read_failures(places) == {tmp_path / "a": "why"}
    write_failures(places, jobs[1:], {})
    assert read_failures(places) == {tmp_path / "a": "why"}
    write_failures(places, jobs, {})
    assert read_failures(places) == {}


def test_every_phantom_cohort_has_patients() -> None:
    parts = {(name, part) for name, of in sources_of_phantoms(Places(Path())).cohorts.items() for part in of}
    assert all(Patients().of(*of) > 0 for of in parts)

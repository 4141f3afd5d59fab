"""What the folders of jobs say: runs that are not those of the plan, and why others failed. No axes or units."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from simcrop.config import Recipe, flat, free_settings
from simcrop.errors import SimcropError
from simcrop.experiments.tables.jobs import Job, Probe, Training
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.running import Failures
from simcrop.files.digest import digest_of_files
from simcrop.files.whole import read_json, write_json
from simcrop.tasks.folder import read_run
from simcrop.tasks.record import plain
from simcrop.tasks.training.pinned import pinned

SETTLED = ("init.model",)  # a path, which may be written in another way


def refuse_other_recipes(jobs: Iterable[Job]) -> None:
    """Every run that was begun is one of the plan's, and so is every probe that is done. Raises SimcropError with the
    first setting that differs.
    """
    for job in jobs:
        run = read_run(job.folder)
        for name, (found, wanted) in (differing(job, run["settings"]) if run else {}).items():
            raise SimcropError(
                "other-recipe",
                f"{job.folder} was run with {name} = {found!r}, the plan has {wanted!r}: choose another --out, or "
                "remove that folder",
            )


def differing(job: Job, settings: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """Settings that are not the plan's: what was run, what is planned. What the plan leaves open may be anything, and a
    probe that was begun is made anew.
    """
    if isinstance(job, Training):
        wanted = wanted_of(job.built, job.cohort, settings)
    elif isinstance(job, Probe) and job.done:
        wanted = probed(job, settings)
    else:
        wanted = {}
    return {
        name: (settings.get(name), value)
        for name, value in wanted.items()
        if value not in ("auto", []) and settings.get(name) != value
    }


def wanted_of(recipe: Recipe, cohort: Path, settings: Mapping[str, object]) -> dict[str, object]:
    """Of a training. A run of an older simcrop has no digests of what it read, and a file that is not there any more
    tells nothing.
    """
    free = free_settings(recipe) | set(SETTLED)
    wanted = {name: value for name, value in plain(flat(recipe)).items() if name not in free}
    try:
        pins = pinned(recipe)
    except SimcropError:
        pins = {}
    wanted |= {name: digest for name, digest in pins.items() if name in settings}
    return {**wanted, "cohort": digest_of_files(cohort / "studies.parquet")}


def probed(job: Probe, settings: Mapping[str, object]) -> dict[str, object]:
    """Of a probe. Shares that were too small for every label may be missing of the smallest ones."""
    done = settings.get("shares")
    shares = list(job.shares)
    few = isinstance(done, list) and bool(done) and done == shares[-len(done) :]
    return {
        "seed": job.seed,
        "pool": job.pool,
        "head": job.head,
        "baselines": False,
        "shares": done if few else shares,
    }


def write_failures(places: Places, jobs: Sequence[Job], failed: Failures) -> None:
    """A file per row and seed, so that several processes may write; a job that is done has not failed any more."""
    for row, seed in dict.fromkeys((job.row, job.seed) for job in jobs):
        mine = [job.folder for job in jobs if (job.row, job.seed) == (row, seed)]
        path = places.failures(row, seed)
        kept = {place: why for place, why in read_failures_at(path).items() if Path(place) not in mine}
        found = kept | {str(place): failed[place].sentence for place in mine if place in failed}
        if found:
            path.parent.mkdir(exist_ok=True)
            write_json(path, found)
        else:
            path.unlink(missing_ok=True)


def read_failures(places: Places) -> dict[Path, str]:
    """Why a job ended without a result, by its folder."""
    files = sorted(places.failures("row", 0).parent.glob("*.json"))
    return {Path(place): why for path in files for place, why in read_failures_at(path).items()}


def read_failures_at(path: Path) -> dict[str, str]:
    return read_json(path) if path.exists() else {}

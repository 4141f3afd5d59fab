"""Of which cohort and which model results are, as `run.json` of their folder says. No axes or units.

A digest is SHA-256 of files. Those of models are kept in `digests.json`, so that a look costs no reading of weights.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from simcrop.data.store.format import STUDIES
from simcrop.errors import SimcropError
from simcrop.experiments.tables.jobs import Ground, Job, Probe, Training, Transfer
from simcrop.experiments.tables.planning import Trained
from simcrop.files.digest import digest_of_files
from simcrop.files.whole import read_json, write_json
from simcrop.model.folder import CONFIG, WEIGHTS
from simcrop.tasks.folder import METRICS, read_run
from simcrop.tasks.probing.heads import HEADS


@dataclass
class Digests:
    """By files, with size and time of each: one that was written again is read again. `kept`: where they stay."""

    kept: Path | None = None
    known: dict[str, list[object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            self.known = dict(read_json(self.kept)) if self.kept is not None else {}
        except (OSError, ValueError, TypeError):  # none yet, or none of ours
            self.known = {}

    def of(self, *files: Path) -> str:
        name = ", ".join(map(str, files))
        stamps = [[of.st_size, of.st_mtime_ns] for of in (path.stat() for path in files)]
        found = self.known.get(name)
        if not isinstance(found, list) or found[0] != stamps:
            found = self.known[name] = [stamps, digest_of_files(*files)]
        return str(found[1])

    def keep(self) -> None:
        if self.kept is not None:
            write_json(self.kept, self.known)


@dataclass(frozen=True)
class Origin:
    """What results in `folder` were made of: `recorded` is its digest, `files` where the plan has it; `place`: whose
    files they are.
    """

    folder: Path
    what: str
    recorded: object
    place: Path
    files: tuple[Path, ...]


def refuse_other_origins(jobs: Iterable[Job], planned: Iterable[Job], digests: Digests) -> None:
    """Results are of the cohort and of the model of the plan; of a model that `planned` jobs have yet to train they
    cannot be. Raises SimcropError for the first that are not.
    """
    to_come = {job.folder for job in planned if isinstance(job, Trained) and not job.done}
    for job in jobs:
        for origin in origins_of(job):
            if origin.place in to_come or not is_same(origin, digests):
                raise SimcropError(
                    "other-origin",
                    f"{origin.folder} has results of another {origin.what} than {origin.place}: choose another --out, "
                    "or remove that folder",
                )


def is_same(origin: Origin, digests: Digests) -> bool:
    """True where the files are not there any more: nothing is known then."""
    there = all(path.is_file() for path in origin.files)
    return not there or not origin.files or digests.of(*origin.files) == origin.recorded


def origins_of(job: Job) -> Iterator[Origin]:
    """All that its folder has recorded. What a training reads of its recipe and cohort is compared elsewhere."""
    run = read_run(job.folder) or {}
    settings = run.get("settings", {})
    if isinstance(job, Training):
        for start, files in starts_of(job) if run.get("start") else ():
            yield Origin(job.folder, "model", run["start"].get("sha256"), start, files)
        return
    if isinstance(job, Probe | Transfer) and not job.done:
        return  # it will be done anew
    if run and isinstance(job, Probe | Transfer | Ground):
        studies = job.cohort / STUDIES
        yield Origin(job.folder, "cohort", settings.get("cohort"), job.cohort, (studies,))
    if isinstance(job, Probe) and run:
        yield Origin(job.folder, "model", settings.get("model"), job.model, model_files(job.model))
    elif isinstance(job, Transfer) and run:
        yield Origin(job.folder, "probe", settings.get("probe"), job.probe, (job.probe / HEADS,))
    elif isinstance(job, Ground):
        for place in sorted(path.parent for path in job.folder.glob(f"*/{METRICS}")):
            recorded = (read_run(place) or {}).get("settings", {}).get("model")
            yield Origin(job.folder, "model", recorded, job.model, model_files(job.model)[:1])


def starts_of(job: Training) -> Iterator[tuple[Path, tuple[Path, ...]]]:
    """The models that it starts from, or the 2D weights, with their files."""
    for start in job.after:
        yield start, model_files(start)
    if not job.after and (weights := job.built.init.mae):
        yield Path(weights), (Path(weights),)


def model_files(path: Path) -> tuple[Path, ...]:
    """Weights and config of a model or run folder; nothing where it has no finished one."""
    places = [place for place in (path, path / "model") if (place / CONFIG).is_file()]
    return (places[0] / WEIGHTS, places[0] / CONFIG) if places else ()

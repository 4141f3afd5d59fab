"""The jobs of the tables: each is a verb of the command line with its folder, done once and resumed by itself.

No axes or units. A job waits for those whose folders stand in `after`; it is its own folder that names it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from simcrop.config import Recipe, load_recipe
from simcrop.data.report import sentences
from simcrop.data.store.cohort import Cohort, Study, open_cohort
from simcrop.data.store.format import STUDIES
from simcrop.engine.fit import Fitted
from simcrop.engine.progress import PlainProgress
from simcrop.errors import SimcropError
from simcrop.files.digest import digest_of_files
from simcrop.files.whole import write_json
from simcrop.tasks.folder import METRICS, RUN, read_run, start_folder
from simcrop.tasks.grounding.ground import ground
from simcrop.tasks.labelled import label_matrix
from simcrop.tasks.probing.probe import ProbeOptions, probe
from simcrop.tasks.probing.transfer import transfer
from simcrop.tasks.segmentation.segment import segment
from simcrop.tasks.training.pretrain import pretrain, untrained

HELD_OUT = ("test", "valid")  # the first of these that a cohort has is judged by
SHOWN = 3  # scans of Fig. 4
SENTENCES = 6  # of each, at most


@dataclass(frozen=True)
class Job:
    """`row`, `seed`: whose it is; `cohort`: what it reads; `after`: folders of the jobs that come before it."""

    row: str
    seed: int
    folder: Path
    cohort: Path
    after: tuple[Path, ...] = field(default=(), kw_only=True)
    verb: ClassVar[str] = ""

    @property
    def name(self) -> str:
        where = "" if self.folder.name == str(self.seed) else f", {self.folder.name}"
        return f"{self.verb} {self.row}, seed {self.seed}{where}"

    @property
    def done(self) -> bool:
        return (self.folder / METRICS).exists()

    @property
    def begun(self) -> bool:
        """Whether it left something to go on with."""
        return not self.done and (self.folder / RUN).exists()

    def run(self) -> None:
        """From where it was left. Raises SimcropError, or KeyboardInterrupt once what there is is saved."""
        raise NotImplementedError


@dataclass(frozen=True)
class Training(Job):
    """`recipe` with `settings`, a setting each."""

    recipe: str
    settings: tuple[str, ...]

    @property
    def built(self) -> Recipe:
        return load_recipe(self.recipe, list(self.settings))


@dataclass(frozen=True)
class Pretrain(Training):
    verb: ClassVar[str] = "pretrain"

    @property
    def name(self) -> str:
        return f"pretrain {self.folder.parent.name}, seed {self.seed}"

    def run(self) -> None:
        whole(pretrain(self.cohort, self.built, self.folder, self.begun, progress=PlainProgress(self.name)))


@dataclass(frozen=True)
class Untrained(Training):
    """The start of a training, without a step."""

    verb: ClassVar[str] = "untrained"

    @property
    def done(self) -> bool:
        return (self.folder / "model").is_dir()

    def run(self) -> None:
        untrained(self.cohort, self.built, self.folder, overwrite=self.folder.is_dir())


@dataclass(frozen=True)
class Segment(Training):
    verb: ClassVar[str] = "segment"

    def run(self) -> None:
        progress = PlainProgress(self.name)
        whole(segment(self.cohort, self.built, self.folder, resume=self.begun, progress=progress))


@dataclass(frozen=True)
class Probe(Job):
    """All `shares` of the training patients in one go; a `head` on features that are pooled as `pool` says. A share
    that holds too few patients for every label is left out, and its cell stays empty.
    """

    model: Path
    shares: tuple[float, ...]
    pool: str = "mean"
    head: str = "logistic"
    verb: ClassVar[str] = "probe"

    def run(self) -> None:
        cohort = open_cohort(self.cohort)
        for fewest in range(len(self.shares)):
            options = self.options(cohort, self.shares[fewest:])
            try:
                probe(str(self.model), self.cohort, self.folder, options, overwrite=self.begun)
            except SimcropError as error:
                if error.reason != "share-too-small" or fewest == len(self.shares) - 1:
                    raise
            else:
                return

    def options(self, cohort: Cohort, shares: tuple[float, ...]) -> ProbeOptions:
        """The random start is a row of its own."""
        return ProbeOptions(
            shares,
            seed=self.seed,
            test=judged_split(cohort),
            pool=self.pool,
            head=self.head,
            baselines=False,
        )


@dataclass(frozen=True)
class Transfer(Job):
    """The heads of `probe` on all scans of another cohort."""

    probe: Path
    verb: ClassVar[str] = "transfer"

    def run(self) -> None:
        transfer(self.probe, self.cohort, self.folder, overwrite=self.begun)


@dataclass(frozen=True)
class Ground(Job):
    """Heat maps of the first scans held out that have a finding, for the sentences of their reports."""

    model: Path
    verb: ClassVar[str] = "ground"

    def run(self) -> None:
        shown = studies_to_show(open_cohort(self.cohort))
        known = read_run(self.folder) is not None  # maps of who knows which cohort are made again
        if not known:
            digest = digest_of_files(self.cohort / STUDIES)
            start_folder(self.folder, self.verb, {"cohort": digest})
        for number, study in enumerate(shown, 1):
            out = self.folder / f"{number:02d}"
            if not known or not (out / METRICS).exists():
                asked = sentences(study.findings)[:SENTENCES]
                ground(str(self.model), study.source_path, asked, None, out, overwrite=True)
        write_json(self.folder / METRICS, {"scans": len(shown)})


def whole(fitted: Fitted) -> None:
    """A training that was asked to stop stops the rest."""
    if not fitted.finished:
        raise KeyboardInterrupt


def judged_split(cohort: Cohort) -> str:
    """The split that a cohort is judged by."""
    there = set(cohort.index["split"].to_list())
    found = [split for split in HELD_OUT if split in there]
    if not found:
        raise SimcropError("no-studies", f"{cohort.path}: no study in a split {' or '.join(HELD_OUT)}")
    return found[0]


def studies_to_show(cohort: Cohort) -> list[Study]:
    """With reports, and a finding where labels tell."""
    held = cohort.select(judged_split(cohort))
    some = (label_matrix(held) == 1).any(1) if held.labels else [True] * len(held)
    found = [held[n] for n in range(len(held)) if some[n] and sentences(held[n].findings)]
    if not found:
        raise SimcropError("no-reports", f"{cohort.path}: no scan held out has a report to look for")
    return found[:SHOWN]

"""All that a running viewer holds: studies, scans, the model's sight, two queues, a temporary folder.

No axes or units. A sentence is answered by the quick queue; vectors of a whole cohort and exports, which may take
hours, wait in the other one.
"""

from dataclasses import dataclass
from pathlib import Path

from anyio import CapacityLimiter

from simcrop.data.store.cohort import Cohort
from simcrop.errors import SimcropError
from simcrop.files.digest import digest_of_files
from simcrop.model import load
from simcrop.model.folder import CONFIG, WEIGHTS, model_folder
from simcrop.viewer.catalogue import Catalogue
from simcrop.viewer.limits import Limits
from simcrop.viewer.place import open_place
from simcrop.viewer.shown import Scans
from simcrop.viewer.sight import Sight
from simcrop.viewer.vectors import Vectors
from simcrop.viewer.work import Queue

FIRST = "There is a nodule."


@dataclass(frozen=True, eq=False)
class View:
    """`folder`: for what is uploaded and exported, removed at the end. `root`: what may be opened lies below it."""

    catalogue: Catalogue
    cohort: Cohort | None
    scans: Scans
    sight: Sight | None
    folder: Path
    root: Path | None
    limits: Limits
    quick: Queue
    slow: Queue
    readers: CapacityLimiter
    vectors: Vectors

    @property
    def seeing(self) -> Sight:
        if self.sight is None:
            raise SimcropError("no-model", "no model was given: simcrop view PLACE --model MODEL shows maps")
        return self.sight

    def stop(self) -> bool:
        """Whether both threads have ended."""
        return all([self.quick.stop(), self.slow.stop()])


def open_view(
    place: Path,
    model: str | None,
    report: Path | None,
    folder: Path,
    root: Path | None = None,
    limits: Limits = Limits(),
) -> View:
    """Raises SimcropError for what cannot be opened."""
    if root is not None and not root.is_dir():
        raise SimcropError("missing-file", f"{root}: no such folder; --root wants one that scans lie below")
    opened = open_place(place, model, report)
    scans = Scans(opened.cohort, limits)
    read_alone(place, opened.catalogue, scans)
    view = View(
        opened.catalogue,
        opened.cohort,
        scans,
        None if opened.model is None else sight_of(opened.model, scans, limits),
        folder,
        None if root is None else root.resolve(),
        limits,
        Queue("simcrop-view", limits.waiting, limits.jobs),
        Queue("simcrop-view-slow", limits.waiting, limits.jobs),
        CapacityLimiter(limits.readers),
        Vectors(),
    )
    if view.sight is not None and view.sight.reads:
        sight = view.sight
        view.quick.put(
            lambda _: sight.encode([FIRST])
        )  # the first sentence takes seconds more than the others
    return view


def read_alone(place: Path, catalogue: Catalogue, scans: Scans) -> None:
    """The only scan of a place is read before a browser opens, so that one that cannot be read is refused at once."""
    entries = catalogue.fixed
    if len(entries) != 1 or entries[0].path is None:
        return
    try:
        scans.shown(entries[0])
    except SimcropError as error:
        raise SimcropError(error.reason, f"{place}: {error.sentence}") from error


def sight_of(path: str, scans: Scans, limits: Limits) -> Sight:
    model, folder = load(path), model_folder(Path(path))
    return Sight(model, digest_of_files(folder / WEIGHTS, folder / CONFIG), path, scans, limits)

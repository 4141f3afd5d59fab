"""The five data sets as phantoms, at toy size: what a table is run on where no data is given.

No axes or units. Every cohort is drawn from a seed of its own, so that no patient is in two of them. The validation
cohort, on which settings are chosen, is one more of CT-RATE's layout.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from simcrop.experiments.cohorts import SPACINGS
from simcrop.experiments.side_by_side import Say
from simcrop.experiments.tables.columns import Column
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.rows import ORGAN_TEXTS
from simcrop.experiments.tables.sources import Sources
from simcrop.tasks.cohorts.ingest import ingest
from simcrop.tasks.cohorts.phantom import phantom
from simcrop.tasks.folder import METRICS

SEEDS = 700  # of phantoms: none of another experiment
TEXTS = ("desc_info.json", "conc_info.json")  # in the raw folder, findings and conclusions by organ
PARTS = {
    "ct-rate": ("all", "choose"),
    "rad-chestct": ("all",),
    "cc-ccii": ("all",),
    "luna16": ("all",),
    "btcv": ("all",),
}


@dataclass(frozen=True)
class Patients:
    """Of each cohort; splits are those of its layout. `choose`: the validation cohort."""

    ct_rate: int = 2700
    choose: int = 500
    rad_chestct: int = 900
    cc_ccii: int = 1180  # 1 % of those to learn from has every class, with each of the first ten seeds
    luna16: int = 300
    btcv: int = 100

    def of(self, dataset: str, part: str) -> int:
        return asdict(self)["choose" if part == "choose" else dataset.replace("-", "_")]


def wanted(columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Data sets and parts that these columns need."""
    datasets = dict.fromkeys(["ct-rate", *(column.dataset for column in columns)])
    return [(dataset, part) for dataset in datasets for part in PARTS[dataset]]


def sources_of_phantoms(places: Places, methods: Sequence[str] = ()) -> Sources:
    """Where they lie, drawn or not."""
    cohorts: dict[str, Mapping[str, Path]] = {}
    for dataset, parts in PARTS.items():
        every = places.cohort(dataset, "all")
        found = dict.fromkeys(("pretrain", "classify", "segment"), every)
        cohorts[dataset] = found | {part: places.cohort(dataset, part) for part in parts if part != "all"}
    raw = places.raw("ct-rate", "all")
    files = {name: raw / text for name, text in zip(ORGAN_TEXTS, TEXTS, strict=True)}
    return Sources(cohorts, methods=tuple(methods), files=files, phantoms=True)


def draw(columns: Sequence[Column], places: Places, patients: Patients, say: Say, workers: int = 2) -> None:
    """Write and ingest what is not there yet."""
    for dataset, part in wanted(columns):
        out = places.cohort(dataset, part)
        if (out / METRICS).exists():
            continue
        count, seed = patients.of(dataset, part), SEEDS + drawn_seeds().index((dataset, part))
        say(f"phantoms: {dataset}, {part}, {count} patients")
        raw = places.raw(dataset, part)
        organs = dataset == "ct-rate"  # maps of organs and texts by organ, which one method reads
        phantom(raw, dataset, count, seed, "tiny", difficulty="easy", workers=workers, organs=organs)
        ingest(raw, dataset, out, workers, SPACINGS["tiny"])


def drawn_seeds() -> list[tuple[str, str]]:
    return [(dataset, part) for dataset, parts in PARTS.items() for part in parts]

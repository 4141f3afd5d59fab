"""Where the cohorts lie: a YAML file of the user's, or phantoms. What cannot be used is one line.

No axes; spacings in mm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from simcrop.config import load_recipe, put_path
from simcrop.data.names import NAMES
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.errors import SimcropError
from simcrop.experiments.tables.columns import Column
from simcrop.experiments.tables.jobs import judged_split
from simcrop.experiments.tables.rows import BASE, ORGAN_TEXTS, ROWS, Row, Size, row_of
from simcrop.files.yaml_text import NO_YAML, parse_yaml

PARTS = ("pretrain", "classify", "segment")
GROUPS = ("cohorts", "methods", "weights", "files")
WEIGHTS = {"mae": "init.mae", "text": "text.model", "m3d": ""}  # what each is to a recipe
FROM = {
    "ct-rate": "Hugging Face, ibrahimhamamci/CT-RATE",
    "rad-chestct": "Zenodo, RAD-ChestCT (Draelos et al.)",
    "cc-ccii": "China National Center for Bioinformation, CC-CCII (the 2019nCoVR download page)",
    "luna16": "the LUNA16 challenge on grand-challenge.org; Zenodo has its subsets",
    "btcv": "Synapse, Multi-Atlas Labeling Beyond the Cranial Vault",
}
SEGMENT_RECIPES: Mapping[Size, Mapping[str, str]] = {
    "paper": {"luna16": "segment-paper-luna16", "btcv": "segment-paper-btcv"},
    "tiny": {"luna16": "segment-tiny", "btcv": "segment-tiny"},
}


@dataclass(frozen=True)
class Sources:
    """`cohorts`: data set -> part -> cohort; `missing`: why a data set has none; `methods`: keys of the rows that are
    wanted, all if empty; `weights`: name -> file or folder; `files`: the setting that wants a file -> that
    file. `phantoms`: whether they were drawn for the tables.
    """

    cohorts: Mapping[str, Mapping[str, Path]]
    missing: Mapping[str, str] = field(default_factory=dict)
    methods: tuple[str, ...] = ()
    weights: Mapping[str, Path] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    phantoms: bool = False

    def cohort(self, dataset: str, part: str) -> Path | None:
        return self.cohorts.get(dataset, {}).get(part)

    def rows(self, table: str) -> tuple[Row, ...]:
        """Those that are wanted; a finished model has a row where it was given."""
        return tuple(
            row
            for row in ROWS[table]
            if (not self.methods or row.key in self.methods)
            and (row.weights is None or row.weights in self.weights)
        )

    @property
    def start(self) -> tuple[str, ...]:
        """Settings that every recipe gets: the weights of other places."""
        return tuple(put_path(WEIGHTS[name], path) for name, path in self.weights.items() if WEIGHTS[name])


def read_sources(file: Path) -> Sources:
    """What the YAML file says; paths are taken from its own folder. Raises SimcropError in one line."""
    try:
        tree = parse_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SimcropError("no-data-file", f"cannot read {file}: {error}") from error
    except NO_YAML as error:
        raise SimcropError("bad-data-file", f"{file} is not YAML: {' '.join(str(error).split())}") from error
    groups = named(tree, file, "data file", GROUPS)
    cohorts = {
        name: parts_of(where, file, name)
        for name, where in named(groups.get("cohorts"), file, "data set", NAMES).items()
    }
    if "ct-rate" not in cohorts:
        raise SimcropError(
            "bad-data-file", f"{file}: no ct-rate under `cohorts`, and every method is pre-trained on it"
        )
    weights = named(groups.get("weights") or {}, file, "weights", WEIGHTS)
    files = named(groups.get("files") or {}, file, "files", ORGAN_TEXTS)
    return Sources(
        cohorts,
        {
            name: f"no cohort of {words} in the data file; it is to be had from {FROM[name]}"
            for name, words in NAMES.items()
            if name not in cohorts
        },
        methods_of(groups.get("methods") or [], file),
        {name: existing(path, file, name) for name, path in weights.items()},
        {name: existing(path, file, name) for name, path in files.items()},
    )


def named(tree: Any, file: Path, what: str, known: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """A mapping whose names are all known."""
    if not isinstance(tree, dict):
        raise SimcropError("bad-data-file", f"{file}: expected `name: value` lines with {', '.join(known)}")
    for name in tree:
        refuse_unknown(name, file, what, known)
    return tree


def refuse_unknown(name: Any, file: Path, what: str, known: Sequence[str] | Mapping[str, Any]) -> None:
    if name not in known:
        near = get_close_matches(str(name), list(known), 1, cutoff=0.4)
        meant = f", did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
        raise SimcropError("bad-data-file", f"{file}: unknown name {name!r} ({what}){meant}")


def parts_of(where: Any, file: Path, dataset: str) -> dict[str, Path]:
    """One cohort for all, or one for each part."""
    if not isinstance(where, dict):
        return dict.fromkeys(PARTS, existing(where, file, dataset))
    parts = named(where, file, f"part of {dataset}", PARTS)
    return {part: existing(path, file, f"{dataset}, {part}") for part, path in parts.items()}


def existing(path: Any, file: Path, what: str) -> Path:
    if not isinstance(path, str) or not path.strip():
        raise SimcropError("bad-data-file", f"{file}: {what} wants a path, got {path!r}")
    try:
        found = (file.parent / Path(path).expanduser()).resolve()
        there = found.exists()
    except (OSError, RuntimeError, ValueError) as error:  # a home of nobody, a name that none can have
        raise SimcropError("missing-file", f"{file}: {what}: no path that can be: {path!r}") from error
    if not there:
        raise SimcropError("missing-file", f"{what}: {found} is not there")
    return found


def methods_of(names: Any, file: Path) -> tuple[str, ...]:
    known = list(dict.fromkeys(row.key for rows in ROWS.values() for row in rows))
    if not isinstance(names, list):
        raise SimcropError("bad-data-file", f"{file}: methods wants a list, such as [mae, simcrop]")
    for name in names:
        refuse_unknown(name, file, "method", known)
    return tuple(names)


def check_sources(
    sources: Sources, columns: Sequence[Column], size: Size, common: Sequence[str] = ()
) -> None:
    """Every cohort that these columns need: there, of the right spacing, with labels or masks; `common`: changes to
    every recipe. Raises SimcropError.
    """
    base = load_recipe(row_of(BASE).recipe[size], list(common))
    wanted = [("ct-rate", "pretrain")]
    for column in columns:
        wanted += [("ct-rate", "classify")] if column.task in ("transfer", "heat") else []
        wanted.append((column.dataset, "segment" if column.task == "segment" else "classify"))
    for dataset, part in dict.fromkeys(wanted):
        if dataset in sources.missing:
            continue
        path = sources.cohort(dataset, part)
        if path is None:
            raise SimcropError("bad-data-file", f"{dataset} has no cohort for its part `{part}`")
        recipe = load_recipe(SEGMENT_RECIPES[size][dataset]) if part == "segment" else base
        check_cohort(open_cohort(path), dataset, part, recipe.input.spacing_mm)
    if any(column.task != "segment" and column.dataset == "ct-rate" for column in columns):
        refuse_judged_in_training(sources, base.data.split)


def refuse_no_rows(sources: Sources, table: str) -> None:
    """A table without a row would be trained for nothing."""
    if not sources.rows(table):
        known = ", ".join(row.key for row in replace(sources, methods=()).rows(table))
        raise SimcropError("bad-data-file", f"none of `methods` is a row of {table}, which has {known}")


def refuse_judged_in_training(sources: Sources, split: str) -> None:
    """Patients by whom CT-RATE's columns are judged, where every method has learned from them: two cohorts may hold the
    same ones.
    """
    learned, judged = (sources.cohort("ct-rate", part) for part in ("pretrain", "classify"))
    if learned is None or judged is None or learned == judged:
        return
    held = open_cohort(judged)
    seen = set(open_cohort(learned).select(split).index["patient"])
    if both := seen & set(held.select(judged_split(held)).index["patient"]):
        raise SimcropError(
            "leaked",
            f"{learned} (ct-rate, pretrain): {len(both)} of its patients in split {split!r} are judged in {judged} "
            f"({judged_split(held)}): leave them out of one of the two",
        )


def check_cohort(cohort: Cohort, dataset: str, part: str, spacing: tuple[float, float, float]) -> None:
    what = f"{cohort.path} ({dataset}, {part})"
    if max(abs(one - other) for one, other in zip(cohort.spacing_mm, spacing, strict=True)) > 1e-6:
        here, there = (",".join(f"{mm:g}" for mm in of) for of in (cohort.spacing_mm, spacing))
        raise SimcropError(
            "other-spacing", f"{what}: ingested at {here} mm, its recipe reads {there}: --spacing {there}"
        )
    if part == "classify" and dataset != "btcv" and not cohort.labels:
        raise SimcropError("no-labels", f"{what}: its studies have no labels to probe")
    if part == "segment" and not cohort.classes:
        raise SimcropError("no-masks", f"{what}: none of its studies has a mask")
    if part != "pretrain" and not {"test", "valid"} & set(cohort.index["split"].to_list()):
        raise SimcropError("no-studies", f"{what}: no study in a split test or valid to judge by")

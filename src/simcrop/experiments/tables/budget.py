"""What each row was given: scans seen, steps, parameters; and where and how the whole was run. No axes or units.

All of it is read from files, so that a table that is written again is the same.
"""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path

from safetensors import safe_open

from simcrop.config import build_recipe
from simcrop.engine.journal import read_journal
from simcrop.experiments.tables.columns import TABLES
from simcrop.experiments.tables.options import SEEDS
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.rows import Row
from simcrop.files.whole import read_json, write_json
from simcrop.model.folder import CONFIG, WEIGHTS
from simcrop.tasks.folder import read_run
from simcrop.tasks.training.counted import counted

MACHINES = "machines.json"
WITH_VALUE = {"--seeds", "--only"}
OF_ONE_CALL = {
    *WITH_VALUE,
    "--resume",
    "--overwrite",
    "--dry-run",
    "--slurm",
}  # words that do not say what the tables are


@dataclass(frozen=True)
class TableOrigin:
    """What the tables are of: the `command`, the `machines`, and whether on `phantoms` or on a user's cohorts."""

    command: str
    machines: tuple[str, ...]
    phantoms: bool


@dataclass(frozen=True)
class Given:
    """`steps` and `scans` seen, with repetition and with those of the row that it starts from, the most of any seed;
    None where it was trained elsewhere or not yet. Parameters: `encoder`, of what is judged; `trained`, all that
    learned. `rate`: the learning rate it was trained at. `pool`: how its patches are pooled, as chosen on the
    validation cohort; empty where nothing was chosen.
    """

    row: Row
    steps: int | None
    scans: int | None
    encoder: int | None
    trained: int | None
    rate: float | None = None
    pool: str = ""


def read_origin(table: str, places: Places) -> TableOrigin:
    """From the files that the experiment leaves; it runs on phantoms unless its settings name `data`. All tables share
    a folder, whose command is that of the first with another name.
    """
    run = read_run(places.out) or {}
    path = places.out / MACHINES
    machines = read_json(path)["machines"] if path.is_file() else [run.get("platform", "not recorded")]
    settings = run.get("settings", {})
    words = command_of(table, run.get("command", []), settings.get("seeds"))
    return TableOrigin(" ".join(words) or "not recorded", tuple(machines), settings.get("data") is None)


def command_of(table: str, begun: Sequence[str], seeds: int | None) -> list[str]:
    """What makes this table in one go, from the words that the folder was begun with, and by now so many seeds."""
    words, left = [], iter(begun[1:])
    for word in left:
        name, given, _ = word.partition("=")
        if words[-1:] == ["reproduce"] and word in TABLES:
            words.append(table)
        elif name in OF_ONE_CALL:
            if name in WITH_VALUE and not given:
                next(left, None)
        else:
            words.append(word)
    if seeds not in {None, SEEDS}:
        words += ["--seeds", str(seeds)]
    return ["simcrop", *words] if words else []


def record_machine(places: Places) -> None:
    """Adds this machine to those on which the experiment ran."""
    path, here = places.out / MACHINES, describe_machine()
    known = read_json(path)["machines"] if path.is_file() else []
    if here not in known:
        write_json(path, {"machines": [*known, here]})


def describe_machine() -> str:
    """`2 cores of AMD EPYC 7B13, bf16`, and the GPUs."""
    import torch

    from simcrop.engine.precision import best_precision

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cards = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    cores = len(os.sched_getaffinity(0))
    own = f"{cores} core{'s' if cores > 1 else ''} of {names[0] if names else platform.machine()}"
    return ", ".join([own, *cards, best_precision()])


def given_to(rows: Sequence[Row], seeds: Sequence[int], places: Places) -> list[Given]:
    """Of every row."""
    chosen = read_json(places.chosen) if places.chosen.is_file() else {}
    return [given(row, seeds, places, chosen.get(row.key, {}).get("pool", "")) for row in rows]


def given(row: Row, seeds: Sequence[int], places: Places, pool: str) -> Given:
    own = steps_and_scans(row, [places.run(row.key, seed) for seed in seeds])
    if own is not None and row.starts_from is not None:
        before = steps_and_scans(row, [places.first(row.key, seed) for seed in seeds])
        own = None if before is None else (own[0] + before[0], own[1] + before[1])
    runs = [run for seed in seeds if (run := places.run(row.key, seed) / "model" / WEIGHTS).is_file()]
    encoder = encoder_size(runs[0]) if runs else None
    trained = trained_size(runs[0].with_name(CONFIG)) if runs and own and own[0] else None
    rate = rate_of(runs[0].parents[1]) if trained else None
    return Given(row, *(own or (None, None)), encoder, 0 if own == (0, 0) else trained, rate, pool)


def steps_and_scans(row: Row, runs: Sequence[Path]) -> tuple[int, int] | None:
    """The most of any seed; nought without training, None where a journal does not tell."""
    if row.weights is not None:
        return None
    if not row.trained:
        return 0, 0
    found = []
    for folder in runs:
        run, journal = read_run(folder), read_journal(folder / "journal.jsonl")
        if run is not None and journal:
            step = int(journal[-1]["step"])
            found.append((step, step * int(run["settings"]["optim.batch"])))
    return max(found, default=None)


def rate_of(run: Path) -> float | None:
    """The learning rate of a training."""
    found = read_run(run)
    return found["settings"]["optim.lr"] if found else None


def encoder_size(weights: Path) -> int:
    """Parameters of the vision encoder of a model."""
    with safe_open(weights, "numpy") as file:
        names = [name for name in file.keys() if name.startswith("vision.")]  # noqa: SIM118
        return sum(prod(file.get_slice(name).get_shape()) for name in names)


def trained_size(config: Path) -> int:
    """Parameters that learned, counted from the recipe that a model was trained by."""
    return trained_by(config.read_text(encoding="utf-8"))


@lru_cache(maxsize=64)
def trained_by(config: str) -> int:
    return counted(build_recipe(json.loads(config)["architecture"], CONFIG)).trained


def equal_words(given: Sequence[Given]) -> str:
    """Whether all trained rows saw as many scans, in one sentence."""
    seen = {of.row.name: of.scans for of in given if of.scans}
    if not seen:
        return ""
    counts = sorted(set(seen.values()))
    if len(counts) == 1:
        return f"Every trained row saw {counts[0]:,} scans, with repetition."
    usual = max(counts, key=list(seen.values()).count)
    others = ", ".join(f"{name} {count:,}" for name, count in seen.items() if count != usual)
    return f"Not every trained row saw as many scans, with repetition: {usual:,}, but {others}."

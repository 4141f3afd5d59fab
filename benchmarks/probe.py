"""What probes cost: encoder forwards beside the public script's, and seconds and memory on features that are kept.

    python benchmarks/probe.py --json benchmarks/results/probe.json

Prints JSON. `forwards`: of all shares of CT-RATE, by arithmetic from the settings of the public script, which encodes
every scan in every epoch of every fit, and of ours, which encodes each scan once, and of a training scan each further
view. `counted`: both ways at toy size with an encoder that counts, beside the same arithmetic. `probes`: the command
itself on features made of noise with planted labels, once with its smallest probe alone and once with all of them;
processor time stands beside the clock for a machine that others use. `awake`: a small probe as it is, and with the
threads of SciPy's own sums left as they come, in turns. No real scan is needed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

SHARES, SEEDS, VIEWS = (0.01, 0.1, 1.0), 5, 8
FIRST_JUDGED = 10  # epochs before the public script looks at its test scans
WIDTH, LABELS, PER_PATIENT = 768, 18, 2


@dataclass(frozen=True)
class Fit:
    """One fit of the public script: so many training scans, test scans, scans in a batch, and steps."""

    train: int
    test: int
    batch: int
    steps: int

    @property
    def epochs(self) -> int:
        """Whole ones: it stops at the end of an epoch only."""
        return ceil(self.steps / ceil(self.train / self.batch))

    @property
    def forwards(self) -> int:
        """Every training scan in every epoch, and every test scan after each epoch from `FIRST_JUDGED` on."""
        return self.epochs * self.train + max(0, self.epochs - FIRST_JUDGED) * self.test


# CT-RATE, as its run.sh and released lists have it. Patience ends none of them earlier here, nor later.
PUBLIC = (Fit(464, 3009, 32, 1000), Fit(4636, 3009, 64, 10_000), Fit(46_363, 3009, 64, 10_000))
TOY = (Fit(4, 6, 2, 26), Fit(8, 6, 3, 36))


def ours(train: int, test: int, views: int) -> int:
    """Whatever the number of shares, seeds and heads."""
    return views * train + test


def arithmetic(fits: Sequence[Fit], seeds: int) -> dict[str, Any]:
    """Theirs over ours, with one view and with several."""
    theirs, largest = seeds * sum(fit.forwards for fit in fits), max(fits, key=lambda fit: fit.train)
    found: dict[str, Any] = {"seeds": seeds, "theirs": theirs}
    for views in (1, VIEWS):
        own = ours(largest.train, largest.test, views)
        found[f"ours_{views}_views"] = own
        found[f"ratio_{views}_views"] = round(theirs / own, 2)
    return found


def public_way(fit: Fit, encode: Callable[[Sequence[int]], object]) -> None:
    """Who is encoded when, and nothing else."""
    train, test = range(fit.train), range(fit.train, fit.train + fit.test)
    for epoch in range(fit.epochs):
        for start in range(0, fit.train, fit.batch):
            encode(train[start : start + fit.batch])
        if epoch >= FIRST_JUDGED:
            encode(test)


def counted(home: Path) -> dict[str, Any]:
    """The toy fits the public way, and `simcrop probe` on a phantom cohort, with one encoder that counts."""
    from simcrop.data.store.cohort import open_cohort
    from simcrop.model import Model, load
    from simcrop.tasks.probing.probe import ProbeOptions, probe

    cohort, folder = toy_cohort(home), toy_model(home / "model")
    table, encoded = open_cohort(cohort).index, []
    real = Model.features_of

    def counting(self: Model, volumes: Any) -> Any:
        encoded.append(len(volumes))
        return real(self, volumes)

    Model.features_of = counting
    try:
        train, test = (table.filter(split=name).height for name in ("train", "valid"))
        found: dict[str, Any] = {"train": train, "test": test, "ours": {}}
        for views in (1, VIEWS):
            # The shares of so few patients would lack a label; seeds and heads share features in the same way.
            options = ProbeOptions((1.0,), SEEDS, baselines=False, views=views)
            probe(str(folder), cohort, home / f"probe-{views}", options)
            # What is kept is not encoded again, so the second run adds the further views to the first.
            found["ours"][f"{views}_views"] = [sum(encoded), ours(train, test, views)]
        encoded.clear()
        grid = load(folder).spec.shape
        volumes = noise_of(max(fit.train + fit.test for fit in TOY), grid)
        network = load(folder)
        for fit in TOY:
            public_way(fit, lambda places: network.features_of(volumes[list(places)]))
        found["public"] = [sum(encoded), sum(fit.forwards for fit in TOY)]
    finally:
        Model.features_of = real
    return found


def noise_of(count: int, shape: tuple[int, int, int]) -> Any:
    import torch

    return torch.rand(count, 1, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def toy_cohort(home: Path) -> Path:
    """Every second of eight phantoms is judged; one label that half of either side have."""
    from simcrop.tasks.cohorts.ingest import ingest
    from simcrop.tasks.cohorts.phantom import phantom

    phantom(home / "raw", "rad-chestct", patients=8, seed=0, size="tiny")
    ingest(home / "raw", "rad-chestct", home / "cohort", spacing="5.5,5.5,10")
    path = home / "cohort/studies.parquet"
    table, number = pl.read_parquet(path), pl.col("patient").rank("dense") - 1
    table.drop(name for name in table.columns if name.startswith("label:")).with_columns(
        pl.when(number % 2 == 0).then(pl.lit("train")).otherwise(pl.lit("valid")).alias("split"),
        (number % 4 < 2).cast(pl.Int8).alias("label:Cardiomegaly"),
    ).write_parquet(path)
    return home / "cohort"


def toy_model(folder: Path) -> Path:
    """An encoder that was never trained."""
    from simcrop.config import load_recipe
    from simcrop.model import Model
    from simcrop.model.folder import describe_model, save_model

    recipe = load_recipe("mae-tiny", ["vision.depth=1", "vision.dim=48"])
    folder.mkdir()
    describe_model(recipe, None, None, {}, folder)
    save_model(Model(recipe, None, None).state_dict(), recipe, folder)
    return folder


def write_features(home: Path, train: int, test: int) -> tuple[Path, Path]:
    """A cohort without a voxel and a Parquet table of features: noise, in which every label has a direction."""
    from simcrop.data.store.format import COHORT, FORMAT, LEDGER, STUDIES
    from simcrop.data.store.schema import LEDGER_SCHEMA, STUDY_SCHEMA

    random, scans = np.random.default_rng(0), train + test
    features = random.standard_normal((scans, WIDTH), dtype=np.float32)
    scores = features @ random.standard_normal((WIDTH, LABELS)).astype(np.float32) / WIDTH**0.5
    scores += random.standard_normal(scores.shape)
    labels = scores > np.quantile(scores, np.linspace(0.55, 0.96, LABELS), axis=0).diagonal()
    split = np.where(np.arange(scans) < train, "train", "valid")
    index = pl.DataFrame(
        {
            "id": [f"scan_{i}" for i in range(scans)],
            "patient": [f"{of}_{i // PER_PATIENT}" for i, of in enumerate(split)],
            "split": split,
            **{f"label:{n}": labels[:, n].astype(np.int8) for n in range(LABELS)},
        }
    )
    cohort = home / "noise"
    cohort.mkdir()
    empty = pl.DataFrame(schema=STUDY_SCHEMA).drop(name for name in index.columns if name in STUDY_SCHEMA)
    others = [pl.lit(None, dtype=kind).alias(name) for name, kind in empty.schema.items()]
    index.with_columns(others).write_parquet(cohort / STUDIES)
    pl.DataFrame(schema=LEDGER_SCHEMA).write_parquet(cohort / LEDGER)
    facts = {
        "kind": "simcrop-cohort",
        "format": FORMAT,
        "codec": "lz4",
        "antialias": False,
        "layout": "ct-rate",
    }
    facts |= {"spacing_mm": [1.5, 1.5, 3.0], "window_hu": [-1000, 1000]}
    (cohort / COHORT).write_text(json.dumps(facts))
    vectors = pl.Series("embedding", features, dtype=pl.Array(pl.Float32, WIDTH))
    index.select("id").with_columns(vectors).write_parquet(home / "features.parquet")
    return home / "features.parquet", cohort


def probes(home: Path, train: int, test: int, threads: int) -> dict[str, Any]:
    """The smallest probe alone, which is nearly all reading and judging, and all of them."""
    made, cohort = write_features(home, train, test)
    runs = {"one_of_the_smallest": ((SHARES[0],), 1), "all": (SHARES, SEEDS)}
    found: dict[str, Any] = {"train": train, "test": test, "features": WIDTH, "labels": LABELS}
    for name, (shares, seeds) in runs.items():
        words = ["probe", str(made), str(cohort), "--out", str(home / name), "--seeds", str(seeds)]
        found[name] = measured([*words, "--share", ",".join(f"{share:g}" for share in shares)], threads)
        found[name]["probes"] = len(shares) * seeds
        metrics = json.loads((home / name / "metrics.json").read_text())
        found[name]["macro_auroc"] = {share: of["macro_auroc"] for share, of in metrics["shares"].items()}
    small, every = found["one_of_the_smallest"], found["all"]
    found["processor_seconds_per_further_probe"] = round(
        (every["processor"] - small["processor"]) / (every["probes"] - 1), 2
    )
    return found


def awake(scans: int = 1000, rounds: int = 5) -> dict[str, Any]:
    """Seconds of a small probe with every core's threads: ours, and where SciPy's stay awake beside those of torch."""
    from inspect import unwrap

    from simcrop.evaluation.heads import probe

    random = np.random.default_rng(0)
    features = random.standard_normal((scans, WIDTH // 3), dtype=np.float32)
    labels = (features[:, :LABELS] + random.standard_normal((scans, LABELS)) > 1).astype(float)
    patients = np.array([f"{i // PER_PATIENT}" for i in range(scans)])
    quiet, seconds = probe.fit_logistic, {"ours": [], "naive": []}
    for _ in range(rounds):
        for name, fit, solve in (
            ("ours", probe.fit_probe, quiet),
            ("naive", unwrap(probe.fit_probe), unwrap(quiet)),
        ):
            began, probe.fit_logistic = perf_counter(), solve
            fit(features, labels, patients, 0)
            seconds[name].append(perf_counter() - began)
    probe.fit_logistic = quiet
    found: dict[str, Any] = {name: round(float(np.median(each)), 3) for name, each in seconds.items()}
    return found | {"times": round(found["naive"] / found["ours"], 1), "cores": os.cpu_count()}


def measured(words: list[str], threads: int) -> dict[str, Any]:
    """Seconds by the clock and of processor time, and the memory at the peak, of one command."""
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    began = perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "simcrop", *words], env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    return {
        "seconds": round(perf_counter() - began, 1),
        "processor": round(used.ru_utime + used.ru_stime, 1),
        "peak_gib": round(used.ru_maxrss / 2**20, 2),
    }


def main() -> None:
    chosen = arguments()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        report = {
            "forwards": [arithmetic(PUBLIC, seeds) for seeds in (1, SEEDS)],
            "counted": counted(home),
            "probes": probes(home, chosen.scans, chosen.test_scans, chosen.threads),
            "threads": chosen.threads,
            "awake": awake(),
        }
    text = json.dumps(report, indent=1)
    print(text)
    if chosen.json is not None:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(text + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scans", type=int, default=47_149, help="to learn from")
    parser.add_argument("--test-scans", type=int, default=3_039)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the report here as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()

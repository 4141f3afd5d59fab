"""Folders as the jobs of the tables leave them, with made-up scores in the formats of the tasks themselves."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from small_table import ASKED, COLUMNS, NETWORK, PATIENTS, RATES, SPACING, STEPS

from simcrop.config import recipe_names
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.evaluation.segmentation import ScanScores
from simcrop.experiments import scores
from simcrop.experiments.side_by_side import Say
from simcrop.experiments.tables import candidates, phantoms, planning, reproduce
from simcrop.experiments.tables.phantoms import sources_of_phantoms
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.planning import Budget, Setup
from simcrop.experiments.tables.reproduce import reproduce_table
from simcrop.experiments.tables.rows import ROWS
from simcrop.experiments.tables.running import HERE
from simcrop.files.digest import digest_of_names
from simcrop.metrics.segmentation import ClassScore
from simcrop.tasks.folder import write_metrics
from simcrop.tasks.probing.figures import PREDICTIONS, write_predictions
from simcrop.tasks.segmentation.segment import facts
from simcrop.tasks.segmentation.table import TABLE, JudgedScan, write_table

SCANS, LABELS = 90, ("Nodule", "Emphysema", "Effusion")
NAN = float("nan")


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """Two seeds on phantoms, of all rows whose recipes are shipped."""
    out = tmp_path / "out"
    every = [row for rows in ROWS.values() for row in rows]
    shipped = [row.key for row in every if {*row.recipe.values()} <= {*recipe_names()}]
    return Setup(Places(out), sources_of_phantoms(Places(out), shipped), "tiny", (0, 1), Budget(20, 48))


@dataclass(frozen=True, eq=False)
class World:
    """Test scans `(s,)` of patients with two each, and their truth `(s, l)`."""

    cohort: Cohort
    places: Places
    truth: np.ndarray
    names: tuple[str, ...] = LABELS

    @property
    def patients(self) -> list[str]:
        return self.cohort.index["patient"].to_list()

    def scores(self, skill: float, seed: int) -> np.ndarray:
        """`(s, l)` in (0, 1); the more skill, the more they follow the truth."""
        noise = np.random.default_rng(seed).normal(size=self.truth.shape)
        return 1 / (1 + np.exp(-(skill * (np.nan_to_num(self.truth) - 0.5) + noise)))

    def probe(self, row: str, seed: int, dataset: str, by_share: Mapping[float, np.ndarray]) -> Path:
        """One repetition, as the tables ask for."""
        return self.write(
            self.places.probe(row, seed, dataset), {share: of[None] for share, of in by_share.items()}, [seed]
        )

    def write(self, folder: Path, by_share: Mapping[float, np.ndarray], seeds: Sequence[int]) -> Path:
        folder.mkdir(parents=True)
        write_predictions(folder / PREDICTIONS, self.cohort, by_share, seeds, self.truth, list(self.names))
        write_metrics(folder, {"split_hash": {"test": digest_of_names(self.patients)}})
        return folder

    def segment(
        self, row: str, seed: int, dataset: str, share: float, dice: np.ndarray, truth: str = "sum"
    ) -> Path:
        """Of Dice `(s, l)`; NaN where a scan lacks the organ, in every fourth of which the mask has some."""
        folder = self.places.segment(row, seed, dataset, share)
        folder.mkdir(parents=True)
        scans = [
            JudgedScan(
                ScanScores(
                    f"scan{n:02}",
                    f"person{n // 2:02}",
                    {name: score_of(value, n) for name, value in zip(("lung", "liver"), of, strict=True)},
                ),
                f"{truth}{n}",
            )
            for n, of in enumerate(dice.tolist())
        ]
        write_table(folder / TABLE, scans)
        write_metrics(folder, facts(scans))
        return folder

    def run(self, row: str, seed: int, steps: int, batch: int = 4) -> None:
        """As much of a run as a table reads."""
        folder = self.places.run(row, seed)
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"verb": "pretrain", "settings": {"optim.batch": batch}}))
        (folder / "journal.jsonl").write_text("".join(f'{{"step": {n + 1}}}\n' for n in range(steps)))


def score_of(dice: float, n: int) -> ClassScore:
    if np.isnan(dice):
        return ClassScore(NAN, NAN, NAN, 2.0, 0.0, float(n % 4 == 0))
    return ClassScore(dice, 1.0, dice, 2.0, 100.0 + n, 90.0)


@pytest.fixture
def make_world(toy_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    """`exclusive`: every scan has one of the labels."""
    monkeypatch.setattr(scores, "DRAWS", 60)
    cohort = open_cohort(toy_cohort)

    def make(exclusive: bool = False) -> World:
        rng = np.random.default_rng(5)
        truth = (rng.random((SCANS, len(LABELS))) < 0.4).astype(float)
        if exclusive:
            truth = np.eye(len(LABELS))[rng.integers(len(LABELS), size=SCANS)]
        index = pl.concat([cohort.index.head(1)] * SCANS).with_columns(
            pl.Series("id", [f"scan{i:02}" for i in range(SCANS)]),
            pl.Series("patient", [f"person{i // 2:02}" for i in range(SCANS)]),
        )
        return World(replace(cohort, index=index), Places(tmp_path / "out"), truth)

    return make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cohorts; the one for choices is another's copy, which is enough to see when it is opened."""
    out = tmp_path_factory.mktemp("drawn")
    places = Places(out)
    for dataset, patients in (("ct-rate", 30), ("luna16", 10)):
        raw = places.raw(dataset, "all")
        phantoms.phantom(raw, dataset, patients, 5, "tiny", difficulty="easy")
        phantoms.ingest(raw, dataset, places.cohort(dataset, "all"), 1, ",".join(map(str, SPACING)))
    shutil.copytree(places.cohort("ct-rate", "all"), places.cohort("ct-rate", "choose"))
    return out


@pytest.fixture
def table(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Path, tiny_bert: Path
) -> Callable[..., bool]:
    """Table 1 with two columns and two rows, in this process; cohorts are drawn once one is asked for."""

    def copied(columns: object, places: Places, patients: object, say: object, workers: int) -> None:
        del columns, patients, say, workers
        drawn = request.getfixturevalue("drawn")
        shutil.copytree(drawn / "cohorts", places.out / "cohorts", dirs_exist_ok=True)

    monkeypatch.setattr(planning, "COLUMNS", COLUMNS)
    monkeypatch.setattr(reproduce, "COLUMNS", COLUMNS)
    monkeypatch.setattr(reproduce, "STEPS", STEPS)
    monkeypatch.setattr(planning, "WINDOWS", 2)  # most of the time went to segmentations
    monkeypatch.setattr(candidates, "RATES", RATES)
    monkeypatch.setattr(reproduce, "draw", copied)
    monkeypatch.setattr("simcrop.experiments.scores.DRAWS", 20)
    # How a penalty is chosen is tested with the probe.
    monkeypatch.setattr("simcrop.evaluation.heads.probe.FOLDS", 1)

    small = (f"text.model={tiny_bert}", "text.report_length=96", "text.sentence_length=40")

    def run(name: str, say: Say = print, **asked: Any) -> bool:
        segmenting = (*NETWORK, "windows.per_scan=1", "decoder.feature_size=4")
        words = replace(ASKED, **({"common": (*ASKED.common, *small)} | asked))
        rows = ("mae", "simcrop")
        return reproduce_table("table1", tmp_path / name, words, say, HERE, PATIENTS, segmenting, rows)

    return run

"""Augmented views: mild, the same each time, never mirrored; of training scans only, encoded once, rows of their own
patient.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from torch import Tensor

from simcrop.data.store.cohort import open_cohort
from simcrop.evaluation.features import middle
from simcrop.evaluation.heads.augmented import OFFSET_HU, looking_at, shifts
from simcrop.model import Model, load
from simcrop.tasks.features.augmented_views import drawn_with_views, rows_with_views


@dataclass(frozen=True)
class Halves:
    cohort: Path
    train: int
    scans: int


@pytest.fixture
def halves(line, tmp_path: Path) -> Halves:
    """Every second patient is judged, and has two labels that half of either side have."""
    cohort = tmp_path / "cohort"
    shutil.copytree(line.cohort, cohort, ignore=shutil.ignore_patterns("features", "sentences"))
    table, number = pl.read_parquet(cohort / "studies.parquet"), pl.col("patient").rank("dense") - 1
    table = table.drop(name for name in table.columns if name.startswith("label:")).with_columns(
        pl.when(number % 2 == 0).then(pl.lit("train")).otherwise(pl.lit("valid")).alias("split"),
        (number % 4 < 2).cast(pl.Int8).alias("label:Cardiomegaly"),
    )
    table.write_parquet(cohort / "studies.parquet")
    return Halves(cohort, table.filter(split="train").height, table.height)


def test_view_is_mild_and_the_same_each_time(line) -> None:
    spec, cohort = load(line.run).spec, open_cohort(line.cohort)
    for study in (cohort[0], cohort[5]):
        plain = middle(study, spec)
        seen = [looking_at(view)(study, spec) for view in range(4)]
        np.testing.assert_array_equal(seen[0], plain)
        for view in (1, 2, 3):
            np.testing.assert_array_equal(seen[view], looking_at(view)(study, spec))
            assert seen[view].shape == plain.shape
            assert (seen[view].dtype, np.abs(seen[view]).max()) == (np.float32, 1.0)
            assert 0.7 < np.corrcoef(plain.ravel(), seen[view].ravel())[0, 1] < 0.9999
        assert not np.array_equal(seen[1], seen[2])


def test_crop_moves_no_further_than_it_may_and_is_never_mirrored(
    line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without jitter and noise a view is the plain crop, moved."""
    for name in ("STRETCH", "OFFSET_HU", "NOISE_HU"):
        monkeypatch.setattr(f"simcrop.evaluation.heads.augmented.{name}", 0.0)
    spec, study = load(line.run).spec, open_cohort(line.cohort)[0]
    room, plain, found = shifts(spec), middle(study, spec), set()
    inner = tuple(slice(2 * by, n - 2 * by) for by, n in zip(room, spec.shape, strict=True))
    for view in range(1, 13):
        seen = looking_at(view)(study, spec)[inner]
        (moved,) = [
            by
            for by in np.ndindex(*(2 * r + 1 for r in room))
            if np.allclose(
                np.roll(plain, [r - b for r, b in zip(room, by, strict=True)], (0, 1, 2))[inner], seen
            )
        ]
        found.add(moved)
    assert len(found) > 3
    assert OFFSET_HU > 0


def test_views_are_encoded_once_and_of_training_scans_only(
    simcrop: Callable, line, halves: Halves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    real = Model.features_of

    def counted(self: Model, volumes: Tensor) -> Tensor:
        encoded.append(len(volumes))
        return real(self, volumes)

    monkeypatch.setattr(Model, "features_of", counted)
    words = ("probe", line.run, halves.cohort, "--no-baselines", "--out")
    assert simcrop(*words, tmp_path / "three", "--views", "3").code == 0
    assert sum(encoded) == halves.scans + 2 * halves.train
    encoded.clear()
    ran = simcrop(*words, tmp_path / "two", "--views", "2", "--seeds", "2")
    assert ran.code == 0, ran.err
    assert encoded == []
    assert simcrop(*words, tmp_path / "one").code == 0
    one, two, three = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two", "three")
    )
    assert [of["views"] for of in (one, two, three)] == [1, 2, 3]
    assert one["scans"] == three["scans"] == {"train": halves.train, "test": halves.scans - halves.train}
    assert one["shares"]["1"]["probes"][0]["scans"] == three["shares"]["1"]["probes"][0]["scans"]
    assert one["split_hash"] == three["split_hash"]
    scores = [
        pl.read_parquet(tmp_path / name / "predictions.parquet")["score"].to_numpy()
        for name in ("one", "three")
    ]
    assert not np.allclose(scores[0], scores[1])  # something was learned from the further views


def test_random_start_learns_from_the_same_views(
    simcrop: Callable, line, halves: Halves, tmp_path: Path
) -> None:
    words = ("probe", line.run, halves.cohort, "--views", "2", "--out", tmp_path / "out")
    assert simcrop(*words).code == 0
    kept = sorted(path.name.partition("-")[2] for path in (halves.cohort / "features").iterdir())
    assert [name.removesuffix(".vectors") for name in kept] == [
        "",
        "untrained-0-view-1",
        "untrained-0",
        "view-1",
    ]


def test_a_view_is_a_further_row_of_its_scan() -> None:
    truth, patients = np.array([[1.0], [0.0]]), np.array(["a", "b"])
    found = rows_with_views(5, np.array([1, 4]), truth, patients, 3)
    assert found["rows"].tolist() == [1, 4, 5, 6, 7, 8]
    assert found["truth"].ravel().tolist() == [1, 0] * 3
    assert found["patients"].tolist() == ["a", "b"] * 3
    drawn = drawn_with_views({(0.5, 0): np.array([True, False])}, 3)
    assert drawn[0.5, 0].tolist() == [True, False] * 3


def test_features_made_elsewhere_have_one_view(simcrop: Callable, halves: Halves, tmp_path: Path) -> None:
    ids = pl.read_parquet(halves.cohort / "studies.parquet")["id"]
    pl.DataFrame({"id": ids, "v": [[1.0, 2.0]] * len(ids)}).write_parquet(tmp_path / "made.parquet")
    words = ("probe", tmp_path / "made.parquet", halves.cohort, "--views", "2", "--out", tmp_path / "out")
    assert "--views wants a model" in simcrop(*words).refusal
    assert not (tmp_path / "out").exists()

"""`simcrop embed`: a cohort and its raw scans give the same vectors, and an interrupted run the same table."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest


@pytest.fixture(scope="module")
def table(line, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    from simcrop.tasks.embed import embed

    embed(str(line.run), line.cohort, out := tmp_path_factory.mktemp("embed") / "out")
    return pl.read_parquet(out / "embeddings.parquet")


def test_table_has_a_row_per_study_in_the_cohorts_order(line, table: pl.DataFrame) -> None:
    studies = pl.read_parquet(line.cohort / "studies.parquet")
    assert table.columns == ["id", "patient", "split", "embedding"]
    assert table.select("id", "patient", "split").equals(studies.select("id", "patient", "split"))
    vectors = table["embedding"].to_numpy()
    assert vectors.shape == (studies.height, 48)
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors.round(6), axis=0)) > 1


def test_raw_scan_gives_what_the_cohort_gives(
    simcrop: Callable, line, table: pl.DataFrame, tmp_path: Path
) -> None:
    name = line.scan.name.removesuffix(".nii.gz")
    assert simcrop("embed", line.run, line.scan, "--out", tmp_path / "out").code == 0
    row = pl.read_parquet(tmp_path / "out/embeddings.parquet")
    assert row["id"].to_list() == [name]
    stored = table.filter(pl.col("id") == name)["embedding"].to_numpy()[0]
    raw = row["embedding"].to_numpy()[0]
    assert np.linalg.norm(raw - stored) < 2e-3 * np.linalg.norm(stored)  # voxels rounded to int16
    others = table.filter(pl.col("patient") != "train_1")["embedding"].to_numpy()
    assert np.linalg.norm(raw - stored) < np.linalg.norm(others - stored, axis=1).min()


def test_interrupted_run_continues_from_its_whole_lines(
    simcrop: Callable, line, table: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simcrop.model import Model

    embedded: list[int] = []
    real = Model.embed

    def stop_after_four(self: Model, volume: object) -> np.ndarray:
        if len(embedded) == 4:
            raise KeyboardInterrupt
        embedded.append(1)
        return real(self, volume)  # pyright: ignore[reportArgumentType]

    with monkeypatch.context() as patch:
        patch.setattr(Model, "embed", stop_after_four)
        ran = simcrop("embed", line.run, line.cohort, "--out", tmp_path / "out")
    assert ran.code == 130
    assert ran.err.splitlines()[-1] == "error: interrupted; the same command with --resume continues"
    journal = tmp_path / "out/embeddings.jsonl"
    lines = journal.read_text().splitlines()
    assert len(lines) == 4
    changed = json.loads(lines[1]) | {"embedding": [0.5] * 48}
    journal.write_text("\n".join([lines[0], json.dumps(changed), lines[2]]) + "\n" + lines[3][:50])

    assert simcrop("embed", line.run, line.cohort, "--out", tmp_path / "out", "--resume").code == 0
    again = pl.read_parquet(tmp_path / "out/embeddings.parquet")
    kept = again.filter(pl.col("id") == changed["id"])["embedding"].to_numpy()[0]
    assert (kept == 0.5).all()  # what was finished is not computed again
    same = pl.col("id") != changed["id"]
    assert again.filter(same).equals(table.filter(same))
    assert not journal.exists()


def test_finished_run_is_not_repeated(
    simcrop: Callable, line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("embed", line.run, line.scan, "--out", tmp_path / "out", "--resume")
    assert simcrop(*words).code == 0
    monkeypatch.setattr("simcrop.model.Model.embed", lambda *_: pytest.fail("embedded again"))
    assert simcrop(*words).code == 0

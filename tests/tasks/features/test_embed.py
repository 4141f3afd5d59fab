"""`simcrop embed`: a cohort and its raw scans give the same vectors, and an interrupted run the same table."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from torch import Tensor

from simcrop.data.store.cohort import open_cohort
from simcrop.files.vectors import append_vectors, read_vectors
from simcrop.model import Model, load


@pytest.fixture(scope="module")
def table(line, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    from simcrop.tasks.features.embed import embed

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


def test_interrupted_run_continues_from_its_whole_passes(
    simcrop: Callable, line, table: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    real = Model.features_of

    def stop_after_two(self: Model, volumes: Tensor) -> Tensor:
        if len(passes) == 2:
            raise KeyboardInterrupt
        passes.append(len(volumes))
        return real(self, volumes)

    monkeypatch.setattr("simcrop.tasks.features.scan_vectors.AT_ONCE", 4)
    with monkeypatch.context() as patch:
        patch.setattr(Model, "features_of", stop_after_two)
        ran = simcrop("embed", line.run, line.cohort, "--out", tmp_path / "out")
    assert ran.code == 130
    assert ran.err.splitlines()[-1] == "error: interrupted; the same command with --resume continues"
    assert passes == [4, 4]
    journal = tmp_path / "out/embeddings.vectors"
    ids = table["id"].to_list()
    assert read_vectors(journal, ids).known.sum() == 8
    append_vectors(journal, ids[1:2], np.full((1, 48), 0.5, dtype=np.float32))
    record = 16 + 4 * 48 + 4
    content = journal.read_bytes()
    journal.write_bytes(content[: 16 + 7 * record] + content[-record:] + b"torn")  # the eighth is lost

    asked: list[int] = []
    monkeypatch.setattr(Model, "features_of", lambda self, v: (asked.append(len(v)), real(self, v))[1])
    assert simcrop("embed", line.run, line.cohort, "--out", tmp_path / "out", "--resume").code == 0
    assert sum(asked) == len(ids) - 4  # the second pass is made anew
    again = pl.read_parquet(tmp_path / "out/embeddings.parquet")
    vectors, expected = again["embedding"].to_numpy(), table["embedding"].to_numpy()
    assert (vectors[1] == 0.5).all()  # what was finished is not computed again
    rest = np.arange(len(ids)) != 1
    np.testing.assert_allclose(vectors[rest], expected[rest], atol=1e-5)
    assert again.drop("embedding").equals(table.drop("embedding"))
    assert not journal.exists()


def test_scans_in_passes_give_what_each_gives_alone(line, table: pl.DataFrame) -> None:
    network, cohort = load(line.run), open_cohort(line.cohort)
    for place in (0, len(cohort) - 1):
        alone = network.embed(cohort[place].volume())
        np.testing.assert_allclose(table["embedding"].to_numpy()[place], alone, atol=1e-5)


def test_cohort_that_was_resampled_unlike_the_models_is_refused(
    simcrop: Callable, line, tmp_path: Path
) -> None:
    shutil.copytree(line.cohort, tmp_path / "cohort")
    facts = json.loads((tmp_path / "cohort/cohort.json").read_text())
    (tmp_path / "cohort/cohort.json").write_text(json.dumps(facts | {"antialias": True}))
    ran = simcrop("embed", line.run, tmp_path / "cohort", "--out", tmp_path / "out")
    assert "ingested with --antialias" in ran.refusal
    assert not (tmp_path / "out").exists()


def test_finished_run_is_not_repeated(
    simcrop: Callable, line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("embed", line.run, line.scan, "--out", tmp_path / "out", "--resume")
    assert simcrop(*words).code == 0
    monkeypatch.setattr("simcrop.model.Model.embed", lambda *_: pytest.fail("embedded again"))
    assert simcrop(*words).code == 0


def test_a_cohort_that_was_ingested_anew_is_another_cohort(simcrop: Callable, line, tmp_path: Path) -> None:
    mine = shutil.copytree(
        line.cohort, tmp_path / "cohort", ignore=shutil.ignore_patterns("features", "sentences")
    )
    words = ("embed", line.run, mine, "--out", tmp_path / "out")
    assert simcrop(*words).code == 0
    assert simcrop(*words, "--resume").code == 0
    table = pl.read_parquet(mine / "studies.parquet")
    table.with_columns(pl.col("checksum").reverse()).write_parquet(mine / "studies.parquet")
    assert "other settings (cohort)" in simcrop(*words, "--resume").refusal


@pytest.mark.parametrize("how", [(), ("--tokens",)])
def test_features_that_are_no_numbers_are_not_written(
    simcrop: Callable, line, tmp_path: Path, how: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = Model.features_of

    def overflowing(model: Model, volumes: Tensor) -> Tensor:
        return looked(model, volumes) * float("inf")

    monkeypatch.setattr(Model, "features_of", overflowing)
    for source in (line.scan, line.cohort):
        ran = simcrop("embed", line.run, source, *how, "--out", tmp_path / "out")
        assert ran.code == 2
        assert "features are no numbers" in ran.err
        assert not (tmp_path / "out").exists() or not any((tmp_path / "out").glob("*.[ph]*"))

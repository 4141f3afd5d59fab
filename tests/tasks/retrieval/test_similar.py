"""`simcrop similar`: the nearest of other patients, by id, by file and by features of others."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import simcrop as package
from simcrop.data.store.cohort import open_cohort

WANTED = 12  # of fourteen volumes; two of them are of one patient


def rows_in(out: Path) -> list[dict[str, str]]:
    return [*csv.DictReader((out / "similar.csv").read_text().splitlines())]


@pytest.fixture(scope="module")
def twice(line, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The cohort and the id of a scan whose patient has another one."""
    folder = tmp_path_factory.mktemp("similar") / "cohort"
    shutil.copytree(line.cohort, folder)
    index = open_cohort(folder).index
    several = index.filter(pl.col("patient").count().over("patient") > 1)
    return folder, several["id"][0]


def test_others_are_ranked_exactly_and_the_own_patient_is_marked(
    simcrop: Callable, line, twice: tuple[Path, str], tmp_path: Path
) -> None:
    folder, name = twice
    ran = simcrop("similar", line.run, folder, name, "--top", WANTED, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    cohort = open_cohort(folder)
    ids, patients = cohort.index["id"].to_list(), cohort.index["patient"].to_list()
    features = package.cohort_features(str(line.run), cohort)
    own = ids.index(name)
    order, cosines = package.nearest(features, features[own], len(ids))
    others = [ids[row] for row in order if patients[row] != patients[own]]
    rows = rows_in(tmp_path / "out")
    counted = [row for row in rows if row["same_patient"] == "no"]
    assert [row["id"] for row in counted] == others
    assert [row["rank"] for row in counted] == [str(n) for n in range(1, len(others) + 1)]
    assert name not in [row["id"] for row in rows]
    marked = [row for row in rows if row["same_patient"] == "yes"]
    assert {patients[ids.index(row["id"])] for row in marked} == {patients[own]}
    assert {row["rank"] for row in marked} == {""}
    assert float(rows[0]["cosine"]) == pytest.approx(cosines[1], abs=1e-5)
    by_id = dict(zip(ids, cohort.index["findings"], strict=True))
    assert all(row["findings"] == by_id[row["id"]] for row in rows)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("run.json", "metrics.json", "similar.csv", "report.html")
    }
    page = (tmp_path / "out/report.html").read_text()
    assert page.count("data:image/png") == len(rows) + 1
    assert ran.out.count("same patient") == len(marked) > 0
    again = simcrop("similar", line.run, folder, name, "--other-patients", "--top", 3)
    assert [text.split()[2] for text in again.out.splitlines()] == others[:3]


def test_scan_in_a_file_is_known_again_and_a_strange_one_is_searched(
    simcrop: Callable, line, scan: Callable, save: Callable, twice: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = twice
    own = line.scan.name.removesuffix(".nii.gz")
    ran = simcrop("similar", line.run, folder, line.scan, "--out", tmp_path / "own", "--top", 3)
    assert ran.code == 0, ran.err
    assert own not in [row["id"] for row in rows_in(tmp_path / "own")]
    assert json.loads((tmp_path / "own/metrics.json").read_text())["in_cohort"] == 1
    by_id = simcrop("similar", line.run, folder, f"{own}.nii.gz", "--top", 3)
    ids = [[text.split()[2] for text in one.out.splitlines()[:3]] for one in (ran, by_id)]
    assert ids[0] == ids[1]
    strange = save(tmp_path / "strange.nii.gz", scan(4))
    ran = simcrop("similar", line.run, folder, strange, "--top", 3, "--out", tmp_path / "strange")
    assert ran.code == 0, ran.err
    assert len(rows_in(tmp_path / "strange")) == 3
    assert "is not known" in (tmp_path / "strange/report.html").read_text()


def test_features_of_others_are_searched_by_id(
    simcrop: Callable, twice: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = twice
    ids = open_cohort(folder).index["id"].to_list()
    vectors = np.eye(len(ids)) + 0.01 * np.arange(len(ids))[:, None]
    pl.DataFrame({"id": ids, "embedding": vectors.tolist()}).write_parquet(tmp_path / "made.parquet")
    ran = simcrop("similar", tmp_path / "made.parquet", folder, ids[0], "--top", 2, "--out", tmp_path / "o")
    assert ran.code == 0, ran.err
    assert len([row for row in rows_in(tmp_path / "o") if row["rank"]]) == 2
    strange = tmp_path / "scan.nii.gz"
    strange.write_bytes(b"")
    refusal = simcrop("similar", tmp_path / "made.parquet", folder, strange).refusal
    assert "features cannot look at a scan in a file" in refusal


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nowhere",), "nowhere: neither a study of"),
        (("{id}", "--pool", "median"), "--pool wants mean or max, got 'median'"),
        (("{id}", "--rescale", "1,0"), "--rescale is for a scan in a file"),
    ],
)
def test_what_cannot_be_searched_is_one_line(
    simcrop: Callable, line, twice: tuple[Path, str], words: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    folder, name = twice
    given = [word.format(id=name) for word in words]
    out = tmp_path / "out"
    assert sentence in simcrop("similar", line.run, folder, *given, "--out", out).refusal
    assert not out.exists()

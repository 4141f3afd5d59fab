"""Read back by MLflow's own client from its file store."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simcrop.engine.journal import Row
from simcrop.logs.mlflow import MLflow, storable


@pytest.fixture(autouse=True)
def installed(needs: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """And a server in the environment, which must never be asked."""
    needs("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")


def write(folder: Path, rows: list[Row], settings: dict[str, int | float] | None = None) -> None:
    sink = MLflow(folder, "first", settings or {})
    for row in rows:
        sink.write(row)
    sink.close()


def read(folder: Path) -> tuple[Any, Any]:
    """The client, and the only run of the store."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=folder.as_uri())
    experiments = [e.experiment_id for e in client.search_experiments()]
    (run,) = client.search_runs(experiments)
    return client, run


def curve(folder: Path, name: str) -> list[tuple[int, float]]:
    client, run = read(folder)
    return [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]


def test_every_number_is_a_metric_of_its_step(tmp_path: Path, rows: list[Row]) -> None:
    write(tmp_path / "store", rows, {"optim.lr": 0.1, "aug.flip_lr": False})
    assert curve(tmp_path / "store", "painted") == [(1, 1.5), (2, 3.0), (3, 4.5), (4, 6.0), (6, 9.0)]
    assert curve(tmp_path / "store", "monitored/AUROC _all_") == [(3, 0.75)]
    assert curve(tmp_path / "store", "unread") == [(4, 2.0)]
    _, run = read(tmp_path / "store")
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "first"
    assert run.data.params == {"optim.lr": "0.1", "aug.flip_lr": "False"}


def test_a_run_that_goes_on_is_one_run_with_each_step_once(tmp_path: Path, rows: list[Row]) -> None:
    killed = MLflow(tmp_path / "store", "first", {})
    for row in rows:
        killed.write(row)
    again = [{**row, "loss": 100.0} for row in rows[2:4]]
    write(tmp_path / "store", [*rows[:2], *again])
    assert curve(tmp_path / "store", "loss") == [(1, 8.0), (2, 4.0), (3, 100.0), (4, 100.0)]


def test_more_numbers_and_settings_than_one_call_takes(tmp_path: Path) -> None:
    row = {"step": 1, **{f"n{i}": float(i) for i in range(1003)}}
    write(tmp_path / "store", [row], {f"s{i}": i for i in range(205)})
    _, run = read(tmp_path / "store")
    assert len(run.data.metrics) == 1003
    assert len(run.data.params) == 205


def test_no_name_of_a_study_is_in_the_store(tmp_path: Path, rows: list[Row]) -> None:
    write(tmp_path / "store", rows)
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert len(files) > 8
    assert not [path for path in files if b"train_" in path.read_bytes() or "train_" in path.name]


def test_no_place_of_this_machine_is_in_the_store(tmp_path: Path, rows: list[Row]) -> None:
    store = tmp_path / "a ü #1" / "store"
    write(store, rows)
    files = [path for path in store.rglob("*") if path.is_file()]
    assert not [path for path in files if tmp_path.name in path.read_text()]
    _, run = read(store)
    assert run.info.artifact_uri.startswith("file:///not-recorded/")


def test_a_name_that_mlflow_refuses_is_spelled_otherwise() -> None:
    assert storable("monitored/AUROC (all)") == "monitored/AUROC _all_"

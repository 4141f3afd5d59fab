"""MLflow: one run in a store of plain files in the run folder, a metric for each number of a row. Time in ms.

Nothing goes over a network: neither a server that the environment names nor the library's own telemetry is asked.
"""

import os
import re
import shutil
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from simcrop.engine.journal import Row
from simcrop.logs.numbers import numbers_of

# Newer versions want to be told that plain files are meant.
QUIET = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
EXPERIMENT = "simcrop"
NOWHERE = "file:///not-recorded"  # files beside the numbers, of which there are none
AT_ONCE = 1000  # metrics of one call, the library's limit


class MLflow:
    """The only run of the store in `folder`."""

    def __init__(self, folder: Path, name: str, settings: Mapping[str, int | float]) -> None:
        os.environ.update(QUIET)
        entities: Any = import_module("mlflow.entities")
        tracking: Any = import_module("mlflow.tracking")
        shutil.rmtree(folder, ignore_errors=True)
        (folder / ".trash").mkdir(
            parents=True
        )  # which a process that had this store open before takes for given
        self.metric = entities.Metric
        self.client = tracking.MlflowClient(tracking_uri=folder.absolute().as_uri())
        experiment = self.client.create_experiment(EXPERIMENT, artifact_location=NOWHERE)
        forget_place(folder)
        self.run = self.client.create_run(experiment, run_name=name).info.run_id
        params = [entities.Param(key, str(value)) for key, value in settings.items()]
        for first in range(0, len(params), 100):
            self.client.log_batch(self.run, params=params[first : first + 100])

    def write(self, row: Row) -> None:
        now = round(time.time() * 1000)
        named = numbers_of(row).items()
        metrics = [self.metric(storable(name), value, now, row["step"]) for name, value in named]
        for first in range(0, len(metrics), AT_ONCE):
            self.client.log_batch(self.run, metrics=metrics[first : first + AT_ONCE])

    def close(self) -> None:
        self.client.set_terminated(self.run)


def forget_place(folder: Path) -> None:
    """An experiment that MLflow makes by itself says where on this machine the store lies."""
    for meta in folder.glob("*/meta.yaml"):
        told = yaml.safe_load(meta.read_text())
        meta.write_text(yaml.safe_dump(told | {"artifact_location": NOWHERE}))


def storable(name: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^\w\-. /]", "_", name)

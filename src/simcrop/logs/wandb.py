"""W&B: one offline run in the run folder, to be sent by `wandb sync` or by nobody. Steps as in the journal.

Nothing goes over a network, whatever WANDB_MODE says, and nothing about the machine or the command line is kept.
"""

import os
import shutil
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from simcrop.engine.journal import Row
from simcrop.logs.numbers import numbers_of

PROJECT = "simcrop"
SILENT = {
    "mode": "offline",
    "console": "off",
    "silent": True,
    "save_code": False,
    "disable_code": True,
    "disable_git": True,
    "host": "",
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
    "reinit": "create_new",  # or a run that the caller has open, online perhaps, would be taken for ours
}


class Wandb:
    """The only run in `folder`, which the library wants to be called `wandb`."""

    def __init__(self, folder: Path, name: str, settings: Mapping[str, int | float]) -> None:
        os.environ["WANDB_ERROR_REPORTING"] = "false"
        self.wandb: Any = import_module("wandb")
        known = earlier_id(folder)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        chosen = self.wandb.Settings(root_dir=str(folder.parent), **SILENT)
        with ExitStack() as unless_begun:
            unless_begun.callback(self.end_service)
            self.run: Any = self.wandb.init(
                project=PROJECT,
                id=known or uuid.uuid4().hex[:12],
                name=name,
                config=dict(settings),
                settings=chosen,
            )
            unless_begun.pop_all()

    def write(self, row: Row) -> None:
        self.run.log(numbers_of(row), step=row["step"])

    def close(self) -> None:
        try:
            self.run.finish()
        finally:
            self.end_service()

    def end_service(self) -> None:
        """The library's own process writes the file, which is whole when that has ended and not before. It stays where
        the caller has a run of his own, and ends with his program.
        """
        if self.wandb.run is None:
            self.wandb.teardown()


def earlier_id(folder: Path) -> str | None:
    """By which W&B knew this run, so that one that is sent twice is one there, too."""
    found = sorted(folder.glob("offline-run-*/run-*.wandb"))
    return found[-1].stem.removeprefix("run-") if found else None

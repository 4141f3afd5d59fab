"""Which sinks a run writes to, by its settings, and what has to be installed for them. No axes or units."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from simcrop.engine.sinks import OpenSink, Sink
from simcrop.errors import SimcropError
from simcrop.logs.lenient import Lenient
from simcrop.logs.mlflow import MLflow
from simcrop.logs.numbers import plain_settings
from simcrop.logs.tensorboard import TensorBoard
from simcrop.logs.wandb import Wandb

LOGS = "logs"  # in the run folder


def sinks_of(
    names: Sequence[str], run: Path, settings: Mapping[str, Any], tell: Callable[[str], None]
) -> tuple[OpenSink, ...]:
    """Those of `names`, each with a folder of its own in `run`; one that fails is told of and dropped."""
    return tuple(
        partial(Lenient, name, partial(begin, name, run.name, settings), run / LOGS / name, tell)
        for name in names
    )


def begin(name: str, run: str, settings: Mapping[str, Any], folder: Path) -> Sink:
    """The sink of that name, empty."""
    if name == "tensorboard":
        return TensorBoard(folder)
    kind = {"wandb": Wandb, "mlflow": MLflow}[name]
    return kind(folder, run, plain_settings(settings))


def refuse_missing_logs(names: Sequence[str]) -> None:
    """Where the package of a sink is not installed, before anything is written."""
    if missing := [name for name in names if not is_installed(name)]:
        raise SimcropError(
            "missing-extra",
            f"log.{missing[0]} needs a package that is not installed: "
            f"pip install 'simcrop[{','.join(missing)}]', or leave the setting out",
        )


def is_installed(module: str) -> bool:
    """A mere folder of that name, as W&B itself leaves where it ran, is none."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None

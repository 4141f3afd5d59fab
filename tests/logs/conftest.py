"""Rows as a journal has them, and libraries that leave nothing in anybody's home."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """Six steps; two of them name studies."""
    made: list[dict[str, Any]] = [
        {"step": s, "epoch": s / 4, "loss": 8.0 / s, "painted": 1.5 * s, "lr": 1e-3} for s in range(1, 7)
    ]
    made[2]["monitored"] = {"AUROC (all)": 0.75, "gap": -0.5}
    made[3]["unread"] = {"train_9_a_1": "truncated-file", "train_7_a_2": "gone"}
    made[4] = {"step": 5, "epoch": 1.25, "lr": 1e-3, "skipped": ["train_9_a_1"]}
    return made


@pytest.fixture(autouse=True)
def at_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where W&B and MLflow keep settings, caches and a log of each of their own processes while a test runs."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in (
        "WANDB_CACHE_DIR",
        "WANDB_CONFIG_DIR",
        "WANDB_DATA_DIR",
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
    ):
        monkeypatch.setenv(name, str(home / name.lower()))
    return home

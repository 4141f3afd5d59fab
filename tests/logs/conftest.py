"""Rows as a journal has them."""

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

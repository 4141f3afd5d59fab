"""Resident memory of a run whose batches vary, watched in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simcrop.engine import memory

SCRIPT = Path(__file__).with_name("varying.py")
SETTLED = 20  # steps after which the largest batches have been seen


@pytest.mark.skipif(memory.trim() is None, reason="no glibc")
def test_memory_is_flat_over_a_hundred_steps_of_varying_batches(tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "run")],
        capture_output=True, text=True, timeout=300, env=environment, check=True,
    )  # fmt: skip
    resident = [float(line) for line in done.stdout.splitlines()]
    assert len(resident) == 100
    # Never given back, it is 1.2 times as much by then.
    assert max(resident[SETTLED:]) < 1.05 * max(resident[:SETTLED])


def test_where_there_is_no_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "trim", lambda: None)
    memory.give_back_memory()

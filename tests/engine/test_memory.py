"""Resident memory of a run whose batches vary, watched in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from simcrop.engine import memory
from simcrop.engine.job import EngineSettings
from simcrop.errors import SimcropError

SCRIPT = Path(__file__).with_name("varying.py")
SETTLED = 20  # steps after which the largest batches have been seen


@pytest.mark.skipif(memory.libc("malloc_trim") is None, reason="no glibc")
def test_memory_is_flat_over_many_steps_of_varying_batches(tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "run")],
        capture_output=True, text=True, timeout=300, env=environment, check=True,
    )  # fmt: skip
    resident = [float(line) for line in done.stdout.splitlines()]
    assert len(resident) == 300
    # Kept for good, it is half as much again by then.
    assert max(resident[SETTLED:]) < 1.15 * max(resident[:SETTLED])


def test_where_there_is_no_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "libc", lambda _: None)
    monkeypatch.delattr(memory, "resident_bytes")
    with memory.kept_heap(torch.device("cpu")) as heap:
        heap.after_step()


def test_memory_is_given_back_once_a_tenth_more_has_gathered_than_a_step_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = [100, 105, 112, 80, 108, 130, 120]
    given: list[int] = []
    monkeypatch.setattr(memory, "libc", lambda _: lambda _: given.append(len(held)) or 1)
    monkeypatch.setattr(memory, "resident_bytes", lambda: held.pop(0))
    heap = memory.Heap()
    for _ in range(7):
        heap.after_step()
    assert given == [4, 1]  # after 112, and after 130; 80 after a giving back says what a small step needs


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: 8 TB"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        OSError(12, "Cannot allocate memory"),
    ],
)
@pytest.mark.parametrize("recompute", [False, True])
def test_too_little_memory_is_one_line_that_says_what_to_lower(error: Exception, recompute: bool) -> None:
    with pytest.raises(SimcropError) as told, memory.memory_errors(6, recompute):
        raise error
    assert told.value.reason == "out-of-memory"
    assert "lower engine.micro_batch (6 now)" in told.value.sentence
    assert ("engine.recompute=true" in told.value.sentence) is not recompute
    assert "\n" not in told.value.sentence


def test_with_graphs_what_is_advised_is_not_what_is_refused_beside_them() -> None:
    graphed = EngineSettings(cuda_graphs=True)
    with (
        pytest.raises(SimcropError, match=r"micro_batch \(6 now\) or set engine\.cuda_graphs=false;") as told,
        memory.memory_errors(6, graphed.recompute, graphed.cuda_graphs),
    ):
        raise MemoryError
    assert "recompute" not in told.value.sentence


def test_loading_process_without_memory_is_no_matter_of_the_batch() -> None:
    with (
        pytest.raises(SimcropError, match=r"out of memory: lower data\.workers;"),
        memory.memory_errors(6, False),
    ):
        raise MemoryError("Caught MemoryError in DataLoader worker process 0.")


def test_a_true_request_beyond_all_memory_is_recognised() -> None:
    with pytest.raises(SimcropError, match="out of memory"), memory.memory_errors(1, False):
        torch.empty(2**60, dtype=torch.uint8)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), FileNotFoundError(2, "gone")])
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error), match=r"shapes differ|gone"), memory.memory_errors(6, False):
        raise error

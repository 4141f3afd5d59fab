"""Parameters spread over processes: what is learned, what lies on disk, and who may go on with it.

Four processes on one machine (`spread.py`). That every method learns the same: tests/objectives/test_global_batch.py.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import load_file
from torch import Tensor, nn

from simcrop.engine.checkpoint import checkpoints
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.journal import read_journal
from simcrop.engine.sharding import refuse_old_torch
from simcrop.engine.wrapping import wrap
from simcrop.errors import SimcropError

pytestmark = pytest.mark.limit(600)
HERE = Path(__file__).parent
ALONE = DistributedContext(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the processes left behind."""
    out = tmp_path_factory.mktemp("spread")
    command = [sys.executable, "-W", "error", str(HERE / "spread.py"), str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            _, errors = process.communicate(timeout=240)
        finally:
            with suppress(ProcessLookupError):  # where one fails, the others may wait for it
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, errors[-3000:]
    assert (out / "told-3.json").is_file(), errors[-3000:]
    return out


@pytest.fixture(scope="module")
def alone(spread: Path) -> Path:
    """The same by one process."""
    return spread / "alone"


def state(folder: Path) -> dict[str, Tensor]:
    """All that the newest checkpoint holds."""
    newest = checkpoints(folder / "checkpoints")[-1]
    assert newest.name == "step-00000016"
    return {**load_file(newest / "model.safetensors"), **load_file(newest / "optimizer.safetensors")}


def alike(ours: Path, theirs: Path) -> None:
    losses = [
        [(row["loss"], row["grad_norm"]) for row in read_journal(run / "journal.jsonl")]
        for run in (ours, theirs)
    ]
    assert len(losses[0]) == 16
    torch.testing.assert_close(*map(torch.tensor, losses), rtol=1e-4, atol=1e-6)
    one, other = state(ours), state(theirs)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-3, atol=2e-5, msg=name)


@pytest.mark.parametrize("name", ["straight", "parts", "straight-4", "none-2-to-full-2", "none-2-to-full-4",
                                  "full-2-to-full-4", "full-2-to-none-4"])  # fmt: skip
def test_any_number_of_processes_goes_on_with_whatever_another_number_left(
    spread: Path, alone: Path, name: str
) -> None:
    alike(spread / name, alone)


def test_one_process_goes_on_with_what_two_with_parts_left(spread: Path, alone: Path) -> None:
    assert json.loads((spread / "full-2-to-none-1.json").read_text()) == ["step-00000004", "step-00000005"]
    alike(spread / "full-2-to-none-1", alone)


def test_as_many_processes_go_on_to_the_bit(spread: Path) -> None:
    assert told(spread, 0)["stopped"] == told(spread, 1)["stopped"] == 5
    straight, stopped = state(spread / "straight"), state(spread / "stopped")
    assert straight.keys() == stopped.keys()
    assert all(torch.equal(straight[name], stopped[name]) for name in straight)


def test_steps_that_are_not_finite_change_no_part(spread: Path) -> None:
    runs = spread / "skipping", spread / "skipping-alone"
    rows = [read_journal(run / "journal.jsonl") for run in runs]
    skipped = [{row["step"]: row["skipped"] for row in found if "skipped" in row} for found in rows]
    assert skipped[0] == skipped[1]
    assert 0 < len(skipped[0]) < 16
    one, other = map(state, runs)
    assert float(one["row.step"]) == 16 - len(skipped[0])
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-3, atol=2e-5, msg=name)


def test_checkpoint_of_parts_is_what_one_process_writes(spread: Path, alone: Path) -> None:
    ours, theirs = (checkpoints(run / "checkpoints")[0] for run in (spread / "straight", alone))
    assert sorted(p.name for p in ours.iterdir()) == sorted(p.name for p in theirs.iterdir())
    for name in ("model.safetensors", "optimizer.safetensors"):
        one, other = load_file(ours / name), load_file(theirs / name)
        assert {k: (t.shape, t.dtype) for k, t in one.items()} == {
            k: (t.shape, t.dtype) for k, t in other.items()
        }
    assert load_file(ours / "optimizer.safetensors")["row.step"] == 4
    assert float(load_file(ours / "model.safetensors")["scale"]) != 1


def test_checkpoint_of_one_process_is_read_by_torch_distributed(alone: Path) -> None:
    newest = checkpoints(alone / "checkpoints")[-1]
    reader = dcp.HuggingFaceStorageReader(str(newest))
    assert set(reader.read_metadata().state_dict_metadata) == set(state(alone))


def told(spread: Path, rank: int) -> dict[str, Any]:
    return json.loads((spread / f"told-{rank}.json").read_text())


def test_disk_that_takes_no_more_of_one_process_costs_checkpoints_and_is_one_line_at_the_end(
    spread: Path,
) -> None:
    (reason, sentence), other = (told(spread, rank)["no room"] for rank in (0, 1))
    assert other == [reason, sentence]
    assert reason == "write-failed"
    assert "step-00000016: the checkpoint cannot be written: File too large; " in sentence  # the last must be
    rows = read_journal(spread / "no room" / "journal.jsonl")
    assert {"step-00000008": "write-failed"} in [
        row.get("checkpoint_failed") for row in rows
    ]  # the run went on
    left = sorted(path.name for path in (spread / "no room" / "checkpoints").iterdir())
    assert left == ["step-00000004", "step-00000005"]


@pytest.mark.parametrize("moment", ["writing", "joining"])
def test_kill_in_the_middle_of_a_checkpoint_leaves_nothing_that_is_picked_up(
    spread: Path, alone: Path, moment: str
) -> None:
    first, killed, also_killed, last = json.loads((spread / "codes.json").read_text())
    assert killed == also_killed == -signal.SIGKILL
    assert min(first, last) > 0
    left = json.loads((spread / f"{moment}.json").read_text())
    assert left == ["step-00000004", "step-00000005", "step-00000008.partial"]
    assert not (spread / moment / "checkpoints" / "step-00000008.partial").exists()
    alike(spread / moment, alone)  # one process went on with it


def test_torch_without_safetensors_of_parts_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_old_torch()
    monkeypatch.delattr(dcp, "HuggingFaceStorageWriter")
    with pytest.raises(SimcropError, match=r"engine.sharding=none"):
        refuse_old_torch()


def test_one_process_has_nobody_to_share_with() -> None:
    layer = nn.Linear(2, 2)
    assert wrap(layer, ALONE, sharding="full") is layer

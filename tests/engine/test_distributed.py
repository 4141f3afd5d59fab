"""Two processes on one machine, told what torchrun tells its own: equal weights, and one decision to stop.

One forks the other once everything is imported, which takes seconds. torchrun itself: tests/tasks/test_signals.py.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from simcrop.engine.distributed import (
    DistributedContext,
    join_distributed,
    leave_distributed,
    own_card,
    place_of,
)
from simcrop.engine.fit import fit
from simcrop.engine.job import Job
from simcrop.engine.wrapping import wrap
from simcrop.errors import SimcropError, ToldError

pytestmark = pytest.mark.limit(600)
PROGRAM = """
import json, os, socket, sys
from pathlib import Path

import torch

sys.path.insert(0, sys.argv[1])
from conftest import LineData, Sum, collate, describe
from safetensors.torch import save_file
from simcrop.engine.checkpoint import CheckpointSettings
from simcrop.engine.distributed import join_distributed, leave_distributed
from simcrop.engine.fit import fit
from simcrop.engine.job import EngineSettings, Job
from simcrop.engine.optim import OptimSettings
from simcrop.errors import SimcropError


torch.set_num_threads(1)
with socket.socket() as free:
    free.bind(("localhost", 0))
    port = free.getsockname()[1]
other = os.fork()
mine = "0" if other else "1"
os.environ |= {"RANK": mine, "LOCAL_RANK": mine, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
               "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
context = join_distributed()
rank, out = context.rank, Path(sys.argv[2])


def job(name, broken, batch=6, micro=None):
    (out / name).mkdir(exist_ok=True)
    optim = OptimSettings(lr=0.01, batch=batch, epochs=11, warmup_epochs=1)
    return Job(LineData(broken), collate, out / name, describe, 3, optim,
               EngineSettings(precision="fp32", micro_batch=micro), CheckpointSettings(every=4))


def stop_one(done, total, words):
    if done == 5 and rank == 1:
        os.kill(os.getpid(), 15)


told = {}
for name, micro in (("whole", None), ("parts", 1)):
    objective = Sum()
    fit(objective, job(name, (), micro=micro), context)
    save_file(objective.state_dict(), out / f"{name}-{rank}.safetensors")
stopped = fit(Sum(), job("stopped", ()), context, progress=stop_one)
told["stopped"] = [stopped.steps, stopped.finished]
# The first global batch of two is lines x and y: only the second process reads y.
mine = job("nan", (), batch=2).order.draws(0)
try:
    fit(Sum(), job("nan", (mine[1].index,), batch=2), context)
except SimcropError as error:
    told["reason"], told["sentence"] = error.reason, error.sentence
mine_a, mine_b = (torch.full((rank + 1, 2), number, requires_grad=True) for number in (1.0, 2.0))
both = context.gather(mine_a) + context.gather(mine_b)
(both * both).sum().backward()  # one tensor is the gradient of either
told["gathered"] = [mine_a.grad.unique().tolist(), mine_b.grad.unique().tolist()]
told["draws"] = [draw.index for draw in mine]
(out / f"told-{rank}.json").write_text(json.dumps(told))
leave_distributed()
if other:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]))
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left behind."""
    out = tmp_path_factory.mktemp("two")
    (out / "program.py").write_text(PROGRAM)
    here = str(Path(__file__).parent)
    with subprocess.Popen(
        [sys.executable, str(out / "program.py"), here, str(out)],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            _, errors = process.communicate(timeout=120)
        finally:
            with suppress(ProcessLookupError):  # where one fails, the other may wait for it
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, errors[-3000:]
    return out


def told(two: Path, rank: int) -> dict:
    return json.loads((two / f"told-{rank}.json").read_text())


@pytest.mark.parametrize("name", ["whole", "parts"])
def test_both_processes_end_with_equal_weights(two: Path, name: str) -> None:
    first, second = (load_file(two / f"{name}-{rank}.safetensors") for rank in (0, 1))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_two_processes_learn_what_one_learns(
    two: Path, toy: Callable[..., nn.Module], job: Callable[..., Job]
) -> None:
    alone = toy()
    fit(alone, job("whole"), DistributedContext(0, 1, torch.device("cpu")))
    together = load_file(two / "whole-0.safetensors")
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(together[name], tensor, atol=1e-5, rtol=1e-4)


def test_only_the_leader_writes(two: Path) -> None:
    rows = (two / "whole" / "journal.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == list(range(1, 22))


def test_signal_to_one_process_stops_both_after_the_same_step(two: Path) -> None:
    assert told(two, 0)["stopped"] == told(two, 1)["stopped"] == [5, False]


def test_nan_in_one_process_stops_both_with_its_rank_and_its_studies(two: Path) -> None:
    for rank in (0, 1):
        assert told(two, rank)["reason"] == "non-finite-loss"
        sound, broken = told(two, rank)["draws"]
        assert f"on rank 1 of 2, studies line-{broken};" in told(two, rank)["sentence"]
        assert f"line-{sound}" not in told(two, rank)["sentence"]


def test_gradient_that_two_gathered_tensors_share_is_summed_once_for_each(two: Path) -> None:
    for rank in (0, 1):  # twice the sum of 1 and 2, from each process
        assert told(two, rank)["gathered"] == [[12.0], [12.0]]


def test_one_process_alone_agrees_with_itself() -> None:
    alone = DistributedContext(0, 1, torch.device("cpu"))
    assert alone.is_main
    assert alone.any_rank(True)
    assert not alone.any_rank(False)
    assert alone.all_gather(["a"]) == ["a"]
    assert alone.mean(torch.tensor([3.0])).tolist() == [3.0]
    alone.barrier()
    layer = torch.nn.Linear(2, 2)
    assert wrap(layer, alone) is layer


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    context = join_distributed()
    leave_distributed()
    assert (context.rank, context.world) == (0, 1)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"WORLD_SIZE": "abc"}, "WORLD_SIZE=abc is no number"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "WORLD_SIZE=2 is set and MASTER_ADDR, MASTER_PORT not"),
        (
            {"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
            "RANK=2 is none of WORLD_SIZE=2",
        ),
    ],
)
def test_what_torchrun_would_not_have_set_is_one_line_that_names_it(told: dict[str, str], words: str) -> None:
    with pytest.raises(SimcropError, match=f"{words}: start many processes with torchrun"):
        place_of(told)


@pytest.mark.parametrize(("place", "kind"), [(0, SimcropError), (1, ToldError)])
def test_more_processes_than_cards_are_refused_on_all_and_told_by_one(
    place: int, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", str(place))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(
        SimcropError, match=r"2 processes .* torch sees 1: torchrun --nproc-per-node 1"
    ) as refused:
        own_card()
    assert type(refused.value) is kind

"""`python spread.py FOLDER`: four processes train a toy, two of them or all, with its parameters spread or not.

One forks the others once everything is imported, which takes seconds. What they were told lies in `told-RANK.json`.
"""

import json
import os
import shutil
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit
from typing import Any

import torch
import torch.distributed.fsdp  # before processes are forked
from torch import Tensor, nn

from conftest import LineData, Lines, Sum, collate, describe
from simcrop.engine import shard_files
from simcrop.engine.checkpoint import CheckpointSettings
from simcrop.engine.distributed import DistributedContext, join_distributed, leave_distributed
from simcrop.engine.fit import Fitted, fit
from simcrop.engine.job import EngineSettings, Job
from simcrop.engine.optim import OptimSettings
from simcrop.errors import SimcropError

ALONE = DistributedContext(0, 1, torch.device("cpu"))


class Wide(Sum):
    """The toy with layers in a list, and with all that is odd for parts: no axes, fewer rows than processes, what is
    frozen, a buffer, and what only some batches reach.
    """

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.row = nn.Parameter(torch.randn(1, 4))
        self.rare = nn.Linear(4, 1)
        self.fixed = nn.Linear(4, 4).requires_grad_(False)
        self.register_buffer("seen", torch.zeros(2))

    @property
    def runs_always(self) -> list[nn.Module]:
        return [self]

    def forward(self, batch: Lines) -> dict[str, Tensor]:
        x = batch.x + self.row
        for block in self.blocks:
            x = x + block(x).tanh()
        terms = super().forward(replace(batch, x=self.scale * self.fixed(x)))
        if (some := batch.x[:, 0] > 1.2).any():  # in some processes of a step, in none of another
            terms["small"] = terms["small"] + self.rare(x[some]).square().sum() / len(x)
        return terms

    def ends(self, *_: Any) -> None:
        self.get_buffer("seen").add_(1)


def job(folder: Path, sharding: str = "none", micro: int | None = None, broken: tuple[int, ...] = ()) -> Job:
    """Steps with a `broken` line are skipped."""
    folder.mkdir(exist_ok=True, parents=True)
    optim = OptimSettings(lr=0.01, batch=8, epochs=11, warmup_epochs=1, clip_grad=1.0)
    engine = EngineSettings(precision="fp32", sharding=sharding, micro_batch=micro, skip_non_finite=99)  # type: ignore[arg-type]
    return Job(
        LineData(broken), collate, folder, describe, 3, optim, engine, CheckpointSettings(every=4, keep=9)
    )


def run(folder: Path, context: DistributedContext, sharding: str, upto: int = 0, **more: Any) -> Fitted:
    """Begin or go on; stopped by a signal to the last process after step `upto`."""

    def stop(done: int, total: int, words: str) -> None:
        del total, words
        if done == upto and context.rank == context.world - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    return fit(Wide(), job(folder, sharding, **more), context, resume=True, progress=stop)


def copied(context: DistributedContext, old: Path, new: Path) -> Path:
    if context.is_main:
        shutil.copytree(old, new)
    context.barrier()
    return new


def joined(rank: int, world: int, port: int) -> DistributedContext:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
    os.environ |= {name: str(number) for name, number in place.items()}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    return join_distributed()


def with_two(out: Path, context: DistributedContext, told: dict[str, Any]) -> None:
    run(out / "straight", context, "full")
    run(out / "parts", context, "full", micro=1)
    run(out / "skipping", context, "full", broken=(3,))
    told["stopped"] = run(out / "stopped", context, "full", upto=5).steps
    copied(context, out / "stopped", out / "full-2-to-none-1")
    copied(context, out / "stopped", out / "full-2-to-full-4")
    copied(context, out / "stopped", out / "full-2-to-none-4")
    run(out / "stopped", context, "full")
    run(out / "plain", context, "none", upto=5)
    copied(context, out / "plain", out / "none-2-to-full-2")
    copied(context, out / "plain", out / "none-2-to-full-4")
    run(out / "none-2-to-full-2", context, "full")
    run(out / "no room", context, "full", upto=5)
    soft, hard = getrlimit(RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if context.rank == 1:
        setrlimit(RLIMIT_FSIZE, (100, hard))
    try:
        run(out / "no room", context, "full")
    except SimcropError as error:
        setrlimit(RLIMIT_FSIZE, (soft, hard))
        told["no room"] = [error.reason, error.sentence]


def with_four(out: Path, context: DistributedContext) -> None:
    run(out / "straight-4", context, "full")
    for name in ("full-2-to-full-4", "none-2-to-full-4", "full-2-to-none-4"):
        run(out / name, context, "full" if "-to-full" in name else "none")


def killed(out: Path, context: DistributedContext, moment: str) -> None:
    """By `kill -9` of one of two processes while it writes its parts, or while the main one joins them."""
    run(out / moment, context, "full", upto=5)
    at, victim = {"writing": ("dcp.HuggingFaceStorageWriter.write_data", 1), "joining": ("header_of", 0)}[
        moment
    ]
    owner: Any = shard_files
    *path, name = at.split(".")
    for step in path:
        owner = getattr(owner, step)
    if context.rank == victim:
        setattr(owner, name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    run(out / moment, context, "full")


def main(out: Path) -> None:
    torch.set_num_threads(1)
    ports = []
    for _ in range(4):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            ports.append(free.getsockname()[1])
    others = [other for rank in range(4) if (other := child(rank, ports, out))]
    codes = [os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) for other in others]
    (out / "codes.json").write_text(json.dumps(codes))
    for name in ("alone", "full-2-to-none-1", "writing", "joining"):
        left = sorted(path.name for path in (out / name / "checkpoints").glob("*"))
        (out / f"{name}.json").write_text(json.dumps(left))
        run(out / name, ALONE, "none")
    run(out / "skipping-alone", ALONE, "none", broken=(3,))


def child(rank: int, ports: list[int], out: Path) -> int:
    if number := os.fork():
        return number
    told: dict[str, Any] = {}
    if rank < 2:
        with_two(out, joined(rank, 2, ports[0]), told)
        leave_distributed()
    with_four(out, joined(rank, 4, ports[1]))
    leave_distributed()
    (out / f"told-{rank}.json").write_text(json.dumps(told))
    pair, place = divmod(rank, 2)
    killed(out, joined(place, 2, ports[2 + pair]), ("writing", "joining")[pair])
    sys.exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Processes that know of one another as those of torchrun do, but forked from this one, which has imported everything.

No axes; seconds. The store where they meet lies in this process, as torchrun's does in its agent, and outlives them.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch._dynamo  # noqa: F401, an optimiser and DDP would import it in each process
import torch.distributed as dist

from simcrop.cli.app import sentence_of
from simcrop.engine.company import in_company
from simcrop.engine.distributed import DistributedContext, join_distributed, leave_distributed
from simcrop.errors import ToldError

Work = Callable[[DistributedContext], bool]  # true when it is finished


def be_rank(rank: int, world: int, port: int, log: Path, work: Work) -> None:
    """The life of one: its stderr in a file of its own, its exit code that of the command line."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    os.environ |= {"LOCAL_WORLD_SIZE": str(world), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    code = 1
    try:
        context = join_distributed()
        try:
            with in_company(context):
                code = 0 if work(context) else 130
        finally:
            leave_distributed()
    except KeyboardInterrupt:
        code = 130
    except ToldError:
        code = 2
    except Exception as error:  # noqa: BLE001
        sys.stderr.write(f"error: {sentence_of(error)}\n")
        code = 2
    finally:
        os._exit(code)


@contextmanager
def ranks(world: int, work: Work, folder: Path) -> Iterator[list[BaseProcess]]:
    """So many processes at `work`, whose stderr is `folder/rank-N.log`; whoever is left at the end is killed."""
    store = dist.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    fork = multiprocessing.get_context("fork")
    started: list[BaseProcess] = []
    try:
        for rank in range(world):
            words = (rank, world, store.port, folder / f"rank-{rank}.log", work)
            started.append(fork.Process(target=be_rank, args=words))
            started[-1].start()
        yield started
    finally:
        for process in started:
            kill(process)


def kill(process: BaseProcess) -> None:
    """With its loading processes, which are of its group."""
    assert process.pid is not None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def codes(started: list[BaseProcess], seconds: float = 30) -> list[int | None]:
    """Their exit codes, once all have ended; None for one that has not within so long."""
    for process in started:
        process.join(seconds)
    return [process.exitcode for process in started]


def lines(folder: Path) -> list[str]:
    """What all of them wrote on stderr."""
    return [line for log in sorted(folder.glob("rank-*.log")) for line in log.read_text().splitlines()]

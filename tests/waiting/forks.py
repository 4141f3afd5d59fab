"""A plugin of pytest: runs of the command line and of torchrun, each a fork of one server that has imported everything,
since an import takes seconds.

No axes; seconds.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from select import select

import pytest

PATIENCE = 90.0  # seconds before something that does not come counts as a failure
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
SERVER = Path(__file__).with_name("fork_server.py")


class Forks:
    """Runs of the command line, each the leader of a process group of its own."""

    def __init__(self) -> None:
        self.server = subprocess.Popen(
            [sys.executable, str(SERVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=ONE_THREAD,
        )

        self.begun: set[int] = set()

    def ask(self, *words: object) -> int:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(words) + "\n")
        self.server.stdin.flush()
        assert select([self.server.stdout], [], [], PATIENCE)[0], f"waited {PATIENCE} s for {words[0]}"
        return int(self.server.stdout.readline())

    def start(self, log: Path, *words: object) -> int:
        """The number of the process."""
        process = self.ask("start", *map(str, (log, *words)))
        self.begun.add(process)
        return process

    def end(self, process: int) -> int:
        """Its exit code, once its whole group is gone."""
        code = self.ask("wait", process)
        await_true(lambda: not alive(process), "the group to end")
        self.begun.remove(process)
        return code

    def close(self) -> None:
        """Whatever is left of all runs ends, too."""
        for process in self.begun:
            kill_group(process)
        with self.server:  # its pipes are closed, too
            self.server.kill()


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def kill_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def await_true(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    forks = Forks()
    try:
        yield forks
    finally:
        forks.close()


def torchrun(forks: Forks, log: Path, words: list[str], *options: str, forking: bool = True) -> int:
    """The number of the agent. Its two processes are forks of it, or each a Python that imports everything."""
    two = ("--standalone", "--nproc-per-node", "2", *options)
    return forks.start(log, "forking-torchrun" if forking else "torchrun", *two, "-m", "simcrop", *words)


def children(process: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]

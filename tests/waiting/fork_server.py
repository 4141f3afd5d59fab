"""`python fork_server.py`: runs of the command line and of torchrun, each a fork of this process, which has imported
everything.

No axes. A request is a line of JSON: `["start", LOG, WORDS...]` is answered by the number of the process, `["wait",
PROCESS]` by its exit code. After `torchrun` the words are torchrun's own; after `forking-torchrun`, too, but then its
processes are forks of its agent, where torchrun would start Python anew.
"""

import json
import multiprocessing.util
import os
import signal
import subprocess
import sys
import time

import torch._dynamo  # an optimiser would import it in each run
import torch.distributed.run
from torch.distributed.elastic.multiprocessing.subprocess_handler.subprocess_handler import SubprocessHandler

import simcrop.tasks.training.pretrain  # noqa: F401
from simcrop.cli.app import main


class Rank:
    """What torchrun asks of the Popen of `python -m simcrop WORDS`, in a session of its own as that is."""

    def __init__(self, words: list[str], environment: dict[str, str]) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            be_rank(words, environment)

    def poll(self) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("simcrop", timeout)
            time.sleep(0.01)
        return code


def be_rank(words: list[str], environment: dict[str, str]) -> None:
    """Nothing of the agent is left: its handlers of signals, its variables, nor what it does at its own end."""
    code = 1
    try:
        os.setsid()
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["simcrop", *words]
        main(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
        multiprocessing.util._exit_function()  # as at the end of any Python: its loading processes end, too
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def fork_ranks() -> None:
    """From now on torchrun's agent in this process forks what it would start."""

    def forked(_: SubprocessHandler, command: tuple[str, ...], environment: dict[str, str]) -> Rank:
        assert command[:4] == (sys.executable, "-u", "-m", "simcrop"), command
        return Rank(list(command[4:]), environment)

    SubprocessHandler._popen = forked  # type: ignore[assignment]


def be_run(log: str, words: list[str]) -> None:
    os.setsid()
    nobody, file = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for to, of in enumerate((nobody, file, file)):
        os.dup2(of, to)
    if words[0] == "forking-torchrun":
        fork_ranks()
    if words[0].endswith("torchrun"):
        torch.distributed.run.main(words[1:])
        os._exit(0)
    sys.argv = ["simcrop", *words]
    main(words)


def serve() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for line in sys.stdin:
        kind, *rest = json.loads(line)
        if kind == "start":
            log, *words = rest
            answer = os.fork()
            if answer == 0:
                be_run(log, words)
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(rest[0], 0)[1])
        print(answer, flush=True)  # noqa: T201


if __name__ == "__main__":
    serve()

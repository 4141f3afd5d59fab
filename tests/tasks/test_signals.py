"""Every signal that ends jobs, to a process, its group and torchrun: saved, nobody left, and the weights of a run that
nothing disturbed. One server that has imported everything forks for each run, since an import takes seconds.
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
from typing import Any

import pytest
import yaml

from simcrop.engine.checkpoint import checkpoints
from simcrop.engine.journal import read_journal

pytestmark = pytest.mark.limit(600)
PATIENCE = 90.0  # seconds before something that does not come counts as a failure
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
SERVER = """
import json, os, signal, sys

import torch._dynamo  # an optimiser would import it in each run
import torch.distributed.run as torchrun
import simcrop.tasks.pretrain
from simcrop.cli.app import main

signal.signal(signal.SIGINT, signal.default_int_handler)
for line in sys.stdin:
    kind, *rest = json.loads(line)
    if kind == "start":
        log, *words = rest
        child = os.fork()
        if child == 0:
            os.setsid()
            nobody, file = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            for to, of in enumerate((nobody, file, file)):
                os.dup2(of, to)
            if words[0] == "torchrun":
                torchrun.main(words[1:])
                os._exit(0)
            sys.argv = ["simcrop", *words]
            main(words)
        print(child, flush=True)
    else:
        print(os.waitstatus_to_exitcode(os.waitpid(rest[0], 0)[1]), flush=True)
"""


class Forks:
    """Runs of the command line, each the leader of a process group of its own."""

    def __init__(self) -> None:
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
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


def rows_of(run: Path) -> list[dict[str, Any]]:
    return read_journal(run / "journal.jsonl")


def newest(run: Path) -> int:
    """The step of the newest checkpoint."""
    saved = checkpoints(run / "checkpoints")
    return int(saved[-1].name[5:]) if saved else 0


@pytest.fixture
def words(toy_cohort: Path, toy_tree: dict[str, Any], tmp_path: Path) -> list[str]:
    """The command but for --out, with a recipe of 50 steps."""
    groups: dict[str, dict[str, Any]] = {
        "optim": {"steps": 50},
        "checkpoint": {"every": 8},
        "engine": {"precision": "bf16"},
        "align": {"center_text": True},
        "mlm": {"vocabulary": "compact"},
    }
    tree = {name: {**toy_tree.get(name, {}), **groups.get(name, {})} for name in {*toy_tree, *groups}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tree))
    return ["pretrain", str(toy_cohort), "--recipe", str(tmp_path / "recipe.yaml")]


# All combinations are asked of the engine, in tests/engine/test_signal_matrix.py; here is the way through a verb.
STOPS = ((signal.SIGTERM, os.kill, 0), (signal.SIGINT, os.killpg, 2), (signal.SIGUSR1, os.killpg, 2))


def test_run_that_is_stopped_in_every_way_ends_with_the_bytes_of_an_undisturbed_one(
    words: list[str], forks: Forks, tmp_path: Path
) -> None:
    run, straight, log = tmp_path / "run", tmp_path / "straight", tmp_path / "log"
    undisturbed = forks.start(tmp_path / "straight.log", *words, "--out", straight)

    # Killed with its loading processes at work, in the middle of a line of the journal.
    process = forks.start(log, *words, "--out", run, "--set", "data.workers=2")
    await_true(
        lambda: bool(newest(run)) and rows_of(run)[-1]["step"] > newest(run), "a step after a checkpoint"
    )
    second = forks.start(tmp_path / "second.log", *words, "--out", run, "--overwrite")
    assert forks.end(second) == 2
    assert f"{run} is in use by process {process}" in (tmp_path / "second.log").read_text()
    os.kill(process, signal.SIGKILL)
    assert forks.end(process) == -signal.SIGKILL
    assert not (run / "model").exists()
    with (run / "journal.jsonl").open("a") as journal:
        journal.write('{"step": 9')

    for number, send, workers in STOPS:
        begun = newest(run)
        log.unlink()
        process = forks.start(log, *words, "--out", run, "--resume", "--set", f"data.workers={workers}")
        await_true(lambda: log.is_file() and "/50 " in log.read_text(), "a step")
        send(process, number)
        send(process, number)
        case = f"{number!r} by {send.__name__} with {workers} loading processes: {log.read_text()}"
        assert forks.end(process) == 130, case
        assert begun < newest(run) == rows_of(run)[-1]["step"] < 50, case
        assert "--resume" in log.read_text(), case
        assert "Traceback" not in log.read_text(), case

    assert forks.end(forks.start(log, *words, "--out", run, "--resume")) == 0, log.read_text()
    assert forks.end(undisturbed) == 0
    for name in ("model.safetensors", "tokenizer/vocab.txt"):
        assert (run / "model" / name).read_bytes() == (straight / "model" / name).read_bytes()
    rows, others = rows_of(run), rows_of(straight)
    assert [row["step"] for row in rows] == list(range(1, 51))
    assert [row["loss"] for row in rows] == [row["loss"] for row in others]
    assert sum(row["loss"] for row in rows[-10:]) < 0.8 * sum(row["loss"] for row in rows[:10])


def torchrun(forks: Forks, log: Path, words: list[str], *options: str) -> int:
    two = ("torchrun", "--standalone", "--nproc-per-node", "2", *options)
    return forks.start(log, *two, "-m", "simcrop", *words)


def children(process: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_torchrun_passes_signals_on_and_its_processes_save_once(
    words: list[str], forks: Forks, tmp_path: Path
) -> None:
    # Without text, whose encoder would be seconds of imports in each of four processes.
    recipe = Path(words[-1])
    tree = yaml.safe_load(recipe.read_text())
    kept = ("input", "vision", "vision_decoder", "optim", "checkpoint", "engine")
    recipe.write_text(yaml.safe_dump({"method": "mae"} | {name: tree[name] for name in kept}))
    every = [f"--set={name}" for name in ("checkpoint.every=1", "checkpoint.keep=500", "optim.steps=500")]
    all_of_them, agent_alone = tmp_path / "all", tmp_path / "agent"
    handled = ("--signals-to-handle", "SIGTERM,SIGINT,SIGUSR1")
    agents = {
        all_of_them: torchrun(
            forks,
            tmp_path / "all.log",
            [*words, "--out", str(all_of_them), *every, "--set", "data.workers=2"],
        ),
        agent_alone: torchrun(
            forks, tmp_path / "agent.log", [*words, "--out", str(agent_alone), *every], *handled
        ),
    }
    try:
        ranks: dict[Path, list[int]] = {}

        def begun() -> list[Path]:
            return [run for run in agents if run not in ranks and rows_of(run)]

        while len(ranks) < len(agents):  # each as soon as it has a step: any more is work for nothing
            await_true(lambda: bool(begun()), "a step")
            ranks.update({run: stop(agents[run], all_of_them=run == all_of_them) for run in begun()})
        for run, agent in agents.items():
            forks.end(agent)
            check_stopped(run, run.with_suffix(".log").read_text(), ranks[run])
    finally:
        for agent in forks.begun.intersection(agents.values()):
            for rank in children(agent):
                kill_group(rank)
    # What one saved when it was stopped, the other had at the same step on its way.
    step = f"step-{min(map(newest, agents)):08d}"
    for name in ("model.safetensors", "optimizer.safetensors"):
        first, second = (run / "checkpoints" / step / name for run in agents)
        assert first.read_bytes() == second.read_bytes()


def stop(agent: int, all_of_them: bool) -> list[int]:
    """A signal to the agent, and one to each of its processes where `all_of_them` get one; their numbers."""
    ranks = children(agent)
    assert len(ranks) == 2
    for process in [agent, *ranks] if all_of_them else [agent]:
        os.kill(process, signal.SIGTERM if all_of_them else signal.SIGUSR1)
    return ranks


def check_stopped(run: Path, errors: str, ranks: list[int]) -> None:
    assert errors.count("stopped after step") == 2, errors
    assert "SIGKILL" not in errors
    await_true(lambda: not any(map(alive, ranks)), "the processes and theirs to end")
    assert newest(run) == rows_of(run)[-1]["step"] < 500

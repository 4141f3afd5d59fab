"""Every signal that ends jobs, to a process, its group and torchrun: saved, nobody left, and the weights of a run that
nothing disturbed. One server that has imported everything forks for each run, since an import takes seconds; what one
torchrun of these starts is started as users start it.
"""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from forks import Forks, alive, await_true, children, kill_group, torchrun

from simcrop.engine.checkpoint import checkpoints
from simcrop.engine.journal import read_journal

pytestmark = pytest.mark.limit(600)


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
    os.kill(process, signal.SIGSTOP)  # or it would be over before the second is refused
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


def leave_text_out(recipe: Path) -> None:
    """Its encoder would be seconds of imports in each of several processes."""
    tree = yaml.safe_load(recipe.read_text())
    kept = ("input", "vision", "vision_decoder", "optim", "checkpoint", "engine")
    recipe.write_text(yaml.safe_dump({"method": "mae"} | {name: tree[name] for name in kept}))


def test_torchrun_passes_signals_on_and_its_processes_save_once(
    words: list[str], forks: Forks, tmp_path: Path
) -> None:
    leave_text_out(Path(words[-1]))
    every = [f"--set={name}" for name in ("checkpoint.every=1", "checkpoint.keep=500", "optim.steps=500")]
    handled = ("--signals-to-handle", "SIGTERM,SIGINT,SIGUSR1")
    whole, alone, interrupted = (tmp_path / name for name in ("whole", "alone", "interrupted"))
    # To whom which signal goes: from a scheduler to every process, or to torchrun alone; by Ctrl-C to a whole group.
    sends = {
        whole: lambda agent, ranks: [os.kill(one, signal.SIGTERM) for one in (agent, *ranks)],
        alone: lambda agent, ranks: os.kill(agent, signal.SIGUSR1),  # noqa: ARG005
        interrupted: lambda agent, ranks: [os.killpg(one, signal.SIGINT) for one in (agent, *ranks)],
    }
    agents = {
        run: torchrun(
            forks,
            run.with_suffix(".log"),
            [*words, "--out", str(run), *every, "--set", f"data.workers={0 if run == alone else 2}"],
            *(handled if run == alone else ()),
            forking=run != alone,
        )
        for run in sends
    }
    try:
        ranks: dict[Path, list[int]] = {}

        def begun() -> list[Path]:
            return [run for run in agents if run not in ranks and rows_of(run)]

        while len(ranks) < len(agents):  # each as soon as it has a step: any more is work for nothing
            await_true(lambda: bool(begun()), "a step")
            for run in begun():
                ranks[run] = children(agents[run])
                assert len(ranks[run]) == 2
                sends[run](agents[run], ranks[run])
        for run, agent in agents.items():
            forks.end(agent)
            check_stopped(run, run.with_suffix(".log").read_text(), ranks[run])
    finally:
        for agent in forks.begun.intersection(agents.values()):
            for rank in children(agent):
                kill_group(rank)
    # What one saved when it was stopped, the others had at the same step on their way.
    step = f"step-{min(map(newest, agents)):08d}"
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert len({(run / "checkpoints" / step / name).read_bytes() for run in agents}) == 1
    goes_on(words, forks, interrupted, every)


def check_stopped(run: Path, errors: str, ranks: list[int]) -> None:
    assert errors.count("stopped after step") == 2, errors
    assert "SIGKILL" not in errors
    await_true(lambda: not any(map(alive, ranks)), "the processes and theirs to end")
    assert newest(run) == rows_of(run)[-1]["step"] < 500


def goes_on(words: list[str], forks: Forks, run: Path, settings: list[str]) -> None:
    """From the step at which it was stopped."""
    log, begun = run.with_suffix(".again.log"), newest(run)
    process = forks.start(log, *words, "--out", run, *settings, "--resume")
    await_true(lambda: newest(run) > begun, "a step after the last")
    os.kill(process, signal.SIGTERM)
    assert forks.end(process) == 130, log.read_text()
    assert [row["step"] for row in rows_of(run)] == list(range(1, newest(run) + 1))


def test_rank_that_is_killed_is_one_line_and_torchrun_starts_all_again_from_the_checkpoint(
    words: list[str], forks: Forks, tmp_path: Path
) -> None:
    leave_text_out(Path(words[-1]))
    run, straight = tmp_path / "run", tmp_path / "straight"
    log, other = tmp_path / "run.log", tmp_path / "straight.log"
    agent = torchrun(forks, log, [*words, "--out", str(run), "--resume"], "--max-restarts", "1")
    undisturbed = torchrun(forks, other, [*words, "--out", str(straight)])
    try:
        await_true(lambda: newest(run) >= 8, "a checkpoint")
        killed = children(agent)[1]
        os.kill(killed, signal.SIGKILL)
        begun = newest(run)
        assert forks.end(agent) == 0, log.read_text()
        assert forks.end(undisturbed) == 0, other.read_text()
    finally:
        for one in forks.begun.intersection((agent, undisturbed)):
            for rank in children(one):
                kill_group(rank)
    told = [line for line in log.read_text().splitlines() if "error: " in line]
    assert len(told) == 1, log.read_text()
    assert "rank 1 of 2 ended without a word" in told[0]
    assert 8 <= begun < 50
    first, second = (one / "model/model.safetensors" for one in (run, straight))
    assert first.read_bytes() == second.read_bytes()
    rows = [
        [{n: v for n, v in r.items() if n in ("step", "loss")} for r in rows_of(o)] for o in (run, straight)
    ]
    assert rows[0] == rows[1]

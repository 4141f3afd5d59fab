"""Runs of two processes that each hold a part of the parameters: journal, model and checkpoints are those of DDP."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from simcrop.config import build_recipe
from simcrop.data.store.cohort import open_cohort
from simcrop.engine.checkpoint import checkpoints
from simcrop.engine.journal import read_journal
from simcrop.model import load
from simcrop.tasks.training.pretrain import pretrain

pytestmark = pytest.mark.limit(600)
# Both processes come from one that has imported everything, which takes seconds.
TWO = """
import json, os, sys
from pathlib import Path

import torch.distributed.fsdp
from simcrop.config import build_recipe
from simcrop.tasks.training.pretrain import pretrain

os.environ |= {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
cohort, *runs = json.loads(sys.argv[1])
other = os.fork()
os.environ |= {"RANK": "0" if other else "1", "LOCAL_RANK": "0" if other else "1"}
for port, tree, out in runs:
    os.environ["MASTER_PORT"] = str(port)
    assert pretrain(Path(cohort), build_recipe(tree, "toy"), Path(out)).finished
if other:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]))
"""
HEAD = {"hidden": 19, "bottleneck": 7, "outputs": 11, "frozen_epochs": 40}  # in the first two of three steps


def tree_of(name: str, toy_tree: dict[str, Any], sharding: str) -> dict[str, Any]:
    """`text`: with a text encoder that is trained, and measured meanwhile; `teacher`: with one that follows."""
    more: dict[str, Any] = {
        "optim": {**toy_tree["optim"], "steps": 3},
        "engine": {
            "precision": "fp32",
            "sharding": sharding,
            "micro_batch": 1,
            "recompute": True,
            "monitor": 3,
        },
        "checkpoint": {"every": 2, "keep": 9},
    }
    if name == "teacher":
        own = {"method": "dino", "head": HEAD, "views": {"small": 2}, "teacher": {"momentum": 0.5}}
        return {**{group: toy_tree[group] for group in ("input", "vision")}, **own, **more}
    return {**toy_tree, "text": {**toy_tree["text"], "freeze": False}, **more}


@pytest.fixture(scope="module")
def together(toy_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The folder of a run by its name and sharding, once all are done."""
    out, done = tmp_path_factory.mktemp("together"), []

    def folder(name: str, sharding: str, toy_tree: dict[str, Any]) -> Path:
        if not done:
            runs: list[Any] = [str(toy_cohort)]
            for one in ("text", "teacher"):
                for way in ("none", "full"):
                    with socket.create_server(("127.0.0.1", 0)) as free:
                        port = free.getsockname()[1]
                    runs.append([port, tree_of(one, toy_tree, way), str(out / f"{one}-{way}")])
            start_two(runs)
            done.append(True)
        return out / f"{name}-{sharding}"

    return folder


def start_two(runs: list[Any]) -> None:
    command = [sys.executable, "-c", TWO, json.dumps(runs)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        try:
            _, errors = process.communicate(timeout=200)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, errors[-3000:]


def alike(one: Path, other: Path) -> None:
    ours, theirs = load_file(one), load_file(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        if name.endswith(
            ("qkv.bias", "key.bias")
        ):  # has no gradient but what is rounded, which Adam makes large
            continue
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("name", ["text", "teacher"])
def test_run_with_parts_is_the_run_without(
    together: Callable[..., Path], toy_tree: dict[str, Any], toy_cohort: Path, name: str
) -> None:
    whole, parts = (together(name, sharding, toy_tree) for sharding in ("none", "full"))
    rows = [read_journal(run / "journal.jsonl") for run in (whole, parts)]
    for ours, theirs in zip(*rows, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-3)
        assert ours.get("monitored", {}) == pytest.approx(theirs.get("monitored", {}), abs=0.1)
    assert len(rows[0]) == 3
    assert ("monitored" in rows[0][-1]) == (name == "text")
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(parts) for path in parts.rglob("*") if path.is_file())
    for file in (file for file in files if file.suffix == ".safetensors" and file.parts[0] == "model"):
        alike(whole / file, parts / file)  # of the text encoder, too
    assert load(parts).embed(open_cohort(toy_cohort)[0].volume()).shape == (36,)


def test_checkpoint_with_parts_is_loaded_and_gone_on_with_by_one_process(
    together: Callable[..., Path], toy_tree: dict[str, Any], toy_cohort: Path, tmp_path: Path
) -> None:
    run, volume = tmp_path / "run", open_cohort(toy_cohort)[0].volume()
    shutil.copytree(together("text", "full", toy_tree), run)
    whole = load(run).embed(volume)
    shutil.rmtree(run / "model")
    torch.testing.assert_close(torch.as_tensor(load(run).embed(volume)), torch.as_tensor(whole))
    shutil.rmtree(checkpoints(run / "checkpoints")[-1])
    alone = build_recipe(tree_of("text", toy_tree, "none"), "toy")
    assert pretrain(toy_cohort, alone, run, resume=True).finished
    (continued,) = json.loads((run / "run.json").read_text())["continued"]
    assert continued["settings_before"] == {"engine.sharding": "full"}
    rows = [read_journal(folder / "journal.jsonl") for folder in (run, together("text", "full", toy_tree))]
    first, second = ([row["loss"] for row in of_one] for of_one in rows)
    assert len(first) == 3
    assert first == pytest.approx(second, rel=0.1)  # what a text encoder drops hangs on the process

"""Training steps of this tree beside those of another commit, by the recipe of one name, in turns.

    python benchmarks/against.py 75f7743 --json benchmarks/results/against.json

Each tree draws and ingests phantoms of its own and trains on them by its own command line, once for a few steps and
once for more: the difference is what steps cost, reading included, and starting and saving are not. Prints JSON with
seconds per step, wall and processor time, the median of all turns, and the other's over ours with its least and
largest. `loss`: of the last step, by which one sees whether both learn the same. --set changes the recipe in both.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from step_parts.report import keep

HERE = Path(__file__).resolve().parents[1]


def main() -> None:
    chosen = arguments()
    with tempfile.TemporaryDirectory() as folder, tree_of(chosen.commit, Path(folder) / "tree") as other:
        trees = [Tree(HERE, Path(folder) / "ours"), Tree(other, Path(folder) / "theirs")]
        for tree in trees:
            tree.prepare(chosen.patients, chosen.size, chosen.difficulty)
        turns = [[tree.step(chosen) for tree in trees] for _ in range(chosen.repeats)]
    report: dict[str, Any] = {"commit": chosen.commit, "recipe": chosen.recipe, "threads": chosen.threads}
    report |= {"steps": [chosen.few, chosen.many], "patients": chosen.patients}
    for clock in ("wall", "cpu"):
        ours, theirs = ([turn[i][f"{clock}_s"] for turn in turns] for i in (0, 1))
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        report[clock] = {
            "ours_s": median(ours),
            "theirs_s": median(theirs),
            "theirs_over_ours": median(ratios),
        }
        report[clock] |= {"least": min(ratios), "largest": max(ratios)}
    report["loss"] = {"ours": turns[0][0]["loss"], "theirs": turns[0][1]["loss"]}
    print(json.dumps(report, indent=1))
    keep(report, chosen.json)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("commit")
    parser.add_argument("--recipe", default="simcrop-plus-tiny", help="which both trees ship")
    parser.add_argument("--size", default="tiny", help="of the phantoms: tiny, small or full")
    parser.add_argument("--difficulty", default="easy", help="easy, or real: natural anatomies")
    parser.add_argument("--patients", type=int, default=64)
    parser.add_argument("--few", type=int, default=5, help="steps of the shorter run")
    parser.add_argument("--many", type=int, default=35, help="steps of the longer one")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of each training, as the demo's have")
    parser.add_argument("--set", action="append", default=[], metavar="SETTING")
    parser.add_argument("--json", type=Path, help="write the report here as well")
    chosen = parser.parse_args()
    if chosen.many <= chosen.few:
        parser.error("--many must be more than --few")
    return chosen


@contextmanager
def tree_of(commit: str, folder: Path) -> Iterator[Path]:
    """The files of a commit in a folder of their own, beside these."""
    run(["git", "-C", str(HERE), "worktree", "add", "--force", "--detach", str(folder), commit])
    try:
        yield folder
    finally:
        run(["git", "-C", str(HERE), "worktree", "remove", "--force", str(folder)])


@dataclass(frozen=True)
class Tree:
    """The files of one commit, and a folder for what they make."""

    files: Path
    home: Path

    def prepare(self, patients: int, size: str, difficulty: str) -> None:
        raw = str(self.home / "raw")
        spacing = {"tiny": "5.5,5.5,10", "small": "2.75,2.75,5"}.get(size, "1.5,1.5,3")
        drawn = ("--patients", str(patients), "--size", size, "--difficulty", difficulty)
        self.simcrop("phantom", raw, *drawn)
        words = ("--layout", "ct-rate", "--spacing", spacing, "--out", str(self.home / "cohort"))
        self.simcrop("ingest", raw, *words)

    def step(self, chosen: argparse.Namespace) -> dict[str, float]:
        """Seconds of a step, and the loss of the last."""
        few, many = (self.trained(chosen, steps) for steps in (chosen.few, chosen.many))
        more = chosen.many - chosen.few
        seconds = {name: (many[name] - few[name]) / more for name in ("wall_s", "cpu_s")}
        return seconds | {"loss": many["loss"]}

    def trained(self, chosen: argparse.Namespace, steps: int) -> dict[str, float]:
        """One command, whole."""
        out = self.home / "run"
        shutil.rmtree(out, ignore_errors=True)
        settings = [f"optim.steps={steps}", "optim.epochs=1000", "data.workers=0", *chosen.set]
        words = [word for setting in settings for word in ("--set", setting)]
        threads = {"OMP_NUM_THREADS": str(chosen.threads)}
        cohort = str(self.home / "cohort")
        spent = self.simcrop(
            "pretrain", cohort, "--recipe", chosen.recipe, *words, "--out", str(out), **threads
        )
        last = (out / "journal.jsonl").read_text().splitlines()[-1]
        return spent | {"loss": json.loads(last)["loss"]}

    def simcrop(self, *words: str, **environment: str) -> dict[str, float]:
        """A command of this tree in a process of its own; ends with what it said where it fails."""
        before, begun = os.times(), perf_counter()
        paths = os.environ | {"PYTHONPATH": str(self.files / "src")} | environment
        run([sys.executable, "-m", "simcrop", *words], paths)
        wall, after = perf_counter() - begun, os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return {"wall_s": wall, "cpu_s": cpu}


def run(words: Sequence[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 1):  # 1: an input was refused, the rest is there
        raise SystemExit(f"{' '.join(words[:4])} ended with {done.returncode}:\n{done.stderr}")


if __name__ == "__main__":
    main()

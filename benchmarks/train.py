"""A whole training as a person starts it: phantoms, a store, loading processes, steps; how long steps wait for data.

    python benchmarks/train.py --size paper --patients 96 --steps 40 --workers 8 --json benchmarks/results/train.json
    python benchmarks/train.py --size paper --patients 8 --steps 8 --workers 1 --set optim.batch=2     # a processor

Prints JSON: what the journals say (`of_limit`: of what this device does in a large product; `data_wait`: the share of a
step's time in which nothing was there to train on), medians over the steps after the first ones, and the least and the
largest. Scans, their store and reports are real in size and everything is on; the phantoms are few, so that their files
stay in the memory of the machine. One run for each codec and each way.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from simcrop.device import choose_device
from step import machine
from step_parts.clock import Clock
from step_parts.report import keep

WAYS = {
    "plain": (),
    "compiled": ("engine.compile=true",),
    "graphed": ("engine.cuda_graphs=true",),
    "compiled-graphed": ("engine.compile=true", "engine.cuda_graphs=true"),
}
SIZES = {"paper": "full", "tiny": "tiny"}  # of a recipe: of the phantoms
FIGURES = ("volumes_per_s", "data_wait", "of_limit", "peak_gb")


def main() -> None:
    chosen = arguments()
    report: dict[str, Any] = {
        "machine": {**machine(Clock(choose_device())), "cores": os.cpu_count()},
        "setting": {
            name: getattr(chosen, name) for name in ("recipe", "patients", "steps", "workers", "set")
        },
        "made_in_s": {},
        "runs": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        size, many = SIZES[chosen.size], ("--workers", str(chosen.makers))
        made = simcrop("phantom", home / "scans", "--size", size, "--patients", chosen.patients, *many)
        report["made_in_s"]["phantoms"] = made
        for codec in chosen.codecs:
            cohort = home / codec
            made = simcrop(
                "ingest", home / "scans", "--layout", "ct-rate", "--out", cohort, "--codec", codec, *many
            )
            report["made_in_s"][codec] = made
            for way in chosen.ways:
                report["runs"].append(trained(cohort, home / f"{codec}-{way}", codec, way, chosen))
                keep(report, chosen.json)
    print(json.dumps(report, indent=1))


def trained(cohort: Path, out: Path, codec: str, way: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """One run from the command to its end, and what its journal says of the steps after the first ones."""
    changes = [f"optim.steps={chosen.steps}", f"data.workers={chosen.workers}", *WAYS[way], *chosen.set]
    asked = [word for change in changes for word in ("--set", change)]
    row: dict[str, Any] = {"codec": codec, "way": way}
    row["command_s"] = simcrop("pretrain", cohort, "--recipe", chosen.recipe, "--out", out, *asked)
    rows = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    row["steps"], row["volumes_per_s_by_step"] = len(rows), [step["volumes_per_s"] for step in rows]
    rows = rows[chosen.first :]
    for name in FIGURES:
        values = [step[name] for step in rows if step[name] is not None]
        row[name] = {"median": median(values), "min": min(values), "max": max(values)} if values else None
    # Waiting over all that time, and not the middle of its shares: one long wait in twenty steps counts.
    seconds = [1 / step["volumes_per_s"] for step in rows]
    row["data_wait"]["mean"] = round(
        sum(s * step["data_wait"] for s, step in zip(seconds, rows, strict=True)) / sum(seconds), 4
    )
    row["volumes_per_s"]["mean"] = round(len(rows) / sum(seconds), 4)
    print(row, file=sys.stderr, flush=True)
    return row


def simcrop(*words: object) -> float:
    """Seconds of a command of its own."""
    started = perf_counter()
    command = [sys.executable, "-m", "simcrop", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"simcrop {words[0]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return round(perf_counter() - started, 1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=list(SIZES), default="paper")
    parser.add_argument("--recipe", help="by default the paper's, of that size")
    parser.add_argument("--patients", type=int, default=96, help="phantoms, one scan each")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--first", type=int, default=5, help="steps that are not counted")
    parser.add_argument("--workers", type=int, default=8, help="loading processes")
    parser.add_argument(
        "--makers", type=int, default=os.cpu_count() or 1, help="processes that make the store"
    )
    parser.add_argument("--codecs", type=lambda words: words.split(","), default=["lz4", "raw"])
    parser.add_argument(
        "--ways", type=lambda words: words.split(","), default=["plain"], help=", ".join(WAYS)
    )
    parser.add_argument("--set", action="append", default=[], help="change one setting of the recipe")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    chosen.recipe = chosen.recipe or f"simcrop-{chosen.size}"
    if chosen.steps <= chosen.first:
        parser.error(f"--steps {chosen.steps}: more than --first {chosen.first}, which are not counted")
    if unknown := [way for way in chosen.ways if way not in WAYS]:
        parser.error(f"no way {unknown[0]!r}: there are {', '.join(WAYS)}")
    return chosen


if __name__ == "__main__":
    main()

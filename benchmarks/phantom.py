"""Seconds that one phantom costs: drawing the patient, painting the scan, adding its noise, on one thread.

    python benchmarks/phantom.py --repeats 5 --json benchmarks/results/phantom.json

Prints JSON. Seconds are medians of one process after a first round that compiles; each round draws another patient.
"""

import argparse
import json
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np

from simcrop.data.phantom.draw import draw_anatomy
from simcrop.data.phantom.grid import SIZES, Grid, Pose
from simcrop.data.phantom.noise import add_noise
from simcrop.data.phantom.render import render
from simcrop.engine.memory import keep_freed_memory


def main() -> None:
    chosen = arguments()
    keep_freed_memory()
    now = process_time if chosen.clock == "cpu" else perf_counter
    report = {}
    for size in chosen.sizes:
        rounds = []
        for seed in range(chosen.repeats + 1):
            rng, grid = np.random.default_rng(seed), Grid.of_size(size, (0.0, 0.0, 0.0))
            times = [now()]
            anatomy = draw_anatomy(rng, difficulty=chosen.difficulty)
            times.append(now())
            picture = render(anatomy, (), Pose(0.03, (3.0, 2.0, 0.0)), grid)
            times.append(now())
            add_noise(picture.hu, grid, rng)
            times.append(now())
            rounds.append(np.diff(times))
        names = ("draw_seconds", "render_seconds", "noise_seconds")
        parts = {
            name: round(median(each), 4)
            for name, each in zip(names, np.transpose(rounds[1:]).tolist(), strict=True)
        }
        report[size] = {"shape": SIZES[size][0], **parts, "seconds": round(sum(parts.values()), 4)}
    text = json.dumps(
        {"difficulty": chosen.difficulty, "clock": chosen.clock, "repeats": chosen.repeats} | report, indent=1
    )
    print(text)
    if chosen.json is not None:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(text + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--difficulty", choices=["easy", "real"], default="real")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a shared machine")
    parser.add_argument("--json", type=Path, help="write the report here as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()

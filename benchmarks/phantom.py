"""Seconds that one phantom patient costs on one thread: drawing the findings, painting the scan, adding its noise.

    python benchmarks/phantom.py --repeats 12 --json benchmarks/results/phantom.json

Prints JSON: medians and the slowest, after a first round that compiles. Each round is a new patient with all findings.
"""

import argparse
import json
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from simcrop.phantom.grid import SIZES
from simcrop.phantom.patient import draw_patient


def main() -> None:
    chosen = arguments()
    now = process_time if chosen.clock == "cpu" else perf_counter
    report = {}
    for size in chosen.sizes:
        drawn, painted = [], []
        for number in range(chosen.repeats + 1):
            started = now()
            patient = draw_patient(chosen.seed, number + 1, chosen.difficulty)
            ready = now()
            scans, _ = patient.scans(size)
            drawn.append(ready - started)
            painted.append((now() - ready) / len(scans))
        whole = [a + b for a, b in zip(drawn[1:], painted[1:], strict=True)]
        report[size] = {
            "shape": SIZES[size][0],
            "draw_seconds": round(median(drawn[1:]), 4),
            "paint_seconds": round(median(painted[1:]), 4),
            "seconds": round(median(whole), 4),
            "slowest_seconds": round(max(whole), 4),
        }
    settings = {
        "difficulty": chosen.difficulty,
        "clock": chosen.clock,
        "repeats": chosen.repeats,
        "seed": chosen.seed,
    }
    text = json.dumps(settings | report, indent=1)
    print(text)
    if chosen.json is not None:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(text + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--difficulty", choices=["easy", "real"], default="real")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a shared machine")
    parser.add_argument("--json", type=Path, help="write the report here as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()

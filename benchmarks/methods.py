"""A training step of each method: seconds, operations, memory, and its share of the machine's matrix-product limit.

    python benchmarks/methods.py --size paper --repeats 3 --json benchmarks/results/methods.json
    python benchmarks/methods.py --methods simcrop,m3ae --scans 48 --device cuda

Prints JSON. Made-up scans of the recipe's size, and reports of median length; every method in a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import torch

from simcrop.config import load_recipe
from simcrop.device import choose_device
from simcrop.engine.optim import build_optimizer
from simcrop.engine.precision import settled
from simcrop.engine.speed import flops_per_s
from simcrop.objectives.registry import methods
from simcrop.tasks.training.cost import cost_of
from simcrop.tasks.training.methods import recipe_of
from simcrop.tasks.training.typical import typical
from step import machine
from step_parts.clock import Clock, ratio
from step_parts.products import limit_seconds, products_of
from step_parts.report import keep
from step_parts.run import memory_bytes, stepper

GIB = 2**30


def main() -> None:
    chosen = arguments()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    clock = Clock(choose_device(chosen.device), chosen.clock)
    if chosen.alone:
        print(json.dumps(step_of(chosen.alone, chosen, clock)))
        return
    report: dict[str, Any] = {
        "machine": machine(clock),
        "setting": {name: getattr(chosen, name) for name in ("size", "scans", "repeats", "clock")},
        "methods": {},
    }
    for name in chosen.methods.split(","):
        report["methods"][name] = in_own_process(name)
        keep(report, chosen.json)
    print(json.dumps(report, indent=1))


def arguments() -> argparse.Namespace:
    trained = [name for name, settings in methods().items() if settings.verb == "pretrain"]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--methods", default=",".join(trained), help="names with commas between")
    parser.add_argument("--size", choices=["paper", "tiny"], default="paper", help="which shipped recipes")
    parser.add_argument("--scans", type=int, default=2, help="a batch; fewer than two some cannot compare")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as torch takes")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a shared machine")
    parser.add_argument("--json", type=Path, help="write the report here as well")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.methods.split(",")) - set(trained)):
        parser.error(f"no method {unknown[0]!r}: there are {', '.join(trained)}")
    return chosen


def in_own_process(name: str) -> dict[str, Any]:
    """So that its peak of memory is its own."""
    words = [sys.executable, __file__, *sys.argv[1:], "--alone", name]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False, env=os.environ)
    if done.returncode:
        return {"failed": f"exit {done.returncode}"}  # its message is on stderr
    print(name, done.stdout.strip(), file=sys.stderr, flush=True)
    return json.loads(done.stdout)


def step_of(name: str, chosen: argparse.Namespace, clock: Clock) -> dict[str, Any]:
    """Whole optimiser steps, and in turn with them the bare products of one. On a card, which is idle between products
    given to it one by one, the limit is that of a large product.
    """
    source = recipe_of(name, chosen.size)
    if source is None:
        raise SystemExit(f"{name} has no recipe of size {chosen.size}")
    recipe = load_recipe(source)
    cost = cost_of(recipe)
    torch.manual_seed(0)
    made, precision = typical(recipe, chosen.scans), settled("auto", clock.device)
    objective = made.recipe.build(made.components).to(clock.device).train()
    batch = objective.draw(made.batch, seed=0).to(clock.device)
    step = stepper(objective, build_optimizer(objective, recipe.optim), batch, precision)
    found = products_of(step)
    flops = sum(one.flops * count for one, count in found.items())
    seconds, limits, peak = [], [], 0
    for _ in range(chosen.repeats):
        seconds.append(clock.seconds(step))
        peak = peak or memory_bytes(clock.device)  # before the products alone make factors of their own
        limits.append(
            flops / (flops_per_s(clock.device, precision) or 1)
            if clock.device.type == "cuda"
            else limit_seconds(found, clock, repeats=1)
        )
    return {
        "recipe": source,
        "precision": precision,
        "seconds_per_scan": round(median(seconds) / chosen.scans, 4),
        "gflop_per_scan": round(cost.gflop_per_scan, 2),
        "product_gflop_per_scan": round(flops / chosen.scans / 1e9, 2),
        "product_limit_seconds_per_scan": round(median(limits) / chosen.scans, 4),
        "share_of_product_limit": ratio(limits, seconds),
        "peak_gib": round(peak / GIB, 3),
        "counted_gib": round(cost.bytes_of_batch(chosen.scans) / GIB, 3),
    }


if __name__ == "__main__":
    main()

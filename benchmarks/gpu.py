"""What a CUDA device does with the pre-training step: its limits, agreement with the processor, batches, memory, hours.

    python benchmarks/gpu.py --size paper --batches 16,32,48 --json benchmarks/results/gpu.json

Prints JSON. Needs torch 2.11 or newer and what training needs, no data. Without a CUDA device the same code runs on the
processor, for a check of the script, and the report says so.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from simcrop.config import load_recipe
from simcrop.device import choose_device
from step_parts.card import agreement, ceilings, copies, encoding, kernels, one_rank, swept
from step_parts.clock import Clock
from step_parts.report import keep

SECTIONS = ("ceilings", "agreement", "copies", "encoding", "one_rank", "sweep", "kernels")
# On a processor `compiled` needs a C++ compiler, and `graphed` a card.
WAYS = ["recomputed", "graphed", "compiled", "compiled-graphed"]


def main() -> None:
    chosen = arguments()
    clock = Clock(choose_device())
    report: dict[str, Any] = {"machine": machine(clock), "size": chosen.size, "repeats": chosen.repeats}
    recipes = {name: load_recipe(name, chosen.set) for name in chosen.recipes}
    first = next(iter(recipes.values()))
    batches, repeats = chosen.batches, chosen.repeats
    limits = ceilings(clock, repeats, chosen.size)
    measure = {
        "ceilings": lambda: limits,
        "agreement": lambda: agreement(clock.device, chosen.set),
        "copies": lambda: copies(first, batches[-1], clock, repeats),
        "encoding": lambda: encoding(first, clock, repeats),
        "kernels": lambda: {way: kernels(first, batches[-1], way, clock) for way in ("plain", *chosen.ways)},
        "one_rank": lambda: one_rank(first, batches[0], clock, repeats),
    }
    ways = [(b, way) for way in chosen.ways for b in sorted({batches[0], batches[-1]})]
    steps = [(name, b, way) for name in recipes for b, way in [*((b, "plain") for b in batches), *ways]]
    for section in chosen.sections:
        if section != "sweep":
            report[section] = measure[section]()
            keep(report, chosen.json)
            continue
        report["sweep"] = []
        for name, batch, way in steps:
            row = swept(name, recipes[name], batch, way, clock, repeats, limits)
            report["sweep"].append(row)
            keep(report, chosen.json)
    print(json.dumps(report, indent=1))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=["tiny", "paper"], default="paper")
    parser.add_argument("--recipes", type=names, help="shipped recipes, by default simcrop and simcrop-plus")
    parser.add_argument(
        "--batches",
        type=numbers,
        default=[16, 32, 48],
        help="of plain steps; the first and the last in other ways, too",
    )
    parser.add_argument(
        "--ways", type=names, default=WAYS, help="beside plain ones, with the first and the last batch"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sections", type=names, default=list(SECTIONS))
    parser.add_argument("--set", action="append", default=[], help="change one setting of every recipe")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    plus = {"paper": "simcrop-plus", "tiny": "simcrop-plus-tiny"}[chosen.size]
    chosen.recipes = chosen.recipes or [f"simcrop-{chosen.size}", plus]
    return chosen


def names(text: str) -> list[str]:
    return text.split(",")


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def machine(clock: Clock) -> dict[str, Any]:
    cuda = clock.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(clock.device) if cuda else "no CUDA device: not measured",
        "torch": torch.__version__,
        "cuda": torch.version.cuda if cuda else None,
    }


if __name__ == "__main__":
    main()

"""The pre-training step against a naive one of the same maths, and against the machine's matrix-product limit.

    python benchmarks/step.py --size paper --repeats 5 --json benchmarks/results/step.json

Prints JSON. Seconds are medians of interleaved repeats in one process; every ratio comes with its least and largest.
"""

import argparse
import json
import platform
from pathlib import Path
from statistics import median
from typing import Any

import torch

from simcrop.config import load_recipe
from simcrop.device import choose_device
from step_parts.choices import copies, recompute
from step_parts.clock import Clock, ratio
from step_parts.malloc import keep_freed_memory
from step_parts.parts import attention_memory, pairs
from step_parts.products import limit_seconds, products_of
from step_parts.run import Child, naive, ours, serve
from step_parts.sample import Setup, make_setup, sized_recipe
from step_parts.travel import travel


def main() -> None:
    chosen = arguments()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    clock = Clock(choose_device(), chosen.clock)
    if chosen.alone:
        keep = chosen.malloc == "kept"
        serve(chosen.alone, keep, chosen.size, chosen.text_width, chosen.precision, clock)
        return
    separate = {} if chosen.same_process_only else {"own_processes": own_processes(chosen)}
    keep_freed_memory()
    setup = make_setup(sized_recipe(chosen.size), chosen.text_width, clock.device)
    recipe = load_recipe(f"simcrop-{chosen.size}")
    report = {
        "machine": machine(clock),
        "setting": setting(chosen, setup),
        "travel": travel(recipe, clock.device),
        "copies": copies(recipe, chosen.repeats, clock),
        **separate,
        "same_process": whole_step(setup, chosen.precision, chosen.repeats, clock),
        "recompute": recompute(setup, chosen.precision, chosen.repeats, clock),
        "parts": parts(setup, chosen.precision, chosen.repeats, clock),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if chosen.json is not None:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(text + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=["tiny", "paper"], default="paper", help="which shipped recipe")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument(
        "--text-width", type=int, choices=[384, 768], default=384, help="MiniLM, or BERT-base"
    )
    parser.add_argument("--threads", type=int, default=0, help="0: as many as torch takes")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a shared machine")
    parser.add_argument("--same-process-only", action="store_true", help="no memory, no malloc")
    parser.add_argument("--json", type=Path, help="write the report here as well")
    parser.add_argument("--alone", choices=["ours", "naive"], help=argparse.SUPPRESS)
    parser.add_argument("--malloc", choices=["kept", "default"], default="default", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.clock == "cpu" and torch.cuda.is_available():
        parser.error("--clock cpu says nothing about a GPU")
    return chosen


def whole_step(setup: Setup, precision: str, repeats: int, clock: Clock) -> dict[str, Any]:
    """Both steps and the bare products of ours, in turn."""
    steps = {"naive": naive(setup, precision), "ours": ours(setup, precision)}
    losses = {name: step() for name, step in steps.items()}
    found = products_of(steps["ours"])
    limits: list[float] = []
    measured: dict[str, list[float]] = {"naive": [], "ours": []}
    for _ in range(repeats):
        for name, seconds in clock.interleaved(steps, repeats=1, warm_up=0).items():
            measured[name] += seconds
        limits.append(limit_seconds(found, clock))
    flops = sum(one.flops * count for one, count in found.items())
    return {
        "first_loss": {name: round(loss, 5) for name, loss in losses.items()},
        "seconds": {name: round(median(each), 4) for name, each in measured.items()},
        "naive_over_ours": ratio(measured["naive"], measured["ours"]),
        "product_gflop": round(flops / 1e9, 1),
        "product_limit_seconds": round(median(limits), 4),
        "product_limit_gflop_per_s": round(flops / median(limits) / 1e9, 1),
        "share_of_product_limit": ratio(limits, measured["ours"]),
    }


def parts(setup: Setup, precision: str, repeats: int, clock: Clock) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, pair in pairs(setup, precision).items():
        seconds = clock.interleaved(pair, repeats, warm_up=2)
        found[name] = {
            "naive_ms": round(median(seconds["naive"]) * 1e3, 3),
            "ours_ms": round(median(seconds["ours"]) * 1e3, 3),
            **ratio(seconds["naive"], seconds["ours"]),
        }
    found["attention_memory"] = attention_memory(setup, precision)
    return found


def own_processes(chosen: argparse.Namespace) -> dict[str, Any]:
    """Each way as it would run, naive and ours; and ours with freed memory kept."""
    common = ["--size", chosen.size, "--precision", chosen.precision, "--text-width", str(chosen.text_width)]
    common += ["--threads", str(chosen.threads), "--clock", chosen.clock]
    ways = {
        "naive": ("naive", "default"),
        "ours": ("ours", "default"),
        "ours_kept_malloc": ("ours", "kept"),
    }
    children = {
        name: Child([*common, "--alone", way, "--malloc", malloc]) for name, (way, malloc) in ways.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(chosen.repeats):
        for name, child in children.items():
            seconds[name].append(child.seconds())
    peaks = {name: child.end() for name, child in children.items()}
    return {
        "seconds": {name: round(median(each), 4) for name, each in seconds.items()},
        "naive_over_ours": ratio(seconds["naive"], seconds["ours"]),
        "default_over_kept_malloc": ratio(seconds["ours"], seconds["ours_kept_malloc"]),
        "peak_gib": peaks,
    }


def machine(clock: Clock) -> dict[str, Any]:
    cuda = clock.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(clock.device) if cuda else f"no CUDA device: {cpu_family()}",
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
    }


def cpu_family() -> str:
    """What the processor calls itself, where Linux tells."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.machine()
    lines = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
    return lines[0] if lines else platform.machine()


def setting(chosen: argparse.Namespace, setup: Setup) -> dict[str, Any]:
    tokens = setup.padded.sentences.tokens
    return {
        "size": chosen.size,
        "precision": chosen.precision,
        "text_width": chosen.text_width,
        "clock": chosen.clock,
        "repeats": chosen.repeats,
        "batch": 1,
        "patches": setup.objective.grid.count,
        "report_pieces": int(setup.cached.report.mask.sum()),
        "sentences": 0 if tokens is None else len(tokens.ids),
        "trained_parameters": sum(p.numel() for p in setup.objective.parameters() if p.requires_grad),
    }


if __name__ == "__main__":
    main()

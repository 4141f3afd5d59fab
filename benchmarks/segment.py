"""Segmentation against MONAI in the same process: training steps of a UNETR of the same size, and whole scans.

    python benchmarks/segment.py --repeats 7 --passes 3 --json benchmarks/results/segment.json
    python benchmarks/segment.py --sections prediction,memory --scan chest.nii.gz --slices 600

Prints JSON. Seconds are medians of interleaved repeats; every ratio comes with its least and largest. *Prediction* runs
one network of ours, with random weights, through our sliding window and through MONAI's; memory is that of a process
which does nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segment_parts.sizes import (
    AS_SHIPPED,
    SIZES,
    Scan,
    monai_network,
    our_network,
    predictor,
    scan_of,
    training_batch,
)
from simcrop.data.preprocess import triple
from simcrop.data.resampling.back import LabelsBack
from simcrop.device import choose_device
from simcrop.engine.optim import OptimSettings, build_optimizer
from simcrop.model.sliding_window import logit_slabs, rows_of_windows, sliding_logits, tissue_box, window_grid
from step import machine
from step_parts.clock import Clock, ratio
from step_parts.products import limit_seconds, products_of
from step_parts.run import memory_bytes, stepper

SECTIONS = ("training", "prediction", "memory")
RATE, DECAY = 1e-4, 1e-5


def main() -> None:
    chosen = arguments()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    clock = Clock(choose_device("cpu"), chosen.clock)
    if chosen.memory_of:
        print(json.dumps(memory_of(chosen)))
        return
    report: dict[str, Any] = {"machine": machine(clock), "setting": setting(chosen)}
    sections = {"training": training, "prediction": prediction, "memory": memory}
    for name in chosen.sections.split(","):
        report[name] = sections[name](chosen, clock)
    text = json.dumps(report, indent=1)
    print(text)
    if chosen.json is not None:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(text + "\n")


def training(chosen: argparse.Namespace, clock: Clock) -> dict[str, Any]:
    """Whole steps: forward, both terms of the loss, backward, gradient norm, AdamW."""
    steps = training_steps(chosen)
    found = products_of(steps["ours"])
    seconds = clock.interleaved(dict(steps), chosen.repeats)
    limits = [limit_seconds(found, clock) for _ in range(chosen.repeats)]
    return {
        "windows_per_second": {name: round(chosen.windows / median(of), 3) for name, of in seconds.items()},
        "monai_over_ours": ratio(seconds["monai"], seconds["ours"]),
        "monai_over_ours_interpolated": ratio(seconds["monai"], seconds["ours_interpolated"]),
        "share_of_limit_of_its_matrix_products": ratio(limits, seconds["ours"]),
    }


def training_steps(chosen: argparse.Namespace) -> dict[str, Callable[[], float]]:
    """Each gives its loss. `recipe`: depth and patches as ours are shipped, which MONAI's cannot have."""
    size = SIZES[chosen.size]
    batch = training_batch(size, chosen.classes, chosen.windows)
    steps = {"monai": monai_step(chosen, batch.volume, batch.mask)}
    for name, like, upsample in (
        ("ours", "monai", "transposed"),
        ("ours_interpolated", "monai", "interpolated"),
        ("recipe", AS_SHIPPED, "interpolated"),
    ):
        network = our_network(size, chosen.classes, upsample, like)
        optimizer = build_optimizer(network, OptimSettings(lr=RATE, weight_decay=DECAY))
        steps[name] = stepper(network, optimizer, batch, chosen.precision)
    return steps


def monai_step(chosen: argparse.Namespace, volume: Tensor, mask: Tensor | None) -> Callable[[], float]:
    """As MONAI's tutorials train it, with the gradient norm that the engine takes as well."""
    from monai.losses.dice import DiceCELoss

    network = monai_network(SIZES[chosen.size], chosen.classes)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True, squared_pred=True)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=chosen.precision == "bf16"):
            logits = network(volume)
        loss = loss_of(logits.float(), mask)
        loss.backward()
        torch.nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
        optimizer.step()
        return float(loss.detach())

    return step


def prediction(chosen: argparse.Namespace, clock: Clock) -> dict[str, Any]:
    """Logits of a whole scan. `box`: windows over the box of all tissue alone, which lie elsewhere than MONAI's."""
    size, scan, channels = SIZES[chosen.size], the_scan(chosen), 1 + chosen.classes
    network = predictor(our_network(size, chosen.classes, "interpolated", AS_SHIPPED))
    box = tissue_box(scan.air) or ...
    made: dict[str, Tensor] = {}
    ways: dict[str, Callable[[], Tensor]] = {
        "monai_4": partial(by_monai, scan.unit, size.window, network, 4),
        "monai_1": partial(by_monai, scan.unit, size.window, network, 1),
        "ours": partial(sliding_logits, scan.unit, scan.air, size.window, network, channels),
        "box": partial(sliding_logits, scan.unit[box], scan.air[box], size.window, network, channels),
        "stitching": partial(
            sliding_logits, scan.unit, scan.air, size.window, standing_still(network, size.window), channels
        ),
    }
    with precise(chosen):
        for windows in (1, 4):  # what is compiled and prepared at the first call is nobody's
            standing_still(network, size.window, windows)
        seconds = clock.interleaved(
            {name: keep(made, name, way) for name, way in ways.items()}, chosen.passes, 0
        )
    apart = (made["ours"] - made["monai_1"]).abs()[:, torch.from_numpy(~scan.air)].max()
    ways_of = {"scan": windows_of(scan.air, size.window), "box": windows_of(scan.air[box], size.window)}
    return {
        "stored_shape": list(scan.unit.shape),
        "windows_in_all_and_with_tissue": ways_of,
        "seconds": {name: round(median(of), 3) for name, of in seconds.items()},
        "monai_4_over_ours": ratio(seconds["monai_4"], seconds["ours"]),
        "monai_1_over_ours": ratio(seconds["monai_1"], seconds["ours"]),
        "monai_4_over_box": ratio(seconds["monai_4"], seconds["box"]),
        "monai_1_over_box": ratio(seconds["monai_1"], seconds["box"]),
        "stitching_share": ratio(seconds["stitching"], seconds["ours"]),
        "largest_difference_of_logits": float(f"{float(apart):.2g}"),
    }


def keep(made: dict[str, Tensor], name: str, way: Callable[[], Tensor]) -> Callable[[], None]:
    """The way, whose last result stays."""

    def call() -> None:
        made[name] = way()

    return call


def standing_still(
    network: Callable[[Tensor], Tensor], window: tuple[int, int, int], windows: int = 1
) -> Callable[[Tensor], Tensor]:
    """Computes once, and says the same of every window."""
    with torch.no_grad():
        still = network(torch.zeros(windows, 1, *window))[0]
    return lambda windows: torch.stack([still] * len(windows)) if len(windows) > 1 else still[None]


def by_monai(
    unit: Tensor, window: tuple[int, int, int], network: Callable[[Tensor], Tensor], batch: int
) -> Tensor:
    from monai.inferers.utils import sliding_window_inference

    with torch.no_grad():
        made: Any = sliding_window_inference(
            unit[None, None], window, batch, network, overlap=0.5, mode="gaussian", cval=-1
        )
    return made[0]


def windows_of(air: np.ndarray, window: tuple[int, int, int]) -> list[int]:
    grid = window_grid(triple(air.shape), window, 0.5)
    return [len(list(np.ndindex(*map(len, grid.starts)))), sum(map(len, rows_of_windows(grid, air)))]


def memory(_chosen: argparse.Namespace, _clock: Clock) -> dict[str, Any]:
    """MB above what the process holds with network and scan, in processes of their own."""
    found = {}
    for way in ("monai", "ours"):
        words = [sys.executable, __file__, *sys.argv[1:], "--memory-of", way]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, env=dict(os.environ))
        found[way] = json.loads(done.stdout.splitlines()[-1])
    return found


def memory_of(chosen: argparse.Namespace) -> dict[str, Any]:
    """Ours as labels on the scan's own grid; MONAI's as labels on the stored one, without the way back."""
    size, scan = SIZES[chosen.size], the_scan(chosen)
    network = predictor(our_network(size, chosen.classes, "interpolated", AS_SHIPPED))
    if not chosen.every_window:
        network = standing_still(network, size.window)
    before = memory_bytes(torch.device("cpu"))
    clock, facts = Clock(torch.device("cpu"), chosen.clock), {}
    if chosen.memory_of == "monai":
        labels = by_monai(scan.unit, size.window, network, 1).argmax(0).numpy()
    else:
        labels, facts = labelled(scan, size.window, network, 1 + chosen.classes, clock)
    peak = memory_bytes(torch.device("cpu"))
    return {
        "shape": list(labels.shape),
        "mb_before": before >> 20,
        "mb_over_it": (peak - before) >> 20,
        "peak_mb": peak >> 20,
        **facts,
    }


def labelled(
    scan: Scan, window: tuple[int, int, int], network: Callable[[Tensor], Tensor], channels: int, clock: Clock
) -> tuple[np.ndarray, dict[str, float]]:
    """On the scan's own grid, and the seconds that the way back took of it."""
    back = LabelsBack(scan.source_shape, scan.source_affine, triple(scan.unit.shape), scan.affine)
    seconds = 0.0
    for slab in logit_slabs(scan.unit, scan.air, window, network, channels):
        seconds += clock.seconds(lambda slab=slab: back.take(slab.logits.softmax(0).numpy()))
    return back.labels, {"seconds_of_the_way_back": round(seconds, 3)}


def the_scan(chosen: argparse.Namespace) -> Scan:
    spacing = tuple(float(mm) for mm in chosen.spacing.split(",")) if chosen.spacing else None
    return scan_of(SIZES[chosen.size], chosen.scan, chosen.slices, spacing)  # type: ignore[arg-type]


def precise(chosen: argparse.Namespace) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=chosen.precision == "bf16")


def setting(chosen: argparse.Namespace) -> dict[str, Any]:
    names = ("size", "classes", "windows", "precision", "clock", "repeats", "passes", "slices", "spacing")
    return {name: getattr(chosen, name) for name in names}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=list(SIZES), default="paper")
    parser.add_argument("--sections", default=",".join(SECTIONS))
    parser.add_argument("--classes", type=int, default=3, help="beside background")
    parser.add_argument("--windows", type=int, default=2, help="of a training step")
    parser.add_argument("--repeats", type=int, default=7, help="of a training step")
    parser.add_argument("--passes", type=int, default=3, help="through the scan")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="fp32")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as torch takes")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a shared machine")
    parser.add_argument("--scan", type=Path, help="a scan of one's own in the place of the phantom")
    parser.add_argument("--spacing", default="", help="of the stored grid, such as 1.5,1.5,3")
    parser.add_argument("--slices", type=int, default=0, help="mirror the scan until it has so many")
    parser.add_argument("--every-window", action="store_true", help="memory: compute each of them")
    parser.add_argument("--json", type=Path, help="write the report here as well")
    parser.add_argument("--memory-of", choices=["monai", "ours"], help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()

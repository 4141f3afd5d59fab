"""Sections of `gpu.py`: a device's limits, agreement with the processor, batches and ways, copies, encoding, one rank.

Axes: b study, x y z voxels. Steps are taken in the precision that suits the device. Seconds are medians; FLOPs count a
multiplication and an addition each.
"""

import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile

from simcrop.config import Recipe, load_recipe
from simcrop.engine.optim import build_optimizer
from simcrop.engine.precision import settled
from simcrop.nn.transformer import Block, Transformer
from simcrop.tasks.training.job import replayed
from step_parts.clock import Clock, ratio
from step_parts.products import products_of
from step_parts.run import stepper
from step_parts.sample import Setup, make_setup

SCANS, EPOCHS = 47_149, 140  # of the paper
AT_ONCE = 16  # volumes per pass when encoding
SMALL = (
    *("input.shape=[64, 48, 32]", "input.patch=[8, 8, 4]", "vision={depth: 2, dim: 96, heads: 4}"),
    *("vision_decoder={depth: 2, dim: 72, heads: 3}", "align.top_k=17", "fusion={heads: 6}"),
    "report_decoder={depth: 2, dim: 120, heads: 5, hidden: 144}",
)


def ceilings(clock: Clock, repeats: int, size: str) -> dict[str, float]:
    """What a large bf16 product and a large copy reach here, on random data."""
    n = 8192 if size == "paper" else 256
    a, b = (torch.randn(n, n, device=clock.device).bfloat16() for _ in range(2))
    out = torch.empty_like(a)
    source = torch.randint(0, 255, (n * n * 16,), dtype=torch.uint8, device=clock.device)
    target = torch.empty_like(source)
    seconds = clock.interleaved(
        {
            "product": lambda: [torch.mm(a, b, out=out) for _ in range(10)],
            "copy": lambda: [target.copy_(source) for _ in range(10)],
        },
        repeats,
        warm_up=2,
    )
    return {
        "bf16_tflop_per_s": rounded(10 * 2 * n**3 / median(seconds["product"]) / 1e12),
        "copy_gb_per_s": rounded(10 * 2 * source.numel() / median(seconds["copy"]) / 1e9),
    }


def agreement(device: torch.device, changes: list[str]) -> dict[str, Any]:
    """Loss and gradients of a small network against float64 on the processor: relative errors."""
    recipe = load_recipe("simcrop-tiny", [*SMALL, *changes])
    with in_float64():
        exact = gradients(doubled(make_setup(recipe, 384, torch.device("cpu"), studies=3)), "fp32")
    found: dict[str, Any] = {}
    for precision in precisions(device):
        loss, gradient = gradients(make_setup(recipe, 384, device, studies=3), precision)
        found[precision] = {
            "loss": rounded(abs(loss - exact[0]) / abs(exact[0])),
            "gradient": rounded(float((gradient - exact[1]).norm() / exact[1].norm())),
        }
    return found


def precisions(device: torch.device) -> list[str]:
    """Those that the device has instructions for; others would say nothing about it, slowly."""
    return ["fp32", "bf16"] if settled("auto", device) == "bf16" else ["fp32"]


@contextmanager
def in_float64() -> Iterator[None]:
    """What a network holds in fp32 on purpose is then held in float64."""
    with patch.object(Tensor, "float", Tensor.double):
        yield


def doubled(setup: Setup) -> Setup:
    """The same network and batch with every number in float64."""
    batch = setup.cached.each(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)
    return replace(setup, objective=setup.objective.double(), cached=batch)


def gradients(setup: Setup, precision: str) -> tuple[float, Tensor]:
    """The loss and all gradients in one row, as float64 on the processor."""
    objective, batch = setup.objective, setup.cached
    with torch.autocast(batch.volume.device.type, torch.bfloat16, enabled=precision == "bf16"):
        terms = objective.settled(objective(batch))
    total = sum(term.double() for term in terms.values())
    total.backward()  # type: ignore[union-attr]
    rows = [p.grad.flatten().double().cpu() for p in objective.parameters() if p.grad is not None]
    return float(total.detach()), torch.cat(rows)  # type: ignore[union-attr]


def swept(
    name: str,
    recipe: Recipe,
    batch: int,
    way: str,
    clock: Clock,
    repeats: int,
    limits: dict[str, float],
) -> dict[str, Any]:
    """One recipe at one batch: seconds of a step, memory, share of the product ceiling, hours of the paper's run."""
    row: dict[str, Any] = {"recipe": name, "batch": batch, "way": way}
    cuda = clock.device.type == "cuda"
    try:
        if cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(clock.device)
        step, flops = recipe_step(recipe, batch, way, clock.device)
        seconds = [clock.seconds(step) for _ in range(repeats + 2)][2:]
        row |= speeds(seconds, batch, flops, limits)
        row["peak_gib"] = rounded(torch.cuda.max_memory_allocated(clock.device) / 2**30) if cuda else None
        row["waits_per_step"] = waits(step) if cuda else None
    except torch.OutOfMemoryError:
        row["seconds"] = "out of memory"
    print(row, file=sys.stderr, flush=True)
    return row


def recipe_step(
    recipe: Recipe, batch: int, way: str, device: torch.device
) -> tuple[Callable[[], float], int]:
    """A whole optimiser step and its FLOPs, without those that recomputing repeats."""
    setup = make_setup(recipe, 384, device, studies=batch)
    optimizer = build_optimizer(setup.objective, recipe.optim)
    step = stepper(setup.objective, optimizer, setup.cached, settled("auto", device))
    flops = sum(one.flops * count for one, count in products_of(step).items())
    for module in setup.objective.modules():
        if way == "recomputed" and isinstance(module, Transformer):
            module.recompute = True
        if "compiled" in way and isinstance(module, Block):
            module.compile()
        if "graphed" in way and isinstance(module, Transformer):
            module.replay = replayed(module)
    return (in_cudnn(step) if way.endswith("cudnn") else step), flops


def in_cudnn(step: Callable[[], float]) -> Callable[[], float]:
    """The step with cuDNN's attention, where torch would take another."""

    def preferring() -> float:
        with sdpa_kernel(
            [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.MATH], set_priority=True
        ):
            return step()

    return preferring


def kernels(recipe: Recipe, batch: int, way: str, clock: Clock, most: int = 25) -> dict[str, Any]:
    """Where the card's time in one step goes: milliseconds by the kernel, the largest first."""
    step, _ = recipe_step(recipe, batch, way, clock.device)
    step(), step()
    cuda = clock.device.type == "cuda"
    kind = ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU
    with profile(activities=[kind]) as seen:
        step()
    spent: Counter[str] = Counter()
    for row in seen.key_averages():
        spent[row.key[:100]] += (row.self_device_time_total if cuda else row.self_cpu_time_total) / 1e3
    return {"all": rounded(spent.total()), **{name: rounded(ms) for name, ms in spent.most_common(most)}}


def speeds(seconds: list[float], batch: int, flops: int, limits: dict[str, float]) -> dict[str, float]:
    step = median(seconds)
    return {
        "seconds": rounded(step),
        "least": rounded(min(seconds)),
        "largest": rounded(max(seconds)),
        "volumes_per_s": rounded(batch / step),
        "gflop_per_volume": rounded(flops / batch / 1e9),
        "share_of_ceiling": rounded(flops / step / 1e12 / limits["bf16_tflop_per_s"]),
        "hours_of_the_papers_run": rounded(SCANS * EPOCHS / batch * step / 3600),
    }


def waits(step: Callable[[], object]) -> list[str]:
    """Where the processor waits for the card in one step, as torch tells."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        told.clear()  # once in a process it says that it does not see every wait
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    where = [(Path(one.filename), one.lineno) for one in told if "synchroniz" in str(one.message)]
    return [f"{path.parent.name}/{path.name}:{line}" for path, line in where]


def copies(recipe: Recipe, batch: int, clock: Clock, repeats: int) -> dict[str, float]:
    """Milliseconds until a batch of volumes is on the device, by what it is made of and where it lies."""
    shape = (batch, 1, *recipe.input.shape)
    kinds = {"float32": torch.rand(shape), "int16": torch.randint(-1000, 1000, shape, dtype=torch.int16)}
    sources = {f"{kind}_pageable": volume for kind, volume in kinds.items()}
    if clock.device.type == "cuda":
        sources |= {f"{kind}_pinned": volume.pin_memory() for kind, volume in kinds.items()}
    calls = {name: copied(volume, clock.device) for name, volume in sources.items()}
    seconds = clock.interleaved(calls, repeats, warm_up=1)
    return {f"{name}_ms": rounded(median(each) * 1e3) for name, each in seconds.items()}


def copied(volume: Tensor, device: torch.device) -> Callable[[], Tensor]:
    return lambda: volume.to(device, non_blocking=True, copy=True)


def encoding(recipe: Recipe, clock: Clock, repeats: int) -> dict[str, float]:
    """Volumes per second through the encoder, nothing masked, and how far bf16 is from fp32."""
    torch.manual_seed(0)
    encoder = recipe.vision.build(recipe.input.grid).to(clock.device).eval()
    volumes = torch.rand(AT_ONCE, 1, *recipe.input.shape, device=clock.device) * 2 - 1

    @torch.no_grad()
    def features(half: bool) -> Tensor:
        with torch.autocast(clock.device.type, torch.bfloat16, enabled=half):
            return encoder(volumes).patches.float()

    ways = {name: lambda half=name == "bf16": features(half) for name in precisions(clock.device)}
    seconds, exact = clock.interleaved(ways, repeats, warm_up=1), features(False)
    found = {f"{name}_volumes_per_s": rounded(AT_ONCE / median(each)) for name, each in seconds.items()}
    if "bf16" in ways:
        found["bf16_relative_error"] = rounded(float((features(True) - exact).norm() / exact.norm()))
    return found


def one_rank(recipe: Recipe, batch: int, clock: Clock, repeats: int) -> dict[str, Any]:
    """A step under DistributedDataParallel with one process, NCCL on a card, over the bare one."""
    setup, precision = make_setup(recipe, 384, clock.device, studies=batch), settled("auto", clock.device)
    bare = stepper(setup.objective, build_optimizer(setup.objective, recipe.optim), setup.cached, precision)
    with process_group(clock.device):
        spare = recipe.align.cross_image.enabled is False and recipe.align.use_sa is False  # type: ignore[attr-defined]
        wrapped = nn.parallel.DistributedDataParallel(setup.objective, find_unused_parameters=spare)
        wrapped.terms = setup.objective.terms  # type: ignore[assignment]
        shared = stepper(wrapped, build_optimizer(setup.objective, recipe.optim), setup.cached, precision)
        losses = {"bare": bare(), "wrapped": shared()}
        seconds = clock.interleaved({"bare": bare, "wrapped": shared}, repeats)
        backend = dist.get_backend()
    return {
        "backend": backend,
        "batch": batch,
        "finite": all(abs(loss) < float("inf") for loss in losses.values()),
        "wrapped_over_bare": ratio(seconds["wrapped"], seconds["bare"]),
    }


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """This process alone, as `torchrun --nproc-per-node 1` would start it."""
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29571")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


def rounded(value: float) -> float:
    """Four digits that count."""
    return float(f"{value:.4g}")

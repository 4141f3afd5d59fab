"""How fast a run is: volumes per second, share of the device's limit, waiting for data, peak memory, time left.

No axes. FLOPs count a multiplication and an addition each; memory in 10^9 bytes, times in seconds. None of these
figures is part of what a run learns: two runs that are the same to the bit differ in them.
"""

import resource
import sys
import time
from functools import cache
from pathlib import Path

import torch

from simcrop.engine.distributed import DistributedContext
from simcrop.engine.job import Job
from simcrop.engine.journal import Row
from simcrop.engine.precision import Precision, settled
from simcrop.engine.progress import Pace, clock_time

# In every row of a journal, and never the same twice.
TIMINGS = ("volumes_per_s", "data_wait", "of_limit", "peak_gb", "left_s")
# Of square products, larger ones while there is time.
SIDES = {"cpu": (512, 1024, 2048), "cuda": (4096, 8192)}
ENOUGH_S = 0.1  # for the limit of a device: no further product is begun after that


class Speed:
    """The figures of each step, and what a person is told of them.

    `of_limit`: FLOPs of a sample as the job counts them, over the seconds of a step and what all devices of the run
    can do: as much as this one does in a large product of the run's precision, measured once, here. None where the
    job has no count, or the device is of a kind that nobody has measured. What is computed twice counts once.
    """

    def __init__(self, job: Job, context: DistributedContext) -> None:
        self.job, self.context, self.pace = job, context, Pace("steps")
        self.limit: float | None = None
        if job.flops is not None and context.is_main:
            one = flops_per_s(context.device, settled(job.engine.precision, context.device))
            self.limit = one and one * context.world

    def figures(self, step: int, seconds: float, waited: float) -> Row:
        """After `step`, which took so long, and waited so long for its batch."""
        batch, flops = self.job.optim.batch, self.job.flops
        share = round(flops * batch / seconds / self.limit, 4) if flops and self.limit else None
        _, left = self.pace.measured(step, self.job.steps)
        return {
            "volumes_per_s": round(batch / seconds, 4),
            "data_wait": round(waited / seconds, 4),
            "of_limit": share,
            "peak_gb": round(peak_bytes(self.context.device) / 1e9, 3),
            "left_s": round(left, 1),
        }


def in_words(row: Row) -> str:
    """One line for a person."""
    words = f"loss {row['loss']:.3f}" if "loss" in row else "skipped: loss not finite"
    words += f"  {row['volumes_per_s']:.2f} volumes/s"
    if row["of_limit"] is not None:
        words += f"  {row['of_limit']:.0%} of the device"
    return words + f"  waiting for data {row['data_wait']:.0%}  {clock_time(row['left_s'])} left"


@cache
def flops_per_s(device: torch.device, precision: Precision) -> float | None:
    """What `device` does in a large product, in well under a second; the best of some, since others may use it, too."""
    if device.type not in SIDES:
        return None
    best, started = 0.0, time.perf_counter()
    for side in SIDES[device.type]:
        for _ in range(3):  # the first one starts threads and chooses kernels
            if best == 0 or time.perf_counter() - started < ENOUGH_S:
                best = max(best, 2 * side**3 / product_seconds(device, precision, side))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)  # the peak of a run is its own
    return best


@torch.no_grad()
def product_seconds(device: torch.device, precision: Precision, side: int) -> float:
    """One square product of random numbers; nothing is drawn from the run's own generator."""
    random = torch.Generator(device).manual_seed(0)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(side, side, generator=random, device=device).to(kind) for _ in range(2))
    out, times = torch.empty_like(a), 1 if device.type == "cpu" else 10
    wait_for(device)
    started = time.perf_counter()
    for _ in range(times):
        torch.mm(a, b, out=out)
    wait_for(device)
    return (time.perf_counter() - started) / times


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_bytes(device: torch.device) -> int:
    """The most that was held so far: of a card by tensors, else by this process, loading processes left out."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.is_file():  # and not `ru_maxrss`, which on Linux a process has from the one that started it
        lines = status.read_text().splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

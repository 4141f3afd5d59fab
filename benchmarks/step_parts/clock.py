"""Timing: seconds of a call, medians of interleaved repeats, and ratios with their spread.

Seconds throughout. `cpu` counts the processor time of this process: with one thread it ignores other people's programs.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch

Call = Callable[[], object]


@dataclass(frozen=True)
class Clock:
    """Waits for the device before and after, so that queued work is counted where it belongs."""

    device: torch.device
    kind: str = "wall"

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.process_time() if self.kind == "cpu" else time.perf_counter()

    def seconds(self, call: Call, times: int = 1) -> float:
        """Of one call, averaged over `times` in a row."""
        start = self.now()
        for _ in range(times):
            call()
        return (self.now() - start) / times

    def interleaved(self, calls: dict[str, Call], repeats: int, warm_up: int = 1) -> dict[str, list[float]]:
        """All calls in turn, `repeats` times over; a machine that slows down slows all of them."""
        for _ in range(warm_up):
            for call in calls.values():
                call()
        found: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(repeats):
            for name, call in calls.items():
                found[name].append(self.seconds(call))
        return found


def ratio(slow: list[float], fast: list[float]) -> dict[str, float]:
    """Median, least and largest ratio of neighbours in time."""
    each = [s / f for s, f in zip(slow, fast, strict=True)]
    return {"ratio": round(median(each), 3), "min": round(min(each), 3), "max": round(max(each), 3)}

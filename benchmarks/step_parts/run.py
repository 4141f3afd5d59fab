"""One optimiser step, ours or the naive one, as the engine takes it; and the same in a process of its own.

Seconds and bytes. Own processes tell what memory a way needs and what its malloc costs; steps still take turns.
"""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from simcrop.data.samples.batch import Batch
from simcrop.engine.optim import build_optimizer
from step_parts.clock import Clock
from step_parts.malloc import keep_freed_memory
from step_parts.naive import NaiveSimCroP, loop_optimizer
from step_parts.sample import Setup, make_setup, sized_recipe


def stepper(
    module: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, precision: str
) -> Callable[[], float]:
    """Forward, backward, gradient norm, update. Every step masks the same patches and words."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    device = batch.volume.device
    bare = getattr(module, "module", module)  # without what DDP puts around it

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            terms = bare.settled(module(batch))  # type: ignore[operator]
            loss = sum(bare.terms[name].weight * terms[name] for name in terms)  # type: ignore[index]
        loss.backward()  # type: ignore[union-attr]
        torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        optimizer.step()
        return float(loss.detach())  # type: ignore[union-attr]

    return step


def ours(setup: Setup, precision: str) -> Callable[[], float]:
    return stepper(
        setup.objective, build_optimizer(setup.objective, setup.recipe.optim), setup.cached, precision
    )


def naive(setup: Setup, precision: str) -> Callable[[], float]:
    module = NaiveSimCroP(setup.objective)
    return stepper(module, loop_optimizer(module, setup.recipe.optim), setup.padded, precision)


def serve(which: str, keep: bool, size: str, text_width: int, precision: str, clock: Clock) -> None:
    """One step per line that comes in, its seconds out; at the end the most memory that was held."""
    if keep:
        keep_freed_memory()
    setup = make_setup(sized_recipe(size), text_width, clock.device)
    step = {"ours": ours, "naive": naive}[which](setup, precision)
    del setup
    step()
    print("ready", flush=True)
    for _ in sys.stdin:
        print(clock.seconds(step), flush=True)
    print(memory_bytes(clock.device), flush=True)


def memory_bytes(device: torch.device) -> int:
    """Most memory held so far: of the card, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.is_file():  # here and not in `ru_maxrss`, which a child inherits from its parent
        return next(
            int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if "VmHWM" in line
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Child:
    """A way of stepping in a process of its own, with its own memory and its own malloc."""

    def __init__(self, arguments: list[str]) -> None:
        script = Path(__file__).parents[1] / "step.py"
        self.process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.answer()

    def answer(self) -> str:
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise RuntimeError("a step in a process of its own ended early; its message is above")
        return line

    def seconds(self) -> float:
        self.process.stdin.write("step\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        return float(self.answer())

    def end(self) -> float:
        """Peak memory in GiB."""
        self.process.stdin.close()  # type: ignore[union-attr]
        peak = int(self.answer()) / 2**30
        self.process.stdout.close()  # type: ignore[union-attr]
        self.process.wait()
        return round(peak, 3)

"""Checkpoints: trained weights, optimiser state and step, as safetensors and JSON; written whole or not at all."""

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from simcrop.engine.sharding import Together, is_part, together_of
from simcrop.errors import SimcropError
from simcrop.files.tensors import load_state, save_tensors
from simcrop.files.whole import StoreError, flush, flush_folder, writing
from simcrop.settings import Settings

STATE = "state.json"  # lies in a checkpoint and in no model folder
FORMAT = 1  # of the files in a checkpoint, told in `state.json`; a higher number is for those that this cannot read

Describe = Callable[[Path], None]


class CheckpointSettings(Settings):
    """One after `every` steps or so many `minutes`, whichever comes first. The newest `keep` are kept, and one after
    each multiple of `keep_every` steps for good. A run of the paper's size takes 137,518 steps.
    """

    free: ClassVar = frozenset({"every", "minutes", "keep", "keep_every"})

    every: int = Field(default=2000, ge=1)
    minutes: float | None = Field(default=30, gt=0)
    keep: int = Field(default=2, ge=1)
    keep_every: int | None = Field(default=None, ge=1)


def trained_state(module: nn.Module) -> dict[str, Tensor]:
    """Everything the training changes, and buffers; frozen parameters are left to where they came from."""
    frozen = {name for name, p in module.named_parameters() if not p.requires_grad}
    return {k: v.detach().contiguous() for k, v in module.state_dict().items() if k not in frozen}


def load_trained_state(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Put back what `trained_state` gave; every key must be there and none too many."""
    load_state(module, state, trained_state(module))


@dataclass(frozen=True)
class TrainingState:
    """All that a run needs to go on: what the training changes, and what the optimiser remembers of it, by name."""

    step: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    together: Together | None = None

    def copied_to_cpu(self) -> "TrainingState":
        """The same values where no step will change them."""
        weights, optimizer = (
            {name: self.copied(tensor) for name, tensor in tensors.items() if self.brings(tensor)}
            for tensors in (self.weights, self.optimizer)
        )
        return TrainingState(self.step, weights, optimizer, self.together)

    def copied(self, tensor: Tensor) -> Tensor:
        if self.together is not None and is_part(tensor):
            return shard_files().on_cpu(tensor, self.together)
        return tensor.to("cpu", copy=True)

    def brings(self, tensor: Tensor) -> bool:
        """Whether it is for this process to write: its part, and what is whole everywhere if it is the main one."""
        return self.is_main or is_part(tensor)

    @property
    def is_main(self) -> bool:
        return self.together is None or self.together.rank == 0

    def meeting(self) -> AbstractContextManager[None]:
        """What fails in it fails in all processes that write together."""
        return nullcontext() if self.together is None else shard_files().failing_together(self.together)

    def write(self, folder: Path) -> None:
        for name, tensors in (("model", self.weights), ("optimizer", self.optimizer)):
            path = folder / f"{name}.safetensors"
            if self.together is None:
                save_tensors(tensors, path)
            else:
                shard_files().write_parts(tensors, path, self.together)


def training_state(module: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> TrainingState:
    """In every process: the whole, or of a module that is spread over them each its part."""
    weights, remembered = trained_state(module), optimizer_state(module, optimizer)
    return TrainingState(step, weights, remembered, together_of(module))


def save_checkpoint(
    folder: Path, state: TrainingState, describe: Describe, before: Callable[[], None] = lambda: None
) -> Path:
    """Write `folder/step-XXXXXXXX` beside itself under another name, have it on disk, then rename it.

    By one process, or by all where each has its part of the state. `describe` finds `state.json` in the folder that it
    describes, and so can tell it from a model's. `before`: done first; where it fails, there is no checkpoint.
    """
    final = folder / f"step-{state.step:08d}"
    partial = folder / f"{final.name}.partial"
    try:
        with state.meeting():
            before()
            if state.is_main:
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
        state.write(partial)
        with state.meeting():
            if state.is_main:
                (partial / STATE).write_text(json.dumps({"step": state.step, "format": FORMAT}))
                describe(partial)
                flush_folder(partial)
                shutil.rmtree(final, ignore_errors=True)
                partial.rename(final)
                flush(folder)
    except (StoreError, OSError) as error:
        # A disk that is full stays full unless the half-written checkpoint goes; the older ones are whole.
        if state.is_main:
            shutil.rmtree(partial, ignore_errors=True)
        raise SimcropError(
            "write-failed",
            f"{final}: the checkpoint cannot be written: {in_one_line(error.__cause__ or error)}",
        ) from error
    return final


def checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints, oldest first."""
    found = folder.glob("step-" + "[0-9]" * 8) if folder.is_dir() else []
    return sorted(p for p in found if (p / STATE).is_file())


def load_checkpoint(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Weights and optimiser state back in place; the number of steps done."""
    step = read_step(path)
    try:
        if together_of(module) is not None:
            shard_files().read_parts(path, module, optimizer, trained_state(module))
            return step
        weights, state = (load_file(path / f"{name}.safetensors") for name in ("model", "optimizer"))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path) from error
    try:
        load_trained_state(module, weights)
    except SimcropError as error:
        raise SimcropError(
            "other-checkpoint", f"{path}: a checkpoint of another method or network: {error.sentence}"
        ) from error
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not is_remembered(state, trained):
        raise damaged(path)
    for name, tensor in state.items():
        of, kind = name.rsplit(".", 1)
        optimizer.state[trained[of]][kind] = tensor.to(trained[of].device)
    return step


def is_remembered(state: Mapping[str, Tensor], trained: Mapping[str, Tensor]) -> bool:
    """Whether the optimiser's `state` is of these parameters: all that it keeps of each, each number where its own is.
    One that was never stepped has none.
    """
    kinds: dict[str, set[str]] = {}
    for name, tensor in state.items():
        of, _, kind = name.rpartition(".")
        if of not in trained or tensor.shape not in (trained[of].shape, torch.Size()):
            return False
        kinds.setdefault(of, set()).add(kind)
    return len({frozenset(of_one) for of_one in kinds.values()}) <= 1


def describe_beside(folder: Path, describe: Describe) -> None:
    """What lies beside the checkpoints in `folder` and belongs to all of them, while one process has all of it."""
    partial = folder / "step-00000000.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with writing(partial):
            partial.mkdir(parents=True)
            (partial / STATE).write_text(json.dumps({"step": 0}))
            describe(partial)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def shard_files() -> Any:
    """How parts are written and read, which takes long to import."""
    return import_module("simcrop.engine.shard_files")


def read_step(path: Path) -> int:
    """How many steps lie behind a checkpoint. Raises SimcropError where it is newer than this program, or damaged."""
    try:
        state = json.loads((path / STATE).read_text())
        if (number := int(state.get("format", 1))) > FORMAT:
            raise SimcropError(
                "newer-format",
                f"{path}: a checkpoint of format {number}, this simcrop reads up to {FORMAT}: update simcrop",
            )
        return int(state["step"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path) from error


def damaged(path: Path) -> SimcropError:
    return SimcropError(
        "bad-checkpoint",
        f"{path}: the checkpoint is damaged; delete this folder and --resume continues from the one before",
    )


def in_one_line(error: BaseException) -> str:
    """The system's words in one line."""
    return " ".join(str(error.strerror if isinstance(error, OSError) and error.strerror else error).split())


def optimizer_state(module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Flat names: the parameter's own, then the kind of state."""
    return {
        f"{name}.{kind}": tensor.detach().contiguous()
        for name, parameter in module.named_parameters()
        for kind, tensor in optimizer.state.get(parameter, {}).items()
    }

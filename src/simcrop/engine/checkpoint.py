"""Checkpoints: trained weights, optimiser state and step, as safetensors and JSON; written whole or not at all."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from simcrop.errors import SimcropError
from simcrop.files.tensors import load_state, save_tensors
from simcrop.files.whole import StoreError
from simcrop.settings import Settings

Describe = Callable[[Path], None]


class CheckpointSettings(Settings):
    """`every` in steps; the newest `keep` are kept."""

    every: int = Field(default=500, ge=1)
    keep: int = Field(default=2, ge=1)


def trained_state(module: nn.Module) -> dict[str, Tensor]:
    """Everything the training changes, and buffers; frozen parameters are left to where they came from."""
    frozen = {name for name, p in module.named_parameters() if not p.requires_grad}
    return {k: v.detach().contiguous() for k, v in module.state_dict().items() if k not in frozen}


def load_trained_state(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Put back what `trained_state` gave; every key must be there and none too many."""
    load_state(module, state, trained_state(module))


def save_checkpoint(
    folder: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    describe: Describe,
    keep: int,
) -> Path:
    """Write `folder/step-XXXXXXXX` beside itself under another name, then rename it; drop old ones."""
    final = folder / f"step-{step:08d}"
    partial = folder / f"{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        save_tensors(trained_state(module), partial / "model.safetensors")
        save_tensors(optimizer_state(optimizer), partial / "optimizer.safetensors")
        (partial / "state.json").write_text(json.dumps({"step": step}))
        describe(partial)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
    except (StoreError, OSError) as error:
        # A disk that is full stays full unless the half-written checkpoint goes; the older ones are whole.
        shutil.rmtree(partial, ignore_errors=True)
        raise SimcropError(
            "write-failed",
            f"{final}: the checkpoint cannot be written: {in_one_line(error.__cause__ or error)}; "
            "earlier checkpoints are whole, free some space and continue with --resume",
        ) from error
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints, oldest first."""
    found = folder.glob("step-" + "[0-9]" * 8) if folder.is_dir() else []
    return sorted(p for p in found if (p / "state.json").is_file())


def load_checkpoint(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Weights and optimiser state back in place; the number of steps done."""
    try:
        weights, state = (load_file(path / f"{name}.safetensors") for name in ("model", "optimizer"))
        step = int(json.loads((path / "state.json").read_text())["step"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise SimcropError(
            "bad-checkpoint",
            f"{path}: the checkpoint is damaged; delete this folder and --resume continues from the one before",
        ) from error
    load_trained_state(module, weights)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, tensor in state.items():
        number, kind = name.split(".")
        parameter = parameters[int(number)]
        place = torch.device("cpu") if kind == "step" and parameter.device.type == "cpu" else parameter.device
        optimizer.state[parameter][kind] = tensor.to(place)
    return step


def in_one_line(error: BaseException) -> str:
    """The system's words in one line."""
    return " ".join(str(error.strerror if isinstance(error, OSError) and error.strerror else error).split())


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Flat names: number of the parameter in the optimiser's own order, then the kind of state."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {
        f"{number}.{kind}": tensor.detach().contiguous()
        for number, parameter in enumerate(parameters)
        for kind, tensor in optimizer.state.get(parameter, {}).items()
    }

"""Tensors in safetensors files, and back into a module with every key accounted for.

No axes or units. Nothing is ever unpickled.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from simcrop.errors import SimcropError
from simcrop.files.whole import StoreError, flush, temporary_name, writing


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Every tensor by its name; whole or not at all, and readable by whom other new files are readable.

    Raises StoreError where the system refuses, of which the library has errors of its own.
    """
    temporary = temporary_name(path)
    try:
        with writing(path):
            temporary.touch()
            mode = temporary.stat().st_mode
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata)
            temporary.chmod(mode)  # the library makes it private to one user
            flush(temporary)
            temporary.replace(path)
    except SafetensorError as error:
        why = " ".join(str(error).split())
        raise StoreError(
            "write-failed", f"{path}: cannot be written, perhaps the disk is full: {why}"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def load_state(
    module: nn.Module,
    state: Mapping[str, Tensor],
    names: Collection[str] | None = None,
    what: str = "the weights",
) -> None:
    """Copy `state` into the module's own tensors: into those that `names` says, or all of them.

    A name that is missing, one that is not known and one of another shape are refused before anything has changed
    (`what` does not fit); flaw 9 of the public code was to let them pass.
    """
    own = module.state_dict()
    wanted = own if names is None else names
    refuse_misfit(
        {name: tensor.shape for name, tensor in state.items()},
        {name: own[name].shape for name in wanted},
        what,
    )
    with torch.no_grad():
        for name, tensor in state.items():
            own[name].copy_(tensor)


def refuse_misfit(
    found: Mapping[str, Sequence[int]], wanted: Mapping[str, Sequence[int]], what: str = "the weights"
) -> None:
    """Names with shapes, as they were found and as they are wanted: SimcropError where they differ in anything."""
    missing, extra = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if missing or extra:
        raise SimcropError(
            "weights-mismatch",
            f"{what} do not fit: {len(missing)} missing {missing[:3]}, {len(extra)} unknown {extra[:3]}",
        )
    for name, shape in found.items():
        if tuple(shape) != tuple(wanted[name]):
            raise SimcropError(
                "weights-mismatch",
                f"{what} do not fit: {name} is {tuple(shape)}, expected {tuple(wanted[name])}",
            )

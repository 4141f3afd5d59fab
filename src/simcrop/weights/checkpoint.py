"""A checkpoint that was downloaded: its tensors by name, and no code of it ever run.

No axes or units.
"""

import argparse
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from pickle import UnpicklingError
from struct import error as StructError
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import safe_globals

from simcrop.errors import SimcropError

CONTAINERS = ("model", "state_dict", "module")  # of training scripts, of Lightning, of DeepSpeed
PLAIN_NUMBERS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")  # before NumPy 2, since
REFUSED = re.compile(r"(?:Unsupported|Trying to load unsupported) (?:global|GLOBAL)[: ]+(?:GLOBAL )?([\w.]+)")
DAMAGED = (
    SafetensorError, UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError,
    AttributeError, IndexError, AssertionError, StructError,
)  # fmt: skip


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint. A pickle is read by torch's tensors-only reader, which runs no code."""
    content = read_content(path)
    tensors = tensors_in(content)
    found = {k: v.detach().contiguous().clone() for k, v in tensors.items() if isinstance(v, Tensor)}
    if not found:
        entries = f", only {', '.join(map(str, [*tensors][:5]))}" if tensors else ""
        raise SimcropError(
            "unreadable", f"{path} holds no tensors by name, at the top or under model{entries}"
        )
    return found


def read_content(path: Path) -> Any:
    """Whatever the file holds, on the processor."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with safe_globals(plain_values()), catch_warnings():
            simplefilter(
                "ignore"
            )  # of a pickle by other means than torch's; what cannot be read is refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise SimcropError("missing-file", f"{path}: no such file") from error
    except DAMAGED as error:
        raise SimcropError(
            "unreadable", f"{path} is not a checkpoint of tensors alone{asked_for(error)}"
        ) from error


def plain_values() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """What training scripts save beside tensors and what runs no code: their arguments, and NumPy's numbers."""
    number = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "?")]
    return [argparse.Namespace, np.dtype, *kinds, *((number, name) for name in PLAIN_NUMBERS)]  # type: ignore[list-item]


def asked_for(error: BaseException) -> str:
    """What a pickle wanted beside tensors, by its name; nothing of a file that is simply damaged."""
    if found := REFUSED.search(str(error)):
        return f": it asks for {found[1]}, which was not run; save its tensors alone"
    return ""


def tensors_in(content: object) -> Mapping[str, Any]:
    """What lies under the usual names, perhaps one within another, or at the top; nothing of what is no mapping."""
    if not isinstance(content, Mapping):
        return {}
    for name in CONTAINERS:
        if isinstance(content.get(name), Mapping):
            return tensors_in(content[name])
    return {name: value for name, value in content.items() if isinstance(name, str)}


def prefix_of(found: Collection[str], stem: str, names: str, path: Path) -> str:
    """What stands before the names of the one encoder in a file, such as `module.` or `vision_encoder.`; mostly
    nothing. `stem`: a name that every such encoder has; `names`: how such names are called.
    """
    wanted = re.compile(rf"(?:^|.*\.)(?={re.escape(stem)}$)")
    prefixes = sorted({match[0] for name in found if (match := wanted.match(name))})
    if len(prefixes) > 1:
        some = ", ".join(f"{prefix}{stem.split('.')[0]}" for prefix in prefixes[:3])
        raise SimcropError(
            "weights-mismatch", f"{path} holds more than one encoder: {some}; keep one of them"
        )
    if not prefixes:
        some = ", ".join(sorted(found)[:3])
        raise SimcropError("weights-mismatch", f"{path} holds no {names}: no {stem} among {some}, ...")
    return prefixes[0]

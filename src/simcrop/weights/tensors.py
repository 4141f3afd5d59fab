"""Tensors to a safetensors file; a disk that refuses them is one line and leaves no half of a file.

No axes or units.
"""

import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from simcrop.files import StoreError, writing


def umask() -> int:
    """The permissions that this process takes from its new files; it can only be read by setting it."""
    current = os.umask(0o022)
    os.umask(current)
    return current


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Every tensor by its name. The library has errors of its own for what the system refuses."""
    try:
        with writing(path):
            save_file(tensors, path)
            path.chmod(
                0o666 & ~umask()
            )  # the library makes it private to one user; a model is shared like any file
    except SafetensorError as error:
        path.unlink(missing_ok=True)
        why = " ".join(str(error).split())
        raise StoreError(
            "write-failed", f"{path}: cannot be written, perhaps the disk is full: {why}"
        ) from error

"""Tensors in files: whole, and readable by whom the user's umask lets."""

import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from simcrop.files.tensors import save_tensors


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077], ids=oct)
def test_file_of_tensors_has_the_mode_of_any_other_new_file(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        save_tensors({"a": torch.arange(3)}, tmp_path / "a.safetensors")
        save_tensors({"a": torch.arange(4)}, tmp_path / "a.safetensors")
        (tmp_path / "plain").touch()
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["a.safetensors", "plain"], 0o666 & ~umask)
    assert load_file(tmp_path / "a.safetensors")["a"].tolist() == [0, 1, 2, 3]

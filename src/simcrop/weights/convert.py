"""Downloaded checkpoints into safetensors folders and files that a recipe can name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from simcrop.errors import SimcropError
from simcrop.files.tensors import save_tensors


def convert(kind: str, source: Path, out: Path) -> str:
    """`cxr-bert`: a BERT folder; `mae-imagenet`: an MAE ViT checkpoint. Returns a line that says what to do with it."""
    kinds: dict[str, Callable[[Path, Path], str]] = {"cxr-bert": cxr_bert, "mae-imagenet": mae_imagenet}
    if kind not in kinds:
        raise SimcropError(
            "bad-setting", f"unknown kind of weights {kind!r}; known: {', '.join(sorted(kinds))}"
        )
    if not source.exists():
        raise SimcropError("missing-file", f"{source}: no such file or folder")
    out.mkdir(parents=True, exist_ok=True)
    return kinds[kind](source, out)


def cxr_bert(source: Path, out: Path) -> str:
    """A downloaded BERT folder, its pickle replaced by safetensors; the result is read back before it counts."""
    from simcrop.nn.text_encoder import read_text_encoder

    for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)
    weights = source / "model.safetensors"
    save_tensors(
        read_tensors(weights if weights.is_file() else source / "pytorch_model.bin"),
        out / "model.safetensors",
    )
    width = read_text_encoder(out).width
    return f"{width}-d text encoder; use it with --set text.model={out}"


def mae_imagenet(source: Path, out: Path) -> str:
    """The state dict of an MAE pre-training checkpoint."""
    save_tensors(read_tensors(source), out / "mae.safetensors")
    return f"use it with --set init.mae={out / 'mae.safetensors'}"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint. A pickle is read by torch's tensors-only reader, which runs no code."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise SimcropError("missing-file", f"{path}: no such file") from error
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError) as error:
        raise SimcropError("unreadable", f"{path} is not a checkpoint of tensors alone") from error
    tensors = content.get("model", content.get("state_dict", content)) if isinstance(content, dict) else {}
    found = {k: v.detach().contiguous().clone() for k, v in tensors.items() if isinstance(v, Tensor)}
    if not found:
        raise SimcropError(
            "unreadable", f"{path} holds no tensors by name: {json.dumps(type(content).__name__)}"
        )
    return found

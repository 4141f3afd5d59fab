"""The folder of a model: `config.json`, `model.safetensors`, and for a method that reads reports its text side.

No axes or units. It describes itself; nothing in it is ever unpickled.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from simcrop.config import Recipe, build_recipe
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.device import AUTO, choose_device
from simcrop.engine.checkpoint import STATE, checkpoints, read_step
from simcrop.errors import SimcropError
from simcrop.files.tensors import load_state, save_tensors
from simcrop.files.utf8 import refuse_other_than_utf8
from simcrop.files.whole import write_json
from simcrop.hub.address import is_hub_id
from simcrop.hub.fetch import fetched
from simcrop.model.manifest import verify
from simcrop.model.model import Model
from simcrop.nn.text_encoder import TextEncoder, read_text_encoder
from simcrop.weights.embedded import text_encoder_folder

FORMAT = 2
CONFIG, WEIGHTS = "config.json", "model.safetensors"


def describe_model(
    recipe: Recipe,
    text: TextEncoder | None,
    tokenizer: Tokenizer | None,
    provenance: dict[str, Any],
    folder: Path,
) -> None:
    """Write what a model folder needs beside its weights: `config.json`, and of a method that can be asked sentences
    `tokenizer/`, and `text/` unless embedded. The checkpoints of a run share one `text/`, which lies beside them.
    """
    if text is None or not takes_sentences(recipe, text):  # reports were read in training alone
        text = tokenizer = None
    embedded = recipe.text.model == "minilm" and recipe.text.freeze
    config = {
        "format": FORMAT,
        "method": recipe.method,
        "architecture": recipe.model_dump(mode="json"),
        "preprocessing": recipe.input.model_dump(mode="json"),
        "tokenizer": tokenizer.fingerprint if tokenizer else None,
        "text_encoder": ("minilm" if embedded else "text/") if text else None,
        "provenance": provenance,
    }
    write_json(folder / CONFIG, config)
    if tokenizer is not None:
        tokenizer.save(folder / "tokenizer")
    if text is not None and not embedded:
        place = text_folder_of(folder)
        if not (place / CONFIG).is_file():
            text.save(place)


def takes_sentences(recipe: Recipe, text: TextEncoder) -> bool:
    """Whether its models have a head where patches meet sentences. It is built without numbers: whoever describes a run
    in its course must draw none.
    """
    with torch.device("meta"):
        return recipe.projection_head(text) is not None


def text_folder_of(folder: Path) -> Path:
    """Where the text encoder of a model lies: in its own folder, or beside a checkpoint. One that was trained further
    is among the weights of the checkpoint.
    """
    return folder.parent / "text" if (folder / STATE).is_file() else folder / "text"


def save_model(trained: Mapping[str, Tensor], recipe: Recipe, folder: Path) -> None:
    """`model.safetensors`: of all that was trained, what its method keeps for use; no decoder that recites reports."""
    save_tensors(for_use(trained, recipe), folder / WEIGHTS)


def for_use(trained: Mapping[str, Tensor], recipe: Recipe) -> dict[str, Tensor]:
    """What a method keeps of all that was trained, by its names in a model."""
    names = {name: recipe.kept_as(name) for name in trained}
    return {there: trained[name] for name, there in names.items() if there is not None}


def load(path: str | Path, device: str | torch.device = AUTO) -> Model:
    """A model in eval mode from a model folder, from a run folder (its newest model), or from the hub by its id
    `hf://owner/name`; on the first CUDA device where there is one, unless another `device` is asked for.
    """
    where = choose_device(device)
    folder = model_folder(Path(path))
    config = read_config(folder)
    recipe = build_recipe(config["architecture"], str(folder / CONFIG))
    if recipe.class_names:
        raise SimcropError(
            "bad-model",
            f"{path} is a {recipe.method} model, which marks {recipe.class_names[0]} and the like: "
            "`simcrop segment-predict` and simcrop.load_segmenter use it",
        )
    text, tokenizer = read_text_side(folder, config) if config["text_encoder"] else (None, None)
    model = Model(recipe, text, tokenizer, called_in(config))
    load_weights(model, recipe, folder / WEIGHTS, everything_trained=(folder / STATE).is_file())
    return model.to(where)


def called_in(config: dict[str, Any]) -> str:
    """What an imported model says that it is; nothing of one that was trained here."""
    provenance = config.get("provenance")
    return str(provenance.get("called", "")) if isinstance(provenance, dict) else ""


def read_text_side(folder: Path, config: dict[str, Any]) -> tuple[TextEncoder, Tokenizer]:
    """The text encoder of a model folder, embedded or its own, and the tokenizer that belongs to it. A bundle carries
    the embedded one along.
    """
    embedded = config["text_encoder"] == "minilm" and not (folder / "text" / CONFIG).is_file()
    text_folder = text_encoder_folder("minilm") if embedded else text_folder_of(folder)
    tokenizer = Tokenizer.load(folder / "tokenizer")
    if tokenizer.fingerprint != config["tokenizer"]:
        raise SimcropError("bad-model", f"{folder}/tokenizer is not the one this model was trained with")
    return read_text_encoder(text_folder), tokenizer


def model_folder(path: Path) -> Path:
    """The folder itself, `model/` in it, or its newest checkpoint; of a hub id where it was fetched to. One that says
    what it consists of is held to it.
    """
    if is_hub_id(path):
        path = fetched(path)
    if not path.is_dir():
        raise SimcropError("bad-model", f"{path} is not a model or run folder: no such folder")
    refuse_other_than_utf8(path)
    candidates = [path, path / "model", *reversed(checkpoints(path / "checkpoints"))]
    for folder in candidates:
        if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
            verify(folder)
            return folder
    raise SimcropError(
        "bad-model", f"{path} holds no model: expected config.json and model.safetensors in it or in model/"
    )


def read_config(folder: Path) -> dict[str, Any]:
    """What a model folder or a checkpoint says of itself. Raises SimcropError where it is of another format, which is
    looked at first: nobody knows what else stands in a newer one.
    """
    if (folder / STATE).is_file():
        read_step(folder)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        version = int(config["format"])
        refuse_other_format(version, folder)
        complete = isinstance(config["architecture"], dict) and {"tokenizer", "text_encoder"} <= set(config)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise SimcropError("bad-model", f"{folder}/config.json does not describe a simcrop model") from error
    if not complete:
        raise SimcropError("bad-model", f"{folder}/config.json does not describe a simcrop model")
    return config


def refuse_other_format(version: int, folder: Path) -> None:
    if version == FORMAT:
        return
    reason, mend = "newer-format", "update simcrop"
    if version < FORMAT:
        reason, mend = "bad-model", "train it again, or use the simcrop that made it"
    raise SimcropError(
        reason, f"{folder}/config.json has format {version}, this simcrop reads {FORMAT}: {mend}"
    )


def load_weights(model: nn.Module, recipe: Recipe, path: Path, everything_trained: bool) -> None:
    """Every tensor is loaded; otherwise it is an error. A checkpoint holds `everything_trained`: of that, what the
    method has `kept` for use, and the text encoder if it is among it and the model reads with one.
    """
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise SimcropError("bad-model", f"{path} is damaged or no safetensors file") from error
    if spoilt := sum(not tensor.isfinite().all() for tensor in state.values()):
        raise SimcropError(
            "bad-model",
            f"{path}: {spoilt} of {len(state)} tensors hold numbers that are none (NaN or infinite)",
        )
    if everything_trained:
        reads = any(name.startswith("text.") for name in model.state_dict())
        text = {name: tensor for name, tensor in state.items() if reads and name.startswith("text.")}
        state = for_use(state, recipe) | text
    wanted = {name for name in model.state_dict() if not name.startswith("text.") or name in state}
    load_state(model, state, wanted, f"{path}: the weights, by its config.json,")

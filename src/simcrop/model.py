"""A trained model as a person uses it: a scan in, a feature vector or heat maps out.

Axes: x y z voxels of the scan's own grid, d features, k boxes. A model folder carries and enforces its preprocessing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from simcrop.config import Recipe, build_recipe
from simcrop.data.preprocess import InputSpec, Placement, preprocess
from simcrop.data.volume import Volume
from simcrop.data.words import Tokenizer
from simcrop.engine.checkpoint import checkpoints, trained_state
from simcrop.errors import SimcropError
from simcrop.nn.text import TextEncoder, read_text_encoder
from simcrop.nn.vision import VisionEncoder
from simcrop.objectives.simcrop import Aligner, SimCroP
from simcrop.weights.embedded import text_encoder_folder
from simcrop.weights.tensors import save_tensors

FORMAT = 1
TRAINING_ONLY = ("painter.", "fusion.", "report_decoder.", "word_head.", "text.")


@dataclass(frozen=True, eq=False)
class Heat:
    """One sentence in one scan. `map`: float32 cosine similarity on the scan's own grid, NaN outside the crop;
    `patches`: the same per patch `(gx, gy, gz)`; `boxes_mm`: `(k, 2, 3)` low and high corners of the k nearest patches
    in RAS+ mm, nearest first; `scores`: their similarities.
    """

    map: np.ndarray
    patches: np.ndarray
    boxes_mm: np.ndarray
    scores: np.ndarray


class Model(nn.Module):
    """The encoder, the way into the space of sentences, and the text encoder; nothing that only training needs."""

    def __init__(self, recipe: Recipe, text: TextEncoder, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.recipe, self.tokenizer = recipe, tokenizer
        self.grid = recipe.input.grid
        self.vision = VisionEncoder(recipe.vision, self.grid)
        self.aligner = Aligner(recipe.align, recipe.vision.dim, text.width_of(recipe.align.sent_pool))
        self.text = text
        self.eval()

    @property
    def spec(self) -> InputSpec:
        return self.recipe.input.spec

    @property
    def top_k(self) -> int:
        """Patches per sentence: K of the paper counts visible patches only, so all patches hold as many more."""
        return max(1, round(self.recipe.align.top_k / (1 - self.recipe.mim.mask_ratio)))

    @torch.no_grad()
    def features(self, volume: Volume) -> tuple[Float[Tensor, "n d"], Placement]:
        """Features of all patches of a scan, nothing hidden, and where those patches lie."""
        tensor, placement = preprocess(volume, self.spec)
        patches = self.grid.split(tensor[None].to(self.device))
        return self.vision(patches).patches[0], placement

    def embed(self, volume: Volume) -> np.ndarray:
        """One float32 vector for a scan: the mean of its patch features, `(768,)` at paper size."""
        return self.features(volume)[0].mean(0).float().cpu().numpy()

    @torch.no_grad()
    def encode(self, sentences: Sequence[str]) -> Float[Tensor, "s e"]:
        """Sentences in the space they were aligned in, each of length one."""
        tokens = self.tokenizer.encode(list(sentences), self.recipe.text.sentence_length).to(self.device)
        pooled = self.text.pool(self.text(tokens), tokens.mask, self.recipe.align.sent_pool)
        return normalize(pooled.float() - self.aligner.center, dim=-1)

    def ground(self, volume: Volume, sentences: Sequence[str], top_k: int | None = None) -> list[Heat]:
        """Where each sentence is seen: cosine similarity of its feature with every patch."""
        features, placement = self.features(volume)
        with torch.no_grad():
            seen = normalize(self.aligner.projection(features).float(), dim=-1)
        similarity = (self.encode(sentences) @ seen.T).cpu().numpy()
        return [self.heat(row, placement, top_k or self.top_k) for row in similarity]

    def heat(self, similarity: np.ndarray, placement: Placement, k: int) -> Heat:
        patches = similarity.reshape(self.grid.shape).astype(np.float32)
        # A scan smaller than the input is padded with air: a box there would point beside the patient.
        candidates = np.flatnonzero(placement.holds_scan(self.grid.shape))
        nearest = candidates[np.argsort(-similarity[candidates], kind="stable")[:k]]
        boxes = np.stack([placement.box_mm(self.grid.index(int(n)), self.grid.patch) for n in nearest])
        return Heat(placement.to_source(patches), patches, boxes, similarity[nearest])

    @property
    def device(self) -> torch.device:
        return self.aligner.center.device


def describe_model(
    recipe: Recipe, text: TextEncoder, tokenizer: Tokenizer, provenance: dict[str, Any], folder: Path
) -> None:
    """Write what a model folder needs beside its weights: `config.json`, `tokenizer/`, and `text/` unless embedded."""
    config = {
        "format": FORMAT,
        "method": recipe.method,
        "architecture": recipe.model_dump(mode="json"),
        "preprocessing": recipe.input.model_dump(mode="json"),
        "tokenizer": tokenizer.fingerprint,
        "text_encoder": "minilm" if recipe.text.model == "minilm" and recipe.text.freeze else "text/",
        "provenance": provenance,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    tokenizer.save(folder / "tokenizer")
    if config["text_encoder"] == "text/":
        text.save(folder / "text")


def save_model(objective: SimCroP, folder: Path) -> None:
    """`model.safetensors`: everything that was trained."""
    save_tensors(trained_state(objective), folder / "model.safetensors")


def load(path: str | Path) -> Model:
    """A model in eval mode from a model folder, or from a run folder (its newest model)."""
    folder = model_folder(Path(path))
    config = read_config(folder)
    recipe = build_recipe(config["architecture"], str(folder / "config.json"))
    embedded = config["text_encoder"] == "minilm"
    text_folder = text_encoder_folder("minilm") if embedded else folder / "text"
    tokenizer = Tokenizer.load(folder / "tokenizer")
    if tokenizer.fingerprint != config["tokenizer"]:
        raise SimcropError("bad-model", f"{folder}/tokenizer is not the one this model was trained with")
    model = Model(recipe, read_text_encoder(text_folder), tokenizer)
    load_weights(model, folder / "model.safetensors")
    return model


def model_folder(path: Path) -> Path:
    """The folder itself, `model/` in it, or its newest checkpoint."""
    if not path.is_dir():
        hint = (
            "hub ids are not read yet, download the model and give its folder"
            if str(path).startswith("hf:")
            else "no such folder"
        )
        raise SimcropError("bad-model", f"{path} is not a model or run folder: {hint}")
    candidates = [path, path / "model", *reversed(checkpoints(path / "checkpoints"))]
    for folder in candidates:
        if (folder / "config.json").is_file() and (folder / "model.safetensors").is_file():
            return folder
    raise SimcropError(
        "bad-model", f"{path} holds no model: expected config.json and model.safetensors in it or in model/"
    )


def read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        version = int(config["format"])
        complete = isinstance(config["architecture"], dict) and {"tokenizer", "text_encoder"} <= set(config)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise SimcropError("bad-model", f"{folder}/config.json does not describe a simcrop model") from error
    if not complete:
        raise SimcropError("bad-model", f"{folder}/config.json does not describe a simcrop model")
    if version > FORMAT:
        raise SimcropError(
            "bad-model", f"{folder}/config.json has format {version}; this simcrop reads up to {FORMAT}"
        )
    return config


def load_weights(model: Model, path: Path) -> None:
    """Every tensor is loaded, or named as one that only training needs; otherwise it is an error."""
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise SimcropError("bad-model", f"{path} is damaged or no safetensors file") from error
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(TRAINING_ONLY)}
    wanted = {name for name in model.state_dict() if not name.startswith("text.")}
    missing, extra = sorted(wanted - set(kept)), sorted(set(kept) - wanted)
    if missing or extra:
        raise SimcropError(
            "weights-mismatch",
            f"{path} does not fit its config.json: "
            f"{len(missing)} missing {missing[:3]}, {len(extra)} unknown {extra[:3]}",
        )
    own = model.state_dict()
    for name, tensor in kept.items():
        if own[name].shape != tensor.shape:
            raise SimcropError(
                "weights-mismatch",
                f"{path}: {name} is {tuple(tensor.shape)}, expected {tuple(own[name].shape)}",
            )
        own[name].copy_(tensor)

"""A trained model as a person uses it: a scan in, a feature vector or heat maps out.

Axes: b scan, n patch, s sentence, x y z voxels, d features, e features shared with texts, l label, k boxes.
A model folder carries and enforces its preprocessing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from einops import einsum, reduce
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from simcrop.config import Recipe, build_recipe
from simcrop.data.preprocess import InputSpec, Placement, preprocess
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.data.volume import Volume
from simcrop.engine.checkpoint import checkpoints, trained_state
from simcrop.errors import SimcropError
from simcrop.files.tensors import load_state, save_tensors
from simcrop.nn.text import Pool, TextEncoder, read_text_encoder
from simcrop.nn.vision import VisionEncoder
from simcrop.objectives.method import Objective, ProjectionHead
from simcrop.weights.embedded import text_encoder_folder

FORMAT = 1
TRAINING_ONLY = ("vision_decoder.", "fusion.", "report_decoder.", "mlm_head.", "text.")


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
    """The encoder and what its method leaves behind for use: a way into the space of texts with the text encoder, a
    head for labels, or neither; nothing that only training needs.
    """

    def __init__(self, recipe: Recipe, text: TextEncoder | None, tokenizer: Tokenizer | None) -> None:
        super().__init__()
        self.recipe, self.tokenizer = recipe, tokenizer
        self.grid = recipe.input.grid
        self.vision = VisionEncoder(recipe.vision, self.grid)
        self.projection = None if text is None else recipe.projection_head(text)
        self.head = recipe.label_head()
        self.text = text
        self.eval()

    @property
    def spec(self) -> InputSpec:
        return self.recipe.input.spec

    @property
    def top_k(self) -> int:
        """Patches that are shown per sentence unless another number is asked for."""
        return self.recipe.boxes(self.grid.count)

    @torch.no_grad()
    def features_of(self, volumes: Float[Tensor, "b 1 x y z"]) -> Float[Tensor, "b n d"]:
        """Features of all patches of inputs in [-1, 1], nothing hidden; for scans that are cut already."""
        return self.vision(self.grid.split(volumes.to(self.device))).patches

    def features(self, volume: Volume) -> tuple[Float[Tensor, "n d"], Placement]:
        """Features of all patches of a scan, and where those patches lie."""
        tensor, placement = preprocess(volume, self.spec)
        return self.features_of(tensor[None])[0], placement

    def embed(self, volume: Volume, pool: Literal["mean", "max"] = "mean") -> np.ndarray:
        """One float32 vector for a scan: its patch features' mean or largest values, `(768,)` at paper size."""
        return reduce(self.features(volume)[0], "n d -> d", pool).float().cpu().numpy()

    @torch.no_grad()
    def encode(self, sentences: Sequence[str]) -> Float[Tensor, "s e"]:
        """Sentences in the space they were aligned in, each of length one."""
        space, text, tokenizer, pool = self.reader
        tokens = tokenizer.encode(list(sentences), self.recipe.text_length).to(self.device)
        return normalize(space.sentences(text.pool(text(tokens), tokens.mask, pool)), dim=-1)

    @torch.no_grad()
    def regions_of(self, volumes: Float[Tensor, "b 1 x y z"]) -> Float[Tensor, "b n e"]:
        """All patches of inputs in [-1, 1] in the space of sentences, each of length one."""
        space, reading = self.reader[0], self.recipe.reading
        patches = self.grid.split(volumes.to(self.device))
        features = self.vision(patches, alone=reading is not None and reading.alone).patches
        return normalize(space.patches(features).float(), dim=-1)

    def similarity(
        self, volumes: Float[Tensor, "b 1 x y z"], sentences: Sequence[str]
    ) -> Float[Tensor, "b s n"]:
        """Cosine of every sentence with every patch of inputs in [-1, 1]."""
        return einsum(self.encode(sentences), self.regions_of(volumes), "s e, b n e -> b s n")

    def ground(self, volume: Volume, sentences: Sequence[str], top_k: int | None = None) -> list[Heat]:
        """Where each sentence is seen: cosine similarity of its feature with every patch."""
        _ = self.reader  # a model that cannot is refused before it works
        tensor, placement = preprocess(volume, self.spec)
        similarity = self.similarity(tensor[None], sentences)[0].cpu().numpy()
        return [self.heat(row, placement, top_k or self.top_k) for row in similarity]

    @torch.no_grad()
    def scores_of(self, features: Float[Tensor, "b n d"]) -> Float[Tensor, "b l"]:
        """Probability of every label that the model was taught; `features` from `features_of`."""
        if self.head is None:
            raise SimcropError(
                "no-labels", f"a {self.recipe.method} model learns no labels; probe it instead"
            )
        return self.head(features).sigmoid()

    def scores(self, volume: Volume) -> dict[str, float]:
        """Probability of each label by its name."""
        scores = self.scores_of(self.features(volume)[0][None])[0]
        return dict(zip(self.recipe.label_names or (), scores.tolist(), strict=True))

    def heat(self, similarity: np.ndarray, placement: Placement, k: int) -> Heat:
        patches = similarity.reshape(self.grid.shape).astype(np.float32)
        # A scan smaller than the input is padded with air: a box there would point beside the patient.
        candidates = np.flatnonzero(placement.holds_scan(self.grid.shape))
        nearest = candidates[np.argsort(-similarity[candidates], kind="stable")[:k]]
        boxes = np.stack([placement.box_mm(self.grid.index(int(n)), self.grid.patch) for n in nearest])
        return Heat(placement.to_source(patches), patches, boxes, similarity[nearest])

    @property
    def reader(self) -> tuple[ProjectionHead, TextEncoder, Tokenizer, Pool]:
        """What reads sentences, or why nothing does."""
        reading = self.recipe.reading
        if self.projection is None or self.text is None or self.tokenizer is None or reading is None:
            method = self.recipe.method
            raise SimcropError(
                "no-sentences", f"a {method} model learns no sentences and cannot say where one is seen"
            )
        return self.projection, self.text, self.tokenizer, reading.pool

    @property
    def device(self) -> torch.device:
        return self.vision.patch_embed.weight.device


def describe_model(
    recipe: Recipe,
    text: TextEncoder | None,
    tokenizer: Tokenizer | None,
    provenance: dict[str, Any],
    folder: Path,
) -> None:
    """Write what a model folder needs beside its weights: `config.json`, and of a method that reads reports
    `tokenizer/`, and `text/` unless embedded.
    """
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
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    if tokenizer is not None:
        tokenizer.save(folder / "tokenizer")
    if text is not None and not embedded:
        text.save(folder / "text")


def save_model(objective: Objective, folder: Path) -> None:
    """`model.safetensors`: everything that was trained."""
    save_tensors(trained_state(objective), folder / "model.safetensors")


def load(path: str | Path) -> Model:
    """A model in eval mode from a model folder, or from a run folder (its newest model)."""
    folder = model_folder(Path(path))
    config = read_config(folder)
    recipe = build_recipe(config["architecture"], str(folder / "config.json"))
    text, tokenizer = read_text_side(folder, config) if recipe.reading else (None, None)
    model = Model(recipe, text, tokenizer)
    load_weights(model, folder / "model.safetensors")
    return model


def read_text_side(folder: Path, config: dict[str, Any]) -> tuple[TextEncoder, Tokenizer]:
    """The text encoder of a model folder, embedded or its own, and the tokenizer that belongs to it."""
    embedded = config["text_encoder"] == "minilm"
    text_folder = text_encoder_folder("minilm") if embedded else folder / "text"
    tokenizer = Tokenizer.load(folder / "tokenizer")
    if tokenizer.fingerprint != config["tokenizer"]:
        raise SimcropError("bad-model", f"{folder}/tokenizer is not the one this model was trained with")
    return read_text_encoder(text_folder), tokenizer


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
    load_state(model, kept, wanted, f"{path}: the weights, by its config.json,")

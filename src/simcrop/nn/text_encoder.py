"""The text side: a BERT read from a folder, frozen or trained.

Axes: b report or sentence, t word piece, d features, e features of a pooled text.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import gelu
from torch.overrides import TorchFunctionMode

from simcrop.errors import SimcropError
from simcrop.files.tensors import load_state, save_tensors
from simcrop.files.whole import write_whole
from simcrop.nn.bert import Bert, bert_shape
from simcrop.nn.length_groups import run_in_groups

Pool = Literal["cls", "mean", "proj128"]
PROJECTION = "cls_projection_head."
DRAWS = {nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_, Tensor.normal_, Tensor.uniform_}
Made = TypeVar("Made", bound=nn.Module)


class TextEncoder(nn.Module):
    """E_t of the paper: a pre-trained BERT. Frozen it stays in eval mode, whatever its owner does."""

    def __init__(self, config: dict, state: dict[str, Tensor], frozen: bool = True) -> None:
        super().__init__()
        self.config = {k: v for k, v in config.items() if not k.startswith("_")}
        self.frozen = frozen
        self.bert = without_a_draw(lambda: Bert(bert_shape(self.config)))
        self.projection, self.mlm_start = split_off_heads(state, self.config)
        load_state(self.bert, bert_part(state))
        self.requires_grad_(not frozen)
        self.train(not frozen)

    @property
    def width(self) -> int:
        return self.bert.shape.hidden_size

    def width_of(self, pool: Pool) -> int:
        """Features of one pooled sentence."""
        return 128 if pool == "proj128" else self.width

    def train(self, mode: bool = True) -> "TextEncoder":
        return super().train(mode and not self.frozen)

    def forward(
        self, ids: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"], lengths: Sequence[int] = ()
    ) -> Float[Tensor, "b t d"]:
        """`mask`: true where there is a word piece and no padding; `lengths`: how many those are, where known."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            if len(ids) == 0:  # reports without a sentence
                # A sum over no text: every parameter gets a gradient, zero, which other processes may wait for.
                nothing = torch.zeros(0, ids.shape[1], self.width, device=ids.device)
                return nothing + torch.stack([p.sum() for p in self.bert.parameters()]).sum()
            return run_in_groups(self.bert, ids, mask, lengths)

    def pool(
        self, states: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"], how: Pool
    ) -> Float[Tensor, "b e"]:
        """One vector per text: its first token, the mean of its real tokens, or CXR-BERT's 128 features."""
        if how == "mean":
            return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        if how == "cls":
            return states[:, 0]
        if self.projection is None:
            raise SimcropError(
                "bad-setting", "align.sent_pool = proj128 needs a text encoder that has such a head"
            )
        return self.projection(states[:, 0])

    def save(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors`, which `read_text_encoder` reads again."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {f"bert.{k}": v for k, v in self.bert.state_dict().items()}
        heads = {
            **prefixed(self.projection, PROJECTION),
            **{f"cls.predictions.{k}": v for k, v in self.mlm_start.items()},
        }
        save_tensors({**state, **{k: v.clone() for k, v in heads.items()}}, folder / "model.safetensors")
        config = json.dumps(self.config, indent=1, sort_keys=True)
        write_whole(folder / "config.json", config.encode())  # last: where it stands, all is there


def read_text_encoder(folder: Path, frozen: bool = True) -> TextEncoder:
    """A BERT folder (MiniLM, CXR-BERT, ...): `config.json` and `model.safetensors`, every key accounted for."""
    config = read_bert_config(folder)
    weights = folder / "model.safetensors"
    if not weights.is_file():
        pickled = " (pytorch_model.bin is a pickle: convert it with `simcrop weights import cxr-bert`)"
        raise SimcropError(
            "no-text-encoder",
            f"{folder} has no model.safetensors"
            + (pickled if (folder / "pytorch_model.bin").is_file() else ""),
        )
    try:
        return TextEncoder(config, load_file(weights), frozen)
    except (RuntimeError, KeyError, OSError, ValueError, SafetensorError, SimcropError) as error:
        raise SimcropError(
            "no-text-encoder", f"{weights} does not fit its config.json or is damaged: {first_line(error)}"
        ) from error


def read_bert_config(folder: Path) -> dict:
    """`config.json` of a text encoder folder; plain BERT shapes only, and no code of its own is ever run."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SimcropError(
            "no-text-encoder", f"{folder} is not a text encoder folder: no readable config.json"
        ) from error
    if not isinstance(config, dict) or "hidden_size" not in config or "vocab_size" not in config:
        raise SimcropError(
            "no-text-encoder", f"{folder}/config.json does not describe a BERT (hidden_size, vocab_size)"
        )
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise SimcropError("no-text-encoder", f"{folder}: only absolute position embeddings are supported")
    for foreign in (
        "auto_map",
        "architectures",
        "model_type",
        "transformers_version",
        "torch_dtype",
        "dtype",
    ):
        config.pop(foreign, None)
    return config


def bert_part(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's own tensors, without the `bert.` prefix, heads, poolers and position buffers."""
    renamed = {k.removeprefix("bert."): v for k, v in state.items()}
    skipped = ("cls.", "pooler.", PROJECTION)
    return {k: v for k, v in renamed.items() if not k.startswith(skipped) and not k.endswith(".position_ids")}


def split_off_heads(state: dict[str, Tensor], config: dict) -> tuple[nn.Module | None, dict[str, Tensor]]:
    """CXR-BERT's 128-feature projection when there is one, and the tensors of an MLM head when there are."""
    head = {
        k.removeprefix("cls.predictions."): v for k, v in state.items() if k.startswith("cls.predictions.")
    }
    projection = {k.removeprefix(PROJECTION): v for k, v in state.items() if k.startswith(PROJECTION)}
    if not projection:
        return None, head
    width, out = config["hidden_size"], projection["dense_to_output.weight"].shape[0]
    joint = without_a_draw(lambda: CxrBertHead(width, out))
    load_state(joint, projection)
    return joint, head


def without_a_draw(build: Callable[[], Made]) -> Made:
    """What `build` makes, for weights to be loaded into: nothing is drawn for it, so that no other part starts
    otherwise beside another text encoder.
    """
    with NoDraws():
        return build()


class NoDraws(TorchFunctionMode):
    """Layers leave their weights as the memory is. They could be built on the device `meta`, for whose tensors torch
    loads its compiler and sympy, more than all else that loading a model takes.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in DRAWS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


class CxrBertHead(nn.Module):
    """CXR-BERT's joint-space head: dense, GELU, norm, dense to 128."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.dense_to_hidden = nn.Linear(width, out)
        self.LayerNorm = nn.LayerNorm(out, eps=1e-12)
        self.dense_to_output = nn.Linear(out, out)

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b e"]:
        return self.dense_to_output(self.LayerNorm(gelu(self.dense_to_hidden(x))))


def prefixed(module: nn.Module | None, prefix: str) -> dict[str, Tensor]:
    return {} if module is None else {prefix + k: v for k, v in module.state_dict().items()}


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__

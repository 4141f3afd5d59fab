"""A file as the paper's authors save one, of any size: timm's names, `Conv3d` patches, two-axis codes, text beside.

Axes: n token, d features, h w d voxels of the authors' arrays.
"""

from collections.abc import Callable
from math import exp, log

import pytest
import torch
from torch import Tensor

State = dict[str, Tensor]


def two_axis_code(shape: tuple[int, int, int], width: int) -> Tensor:
    """Written out voxel by voxel: sines of the first axis on even features, cosines of the second on odd ones."""
    rows = []
    for h in range(shape[0]):
        for w in range(shape[1]):
            row = [0.0] * width
            for i in range(0, width, 2):
                speed = exp(-i * log(10000.0) / width)
                row[i], row[i + 1] = torch.sin(torch.tensor(h * speed)), torch.cos(torch.tensor(w * speed))
            rows += [row] * shape[2]
    return torch.tensor(rows)


def released_state(
    depth: int = 8,
    width: int = 128,
    patch: tuple[int, int, int] = (4, 4, 2),
    grid: tuple[int, int, int] = (3, 3, 3),
) -> State:
    """What lies under `model`."""
    torch.manual_seed(11)
    shapes = {
        "cls_token": (1, 1, width),
        "mask_token": (1, 1, 96),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    shapes |= {"patch_embed.proj.weight": (width, 1, *patch), "patch_embed.proj.bias": (width,)}
    shapes |= {"decoder_embed.weight": (96, width), "decoder_blocks.0.attn.qkv.weight": (288, 96)}
    shapes |= {"head.weight": (18, width), "bert_encoder.embeddings.word_embeddings.weight": (50, 48)}
    for number in range(depth):
        for part, rows, columns in (
            ("attn.qkv", 3 * width, width),
            ("attn.proj", width, width),
            ("mlp.fc1", 4 * width, width),
            ("mlp.fc2", width, 4 * width),
        ):
            shapes |= {
                f"blocks.{number}.{part}.weight": (rows, columns),
                f"blocks.{number}.{part}.bias": (rows,),
            }
        for norm in ("norm1", "norm2"):
            shapes |= {f"blocks.{number}.{norm}.{kind}": (width,) for kind in ("weight", "bias")}
    state = {name: torch.randn(shape) * 0.1 for name, shape in shapes.items()}
    code = two_axis_code(grid, width)
    return state | {"pos_embed": torch.cat([torch.zeros(1, width), code])[None]}


def slow_tokens(state: State, volume: Tensor, heads: int) -> Tensor:
    """`(n, d)` of a volume `(h, w, d)`: the network written out, one patch and one head after the other."""
    weight, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    sides = weight.shape[2:]
    h, w, d = (size // side for size, side in zip(volume.shape, sides, strict=True))
    tokens = [state["cls_token"][0, 0]]
    for i in range(h):
        for j in range(w):
            for k in range(d):
                patch = volume
                for axis, (place, side) in enumerate(zip((i, j, k), sides, strict=True)):
                    patch = patch.narrow(axis, place * side, side)
                tokens.append((weight[:, 0] * patch).sum((1, 2, 3)) + bias)
    x = torch.stack(tokens) + state["pos_embed"][0]
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    for number in range(depth):
        part = {
            n.removeprefix(f"blocks.{number}."): t
            for n, t in state.items()
            if n.startswith(f"blocks.{number}.")
        }
        x = x + attention(normed(x, part, "norm1"), part, heads)
        hidden = normed(x, part, "norm2") @ part["mlp.fc1.weight"].T + part["mlp.fc1.bias"]
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
        x = x + hidden @ part["mlp.fc2.weight"].T + part["mlp.fc2.bias"]
    return normed(x, state, "norm")


def normed(x: Tensor, state: State, name: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


def attention(x: Tensor, part: State, heads: int) -> Tensor:
    every = x @ part["attn.qkv.weight"].T + part["attn.qkv.bias"]
    width = x.shape[1]
    size, out = width // heads, []
    for head in range(heads):
        q, k, v = (every[:, kind * width + head * size :][:, :size] for kind in range(3))
        out.append((q @ k.T / size**0.5).softmax(-1) @ v)
    return torch.cat(out, 1) @ part["attn.proj.weight"].T + part["attn.proj.bias"]


@pytest.fixture(scope="session")
def write_state() -> Callable[..., State]:
    """Makes what lies under `model`; of 8 blocks and 3 x 3 x 3 patches of 4 x 4 x 2 voxels if nothing else is said."""
    return released_state


@pytest.fixture(scope="session")
def released() -> State:
    """The same; nobody may change it."""
    return released_state()


@pytest.fixture(scope="session")
def slowly() -> Callable[[State, Tensor], Tensor]:
    """Features of the patches `(n, d)` of a volume in [-1, 1], by the network written out."""
    return lambda state, volume: slow_tokens(state, volume, heads=2)[1:]


@pytest.fixture(scope="session")
def code_by_hand() -> Callable[..., Tensor]:
    return two_axis_code

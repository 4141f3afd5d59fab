"""A 2D MAE ViT (ImageNet-1K) into our 3D encoder, every key accounted for.

Axes: d features, c colour, h w pixels of a 2D patch (rows, columns), x y z voxels of a 3D patch.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from einops import rearrange, reduce, repeat
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from simcrop.errors import SimcropError
from simcrop.files.tensors import load_state
from simcrop.nn.vit import ViT

SKIPPED = ("pos_embed", "decoder_", "mask_token", "head.", "fc_norm.")


@dataclass(frozen=True)
class Imported:
    """Names of our tensors that were set, and of theirs that were left aside on purpose."""

    loaded: list[str]
    skipped: list[str]


def inflate(weight: Float[Tensor, "d c h w"], patch: tuple[int, int, int]) -> Float[Tensor, "d p"]:
    """Sum the colours and spread them evenly over the depth, so that a constant stack gives what the image gave.

    An image lies as an axial slice is looked at: its first row in front, its first column on the patient's right. Both
    run against our axes, which count to the right and to the front.
    """
    px, py, pz = patch
    if weight.shape[2:] != (py, px):
        raise SimcropError(
            "weights-mismatch", f"2D patches of {tuple(weight.shape[2:])}, ours are {py} x {px}"
        )
    grey = reduce(weight, "d c h w -> d h w", "sum") / pz
    return rearrange(repeat(grey.flip(1, 2), "d y x -> d x y z", z=pz), "d x y z -> d (x y z)")


def load_mae(encoder: ViT, path: Path, patch_embed: str) -> Imported:
    """Blocks, norm and CLS from the file; positions always stay ours. Named as skipped are blocks deeper than ours, and
    the CLS where ours has none.
    """
    linear_stem_of(encoder)
    try:
        theirs = load_file(path)
    except (SafetensorError, OSError) as error:
        raise SimcropError("weights-mismatch", f"cannot read {path} as safetensors") from error
    state, skipped = translate(theirs, encoder, patch_embed)
    ours = ("position", "atlas.", "statistics.", "conv.")  # never in such a file
    wanted = {
        name
        for name in encoder.state_dict()
        if not name.startswith(ours) and not (patch_embed != "mean_inflate" and "patch_embed" in name)
    }
    load_state(encoder, state, wanted, f"{path.name}: the weights")
    return Imported(sorted(state), skipped)


def translate(
    theirs: dict[str, Tensor], encoder: ViT, patch_embed: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Their names to ours: the transformer's own names agree; CLS loses its batch axes."""
    state: dict[str, Tensor] = {}
    skipped: list[str] = []
    depth = len(encoder.transformer.blocks)
    for name, tensor in theirs.items():
        block = re.match(r"blocks\.(\d+)\.", name)
        too_deep = block is not None and int(block[1]) >= depth
        if (
            name.startswith(SKIPPED)
            or too_deep
            or (name == "cls_token" and encoder.cls_token is None)
            or (name.startswith("patch_embed") and patch_embed != "mean_inflate")
        ):
            skipped.append(name)
        elif name == "cls_token":
            state[name] = tensor.flatten()
        elif name == "patch_embed.proj.weight":
            state["patch_embed.weight"] = inflate(tensor, encoder.grid.patch)
        elif name == "patch_embed.proj.bias":
            state["patch_embed.bias"] = tensor
        else:
            state[f"transformer.{name}"] = tensor
    return state, skipped


def linear_stem_of(encoder: ViT) -> nn.Linear:
    """What images taught an encoder to make of their patches is a linear map of the voxels."""
    if encoder.patch_embed is None:
        raise SimcropError(
            "bad-setting",
            "init.mae and init.patch_embed are about vision.stem = linear, which this one has not",
        )
    return encoder.patch_embed


def init_patch_embed_by_pca(encoder: ViT, patches: Float[Tensor, "m p"]) -> None:
    """Start the patch embedding from the principal components of the cohort's own patches.

    Components come scaled to unit variance; features beyond their number keep their random start.
    """
    embed, mean = linear_stem_of(encoder), patches.mean(0)
    count = min(embed.out_features, *patches.shape)
    _, strength, components = torch.linalg.svd(patches - mean, full_matrices=False)
    spread = (strength[:count] / len(patches) ** 0.5).clamp(min=1e-3)
    with torch.no_grad():
        weight = components[:count] / spread[:, None]
        embed.weight[:count].copy_(weight)
        embed.bias[:count].copy_(-weight @ mean)

"""The official vision encoder of M3D-CLIP, a ViT by MONAI's names, as ours: every key accounted for.

What is known of the files ([C] the public code and MONAI's blocks, [G] inference, the files unseen): the whole M3D-CLIP
holds the encoder under `vision_encoder.`, a second file the same encoder alone [C]; 12 blocks of 768 features in 12
heads, `qkv` without biases, LayerNorms of 1e-5, learned positions for the patches and none for the class token [C].

Orientation: their arrays are `(D, H, W)`, cut into 8 x 16 x 16 patches of 4 x 16 x 16 voxels, D slowest and W fastest
in both [C]. They were axial pictures in the order of their slices: W runs to the patient's left and H to the back [C],
D from the head down [G]. Here the weights are turned, not the scans, so that input and patches stay RAS+.

Scale: they see [0, 1] where our input is [-1, 1], so half the weights and a bias of their sum give the same tokens.

Axes: o, d features; x y z patches, or voxels of one (right, front, up).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from einops import rearrange
from torch import Tensor, zeros

from simcrop.errors import SimcropError
from simcrop.files.tensors import load_state
from simcrop.nn.patch import PatchGrid
from simcrop.nn.vit import VisionSettings
from simcrop.weights.checkpoint import prefix_of, read_tensors
from simcrop.weights.released import WRAPPERS, Released

STEM, STEM_BIAS = (f"patch_embedding.patch_embeddings.1.{kind}" for kind in ("weight", "bias"))
POSITION = "patch_embedding.position_embeddings"
# Of later MONAI's blocks, which no picture passes through, and of a classifier behind the encoder.
ASIDE = re.compile(r"blocks\.\d+\.(?:norm_cross_attn|cross_attn)\.|classification_head\.")
OURS = {
    STEM: "patch_embed.weight",
    STEM_BIAS: "patch_embed.bias",
    POSITION: "position",
    "cls_token": "cls_token",
}
PARTS = {"mlp.linear1": "mlp.fc1", "mlp.linear2": "mlp.fc2", "attn.out_proj": "attn.proj"}
NOTES = [
    "attn.qkv has no biases there, zeros here",
    "whole scans are resized to its input, the values of each from its least to its largest (input.fit = resize)",
    "that its slices ran from the head down is inferred: no file says so",
]


@dataclass(frozen=True)
class Published:
    """The encoder as it was published; a file tells neither its heads nor its patches. `grid` by our axes."""

    depth: int = 12
    width: int = 768
    heads: int = 12
    grid: PatchGrid = field(default_factory=lambda: PatchGrid((256, 256, 32), (16, 16, 4)))

    @property
    def settings(self) -> VisionSettings:
        return VisionSettings(
            depth=self.depth,
            dim=self.width,
            heads=self.heads,
            cls_token=True,
            pos_embed="learned",
            norm_eps=1e-5,
        )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every tensor, by its name there."""
        width, hidden = self.width, 4 * self.width
        norm = {"weight": (width,), "bias": (width,)}
        block: dict[str, tuple[int, ...]] = {"attn.qkv.weight": (3 * width, width)}
        for part, out, into in (
            ("attn.out_proj", width, width), ("mlp.linear1", hidden, width), ("mlp.linear2", width, hidden)
        ):  # fmt: skip
            block |= {f"{part}.weight": (out, into), f"{part}.bias": (out,)}
        for part in ("norm1", "norm2"):
            block |= {f"{part}.{kind}": shape for kind, shape in norm.items()}
        outside = {STEM: (width, self.grid.voxels), STEM_BIAS: (width,), "cls_token": (1, 1, width)}
        outside |= {POSITION: (1, self.grid.count, width)} | {f"norm.{kind}": of for kind, of in norm.items()}
        return outside | {f"blocks.{n}.{name}": of for n in range(self.depth) for name, of in block.items()}


PUBLISHED = Published()


def read_m3d(path: Path) -> Released:
    """Refused unless every tensor of the encoder is there, as published, and nothing of it is left over."""
    found = read_tensors(path)
    canonical = {WRAPPERS.sub("", name): name for name in found}
    if len(canonical) < len(found):
        raise SimcropError("weights-mismatch", f"{path} holds the same tensors under two names")
    prefix = prefix_of(canonical, STEM, "encoder with M3D-CLIP's names", path)
    names = {name.removeprefix(prefix): of for name, of in canonical.items() if name.startswith(prefix)}
    theirs = {name: found[of] for name, of in names.items()}
    refuse_unlike(theirs, path)
    encoder = PUBLISHED.settings.build(PUBLISHED.grid)
    load_state(encoder, state_of(theirs), None, f"{path}: the weights")
    renamed = {names[name]: ours_of(name) for name in PUBLISHED.shapes}
    return Released(encoder, renamed, sorted(set(found) - set(renamed)), list(NOTES))


def refuse_unlike(theirs: Mapping[str, Tensor], path: Path) -> None:
    """What differs from what was published, in one line."""
    shapes = PUBLISHED.shapes
    if missing := sorted(set(shapes) - set(theirs)):
        raise SimcropError(
            "weights-mismatch",
            f"{path} is not whole: {len(missing)} of the encoder's {len(shapes)} tensors are missing, such as "
            f"{', '.join(missing[:3])}",
        )
    if strange := sorted(name for name in set(theirs) - set(shapes) if not ASIDE.match(name)):
        raise SimcropError(
            "weights-mismatch",
            f"{path} holds {len(strange)} tensors of the encoder that are not understood: {', '.join(strange[:3])}",
        )
    for name, shape in shapes.items():
        if tuple(theirs[name].shape) != shape:
            raise SimcropError(
                "weights-mismatch", f"{path}: {name} is {tuple(theirs[name].shape)}, published as {shape}"
            )
        if not theirs[name].is_floating_point() or not theirs[name].isfinite().all():
            raise SimcropError("weights-mismatch", f"{path}: {name} holds values that are no finite numbers")


def state_of(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state: the same numbers but for the patch embedding and the order of the patches."""
    px, py, pz = PUBLISHED.grid.patch
    gx, gy, _ = PUBLISHED.grid.shape
    weight, bias = theirs[STEM].double(), theirs[STEM_BIAS].double()
    cube = rearrange(weight / 2, "o (z y x) -> o x y z", x=px, y=py, z=pz).flip(1, 2, 3)
    places = rearrange(theirs[POSITION], "1 (z y x) d -> x y z d", x=gx, y=gy).flip(0, 1, 2)
    state = {ours_of(name): theirs[name] for name in PUBLISHED.shapes}
    state |= {
        "patch_embed.weight": rearrange(cube, "o x y z -> o (x y z)"),
        "patch_embed.bias": bias + weight.sum(1) / 2,
        "position": rearrange(places, "x y z d -> (x y z) d"),
        "cls_token": theirs["cls_token"].flatten(),
    }
    for number in range(PUBLISHED.depth):
        state[f"transformer.blocks.{number}.attn.qkv.bias"] = zeros(3 * PUBLISHED.width)
    return {name: tensor.float() for name, tensor in state.items()}


def ours_of(name: str) -> str:
    """Our name of a tensor of theirs."""
    for theirs, ours in PARTS.items():
        name = name.replace(f".{theirs}.", f".{ours}.")
    return OURS.get(name, f"transformer.{name}")

"""The encoder that the paper's authors publish, a 3D ViT with timm's names, as ours: every key accounted for.

What is known of the file ([P] the paper, [C] the authors' public downstream code, [G] inference, the file unseen): a
torch file with the state under `model` [C]; names of timm's ViT, a `Conv3d` as patch embedding, fused `qkv`,
LayerNorms of 1e-6 [C]; 8 blocks [P] or 12 [C]; a class token first; positions `(1, 1 + n, d)` of a cubic grid, sines of
the first axis on even features and cosines of the second on odd ones, the class token's zero [C]; a final norm `norm`
[G], which their probe discards.

Orientation: their arrays are `(H, W, D)`, patches lie h slowest and d fastest, and so do the voxels of a patch [C]; H,
W, D are our x, y, z. Their loader asks for RAS [C], which is what we give; since that step does nothing to a plain
array, what training saw may have been the stored orientation, such as LPS [G]. A checkpoint does not say.

Axes: d features, n patch (x slowest, z fastest), x y z voxels of a patch (right, front, up).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor

from simcrop.errors import SimcropError
from simcrop.files.tensors import load_state
from simcrop.nn.patch import PatchGrid, Triple
from simcrop.nn.position import sincos_3d, sincos_hw
from simcrop.nn.vit import VisionSettings, ViT
from simcrop.weights.checkpoint import prefix_of, read_tensors

DEPTHS = (8, 12)  # of the paper, and of the public downstream code
HEAD = 64  # features of an attention head in every ViT of the family; the keys do not tell
PATCH, PATCHES = (16, 16, 8), (14, 14, 14)  # of the paper, where a file does not tell
WRAPPERS = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
STEM = "patch_embed.proj.weight"
BLOCK = tuple(
    f"{part}.{kind}"
    for part in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    for kind in ("weight", "bias")
)
KEPT = ("blocks.", "norm.")  # names of theirs that are ours in `transformer`
OTHERWISE = (
    "patch_embed", "blocks", "norm", "cls_token", "pos_embed", "norm_pre", "norm_post", "ln_pre", "ln_post", "rope",
    "attn_pool", "layers", "stages",
)  # fmt: skip
TRAINING_ALONE = re.compile(r"mask|decoder|head|text|report|word|sent|type|temp|scale|queue|proj")
Code = Literal["sincos_hw", "sincos3d", "learned"]
CODES: dict[Code, Callable[[Triple, int], Tensor]] = {"sincos_hw": sincos_hw, "sincos3d": sincos_3d}


@dataclass(frozen=True, eq=False)
class Released:
    """An encoder as its settings and grid describe it, its weights in place. `renamed`: names of the file to ours;
    `skipped`: names that only training needs; `notes`: what was found otherwise than expected.
    """

    encoder: ViT
    renamed: dict[str, str]
    skipped: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def skipped_groups(self) -> dict[str, int]:
        """How many tensors were skipped under each first name."""
        first = [timm_name(name).removeprefix("module.").split(".")[0] for name in self.skipped]
        return {name: first.count(name) for name in sorted(set(first))}


@dataclass(frozen=True, eq=False)
class Places:
    """Of the class token and the patches: the token, codes `(n, d)`, which ones these are, and on which grid."""

    cls: Tensor | None
    position: Tensor
    code: Code
    grid: PatchGrid


def read_released(path: Path) -> Released:
    """Refused unless every tensor of the encoder is there, of the shape that the others want, and understood."""
    found = read_tensors(path)
    canonical = {timm_name(name): name for name in found}
    if len(canonical) < len(found):
        raise SimcropError("weights-mismatch", f"{path} holds the same tensors under two names")
    prefix = prefix_of(canonical, STEM, "3D ViT with timm's names", path)
    names = {name.removeprefix(prefix): of for name, of in canonical.items() if name.startswith(prefix)}
    theirs = {name: found[of] for name, of in names.items()}
    depth = depth_of(theirs, path)
    wanted = wanted_names(depth, theirs)
    refuse_missing(wanted, theirs, path)
    stem, patch = stem_of(theirs["patch_embed.proj.weight"], path)
    refuse_strange(set(theirs) - wanted, theirs, len(stem), path)
    heads = heads_of(len(stem), path)
    notes: list[str] = []
    places = places_of(theirs, patch, len(stem), path, notes)
    encoder = ViT(settings_of(theirs, depth, heads, places), places.grid)
    state = {f"transformer.{name}": theirs[name] for name in sorted(wanted) if name.startswith(KEPT)}
    state |= {"patch_embed.weight": stem, "patch_embed.bias": theirs["patch_embed.proj.bias"]}
    state |= {} if places.cls is None else {"cls_token": places.cls}
    state |= {"position": places.position} if places.code == "learned" else {}
    load_state(
        encoder, {name: tensor.float() for name, tensor in state.items()}, None, f"{path}: the weights"
    )
    renamed = {names[name]: ours_of(name, places.code) for name in sorted(wanted)}
    return Released(encoder, renamed, sorted(set(found) - set(renamed)), notes)


def timm_name(name: str) -> str:
    """As timm says it: without what wrappers put in between; a linear patch embedding has no `proj` of its own."""
    return re.sub(r"(^|\.)patch_embed\.(weight|bias)$", r"\1patch_embed.proj.\2", WRAPPERS.sub("", name))


def depth_of(theirs: Mapping[str, Tensor], path: Path) -> int:
    """Blocks by their numbers; a file that lost one must not pass for a smaller encoder."""
    numbers = {int(match[1]) for name in theirs if (match := re.match(r"blocks\.(\d+)\.", name))}
    depth = max(numbers, default=-1) + 1
    if not numbers:
        raise SimcropError(
            "weights-mismatch", f"{path} has no blocks.0 beside its patch_embed: not timm's names"
        )
    if depth not in DEPTHS or numbers != set(range(depth)):
        raise SimcropError(
            "weights-mismatch",
            f"{path} has {len(numbers)} blocks up to number {depth - 1}: the paper's encoder has {DEPTHS[0]}, the "
            f"public code's {DEPTHS[1]}, counted from 0",
        )
    return depth


def wanted_names(depth: int, theirs: Mapping[str, Tensor]) -> set[str]:
    """Names of theirs that an encoder of that depth needs; token and positions as they are found."""
    blocks = {f"blocks.{number}.{part}" for number in range(depth) for part in BLOCK}
    always = {"patch_embed.proj.weight", "patch_embed.proj.bias", "norm.weight", "norm.bias"}
    return blocks | always | ({"cls_token", "pos_embed"} & set(theirs))


def refuse_missing(wanted: set[str], theirs: Mapping[str, Tensor], path: Path) -> None:
    """Flaw 9 of the public code was to go on. Numbers that are none are as good as missing."""
    if missing := sorted(wanted - set(theirs)):
        pooled = missing == ["norm.bias", "norm.weight"] and "fc_norm.weight" in theirs
        why = "; a fine-tuned classifier, whose norm comes after pooling" if pooled else ""
        raise SimcropError(
            "weights-mismatch",
            f"{path} is not whole: {len(missing)} of the encoder's {len(wanted)} tensors are missing, such as "
            f"{', '.join(missing[:3])}{why}",
        )
    for name in sorted(wanted):
        if not theirs[name].is_floating_point() or not theirs[name].isfinite().all():
            raise SimcropError("weights-mismatch", f"{path}: {name} holds values that are no finite numbers")


def refuse_strange(names: set[str], theirs: Mapping[str, Tensor], width: int, path: Path) -> None:
    """What would change the features if it were known how; the rest serves training alone and is skipped by name."""
    strange = [
        name
        for name in sorted(names)
        if name.split(".")[0] in OTHERWISE or is_parameter_of_tokens(name, theirs[name], width)
    ]
    if strange:
        raise SimcropError(
            "weights-mismatch",
            f"{path} holds {len(strange)} tensors of the encoder that are not understood: {', '.join(strange[:3])}",
        )


def is_parameter_of_tokens(name: str, tensor: Tensor, width: int) -> bool:
    """A tensor of the encoder's own, in no layer, as wide as a token, such as further tokens or codes."""
    wide = "." not in name and tensor.ndim > 0 and tensor.shape[-1] == width
    return wide and not TRAINING_ALONE.search(name)


def stem_of(weight: Tensor, path: Path) -> tuple[Tensor, Triple]:
    """Their patch embedding as `(d, x y z)`, and the patch; of a linear one, which does not tell, the paper's."""
    shape = tuple(weight.shape)
    if weight.ndim == 2 and shape[1] == PATCH[0] * PATCH[1] * PATCH[2]:
        return weight, PATCH
    if weight.ndim == 4:
        raise SimcropError(
            "weights-mismatch", f"{path} is a ViT of 2D images: simcrop weights import mae-imagenet takes it"
        )
    if weight.ndim != 5 or shape[1] != 1 or shape[2] < shape[4]:
        raise SimcropError(
            "weights-mismatch",
            f"{path}: patch_embed.proj.weight is {shape}, expected (d, 1, 16, 16, 8), right, front, up, or (d, 2048)",
        )
    return rearrange(weight, "d 1 x y z -> d (x y z)"), (shape[2], shape[3], shape[4])


def places_of(
    theirs: Mapping[str, Tensor], patch: Triple, width: int, path: Path, notes: list[str]
) -> Places:
    """Token and codes as they are found; a code of the token's own is added to it, which is what the network does."""
    cls = theirs["cls_token"].flatten().float() if "cls_token" in theirs else None
    if cls is None:
        notes.append("it has no class token")
    if "pos_embed" not in theirs:
        if patch != PATCH:
            raise SimcropError(
                "weights-mismatch",
                f"{path} has no pos_embed, and patches of {patch}, so its grid is not known",
            )
        notes.append("it has no pos_embed, so their two-axis code of 14 x 14 x 14 patches is computed")
        return Places(cls, sincos_hw(PATCHES, width), "sincos_hw", grid_of(PATCHES, patch))
    shape = tuple(theirs["pos_embed"].shape)
    if len(shape) < 2 or shape[-1] != width:
        raise SimcropError("weights-mismatch", f"{path}: pos_embed is {shape}, expected (1, 1 + n, {width})")
    codes = theirs["pos_embed"].reshape(-1, width)
    grid, code, first = known_code(codes, cls is not None, path)
    if first and cls is not None and codes[0].any():
        notes.append("its class token has a position of its own, which is added to it")
        cls = cls + codes[0].float()
    if code == "learned":
        what = "neither their two-axis code nor ours" if codes[first:].any() else "all zero"
        notes.append(f"its positions are {what}, and kept as they are (vision.pos_embed = learned)")
    return Places(cls, codes[first:], code, grid_of(grid, patch))


def known_code(codes: Tensor, has_cls: bool, path: Path) -> tuple[Triple, Code, int]:
    """The grid, which of our codes these are within their precision, and how many go before the patches'."""
    close = 1e-6 + (torch.finfo(codes.dtype).eps if codes.dtype != torch.float32 else 0.0)
    for first in (1, 0) if has_cls else (0,):
        count, width = len(codes) - first, codes.shape[1]
        cubic = [shape for shape in boxes(count) if len(set(shape)) == 1]
        for shape in cubic + [shape for shape in boxes(count) if shape not in cubic]:
            for name, code in CODES.items():
                if torch.allclose(codes[first:].float(), code(shape, width), rtol=0, atol=close):
                    return shape, name, first
        if cubic:
            return cubic[0], "learned", first
    raise SimcropError(
        "weights-mismatch",
        f"{path}: {len(codes)} positions are no cubic grid, as their code makes, and none of the codes known here",
    )


def boxes(count: int) -> list[Triple]:
    """All grids of so many patches."""
    sides = [side for side in range(1, count + 1) if count % side == 0]
    return [(x, y, count // (x * y)) for x in sides for y in sides if count // x % y == 0]


def grid_of(shape: Triple, patch: Triple) -> PatchGrid:
    x, y, z = (n * p for n, p in zip(shape, patch, strict=True))
    return PatchGrid((x, y, z), patch)


def heads_of(width: int, path: Path) -> int:
    if width % HEAD or not width:
        raise SimcropError(
            "weights-mismatch",
            f"{path}: {width} features are no multiple of {HEAD}, so how many heads it has is not known",
        )
    return width // HEAD


def settings_of(theirs: Mapping[str, Tensor], depth: int, heads: int, places: Places) -> VisionSettings:
    """The encoder by its shapes."""
    width = heads * HEAD
    return VisionSettings(
        depth=depth,
        dim=width,
        heads=heads,
        mlp_ratio=max(1, theirs["blocks.0.mlp.fc1.bias"].numel()) / width,
        cls_token=places.cls is not None,
        pos_embed=places.code,
    )


def ours_of(name: str, code: Code) -> str:
    """Our name of a tensor of theirs; codes that are computed are in no file of ours."""
    if name.startswith("patch_embed."):
        return name.replace(".proj", "")
    if name == "pos_embed":
        return "position" if code == "learned" else f"vision.pos_embed = {code}"
    return name if name == "cls_token" else f"transformer.{name}"

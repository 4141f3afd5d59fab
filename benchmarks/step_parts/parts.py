"""Each saving alone: patch embedding, attention memory, sentences, MLM head, update.

Axes: n all patches, t word piece, d features. Every pair computes the same numbers.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from simcrop import losses
from simcrop.engine.optim import build_optimizer
from simcrop.nn.masking import random_mask
from simcrop.nn.transformer import Attention
from step_parts.clock import Call
from step_parts.naive import ConvPatchEmbed, ExplicitAttention, loop_optimizer
from step_parts.sample import Setup

Pair = dict[str, Call]  # "naive" and "ours"


def pairs(setup: Setup, precision: str) -> dict[str, Pair]:
    """Every part that is measured in seconds, forward and backward."""
    device = setup.cached.volume.device

    def cast(call: Callable[[], Tensor | None]) -> Call:
        def run() -> None:
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                loss = call()
            if loss is not None:
                loss.backward()

        return run

    out: dict[str, Pair] = {}
    for name, pair in {
        "patch_embedding": patch_embedding(setup),
        "sentences": sentences(setup),
        "mlm_head": mlm_head(setup),
    }.items():
        out[name] = {way: cast(call) for way, call in pair.items()}
    out["adamw"] = adamw(setup)
    return out


def patch_embedding(setup: Setup) -> dict[str, Callable[[], Tensor]]:
    """Keep, then one Linear; against a Conv3d over all patches, then keep."""
    grid, linear, volume = setup.objective.grid, setup.objective.vision.patch_embed, setup.cached.volume
    conv = ConvPatchEmbed(linear, grid.patch)
    ratio, device = setup.recipe.mim.mask_ratio, volume.device
    mask = random_mask(
        torch.rand(1, grid.count, generator=torch.Generator().manual_seed(2)).to(device), ratio
    )
    return {
        "naive": lambda: mask.take_visible(conv(volume)).float().square().mean(),
        "ours": lambda: linear(mask.take_visible(grid.split(volume))).float().square().mean(),
    }


def sentences(setup: Setup) -> dict[str, Callable[[], None]]:
    """Features read from the cache of a frozen encoder; against the encoder on padded tokens, in every step."""
    objective, cached, padded = setup.objective, setup.cached.sentences, setup.padded.sentences

    def encode() -> None:
        if padded.tokens is not None:
            objective.text.bert(padded.tokens.ids, padded.tokens.mask)

    def look_up() -> None:
        if cached.features is not None:
            cached.features[cached.sentence_id]

    return {"naive": encode, "ours": look_up}


def mlm_head(setup: Setup) -> dict[str, Callable[[], Tensor]]:
    """Predict the masked words only; against every position of the report."""
    report, objective = setup.cached.report, setup.objective
    decoded = torch.randn(*report.ids.shape, setup.recipe.report_decoder.dim, device=report.ids.device)
    decoded.requires_grad_()
    draw = torch.rand(report.ids.shape, generator=torch.Generator().manual_seed(3)).to(report.ids.device)
    masked = (draw < setup.recipe.mlm.ratio) & (report.word >= 0)
    target = report.ids.masked_fill(~masked, -100).flatten()
    return {
        "naive": lambda: cross_entropy(objective.mlm_head(decoded.flatten(0, 1)).float(), target),
        "ours": lambda: losses.masked_word_loss(objective.mlm_head(decoded[masked]), report.ids[masked]),
    }


def adamw(setup: Setup) -> Pair:
    """All parameters in one kernel; against one after the other. The gradients are zeros: timing only."""
    for parameter in setup.objective.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)
    fused = build_optimizer(setup.objective, setup.recipe.optim)
    loop = loop_optimizer(setup.objective, setup.recipe.optim)
    return {"naive": loop.step, "ours": fused.step}


def attention_memory(setup: Setup, precision: str) -> dict[str, float]:
    """Bytes that one attention layer of the vision decoder keeps for the backward pass, all patches at once."""
    vision_decoder = setup.recipe.vision_decoder
    device = setup.cached.volume.device
    attention = Attention(vision_decoder.dim, vision_decoder.heads).to(device)
    tokens = torch.randn(
        1, setup.objective.grid.count + 1, vision_decoder.dim, device=device, requires_grad=True
    )
    ours, naive = (
        saved_bytes(module, tokens, precision) for module in (attention, ExplicitAttention(attention))
    )
    return {
        "naive_mib": round(naive / 2**20, 2),
        "ours_mib": round(ours / 2**20, 2),
        "ratio": round(naive / ours, 2),
    }


def saved_bytes(module: torch.nn.Module, x: Tensor, precision: str) -> int:
    """Sizes of the storages kept for the backward pass, each counted once, parameters left out."""
    kept: dict[int, tuple[int, Tensor]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with (
        torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16"),
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
    ):
        out = module(x)
    weights = {p.untyped_storage().data_ptr() for p in module.parameters()}
    del out
    return sum(size for at, (size, _) in kept.items() if at not in weights)

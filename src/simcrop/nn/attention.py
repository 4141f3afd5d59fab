"""Softmax attention, by whatever is fastest for it: torch's fused kernel, or plain products.

Axes: b batch, h head, n query, m key, d features of a head.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from simcrop.device import numbers_at_hand, processor_multiplies_bf16

FEW = 1 << 20  # weights of a head, above which the fused kernel wins by leaving them unwritten


def attend(
    q: Float[Tensor, "b h n d"],
    k: Float[Tensor, "b h m d"],
    v: Float[Tensor, "b h m d"],
    mask: Bool[Tensor, "b 1 1 m"] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "b h n d"]:
    """Each query's mean of the values, weighted by softmax(q k / sqrt(d)). `mask`: which keys are real."""
    if dropout or not few_in_bf16(q, k):
        return scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(-1) @ v


def few_in_bf16(q: Tensor, k: Tensor) -> bool:
    """On a processor the fused kernel's way back in bf16 leaves its instructions for bf16 unused: up to five times the
    time of the products alone, 1.3 times with 1,024 tokens, and less where writing down so many weights costs more. A
    compiled step keeps the kernel: asking the processor would break its graph.
    """
    if torch.compiler.is_compiling():
        return False
    learned = torch.is_grad_enabled() and q.requires_grad and q.dtype == torch.bfloat16
    few = q.shape[-2] * k.shape[-2] <= FEW
    return learned and few and numbers_at_hand(q) and processor_multiplies_bf16()

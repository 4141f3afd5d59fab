"""The pre-norm transformer block that every vision part is made of.

Axes: b batch, n token, h head, d features. Parameter names follow the common ViT checkpoints (`attn.qkv`, `mlp.fc1`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu
from torch.utils.checkpoint import checkpoint

from simcrop.errors import SimcropError
from simcrop.nn.attention import attend

NORM_EPS = 1e-6  # what is added to a variance, as ViTs do


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        q, k, v = rearrange(self.qkv(x), "b n (three h d) -> three b h n d", three=3, h=self.heads)
        return self.proj(rearrange(attend(q, k, v), "b h n d -> b n (h d)"))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        return self.fc2(gelu(self.fc1(x)))


class Block(nn.Module):
    """Attention, then MLP, each on normalised input and added to the stream.

    With `skip_attention` only the MLP, so that tokens do not see each other.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: float = 4.0, norm_eps: float = NORM_EPS) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=norm_eps)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=norm_eps)
        self.mlp = Mlp(width, int(width * mlp_ratio))

    def forward(self, x: Float[Tensor, "b n d"], skip_attention: bool = False) -> Float[Tensor, "b n d"]:
        if not skip_attention:
            x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


@dataclass(frozen=True)
class Depths:
    """`last`: after the final norm; `taps`: after the blocks that were asked for, before any further norm."""

    last: Float[Tensor, "b n d"]
    taps: tuple[Float[Tensor, "b n d"], ...]


class Transformer(nn.Module):
    """A stack of blocks and a final norm. With `recompute` activations are computed again in the backward pass;
    `replay` computes the same in training by other means.
    """

    def __init__(
        self, width: int, depth: int, heads: int, mlp_ratio: float = 4.0, norm_eps: float = NORM_EPS
    ) -> None:
        super().__init__()
        self.recompute = False
        self.replay: Callable[[Tensor, bool], Tensor] | None = None
        self.blocks = nn.ModuleList(Block(width, heads, mlp_ratio, norm_eps) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=norm_eps)
        self.apply(init_linear)

    def forward(self, x: Float[Tensor, "b n d"], skip_attention: bool = False) -> Float[Tensor, "b n d"]:
        return self.depths(x, skip_attention).last

    def depths(
        self, x: Float[Tensor, "b n d"], skip_attention: bool = False, taps: Sequence[int] = ()
    ) -> Depths:
        """The stream at the end, and after each block that `taps` names, counted from 1."""
        if self.replay is not None and self.training and not taps:
            return Depths(self.replay(x, skip_attention), ())
        return self.through(x, skip_attention, taps)

    def through(self, x: Float[Tensor, "b n d"], skip_attention: bool, taps: Sequence[int] = ()) -> Depths:
        """The same, block by block."""
        if wrong := [tap for tap in taps if not 1 <= tap <= len(self.blocks)]:
            raise SimcropError("bad-setting", f"there are layers 1 to {len(self.blocks)}, not {wrong[0]}")
        streams: dict[int, Tensor] = {}
        for number, block in enumerate(self.blocks, 1):
            if self.recompute and self.training:
                x = checkpoint(block, x, skip_attention, use_reentrant=False)  # type: ignore[assignment]
            else:
                x = block(x, skip_attention)
            if number in taps:
                streams[number] = x
        return Depths(self.norm(x), tuple(streams[tap] for tap in taps))


def init_linear(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases, as MAE and its 3D descendants start."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def identity_linear(wide_in: int, wide_out: int) -> nn.Linear:
    """A linear layer that starts as the identity: on the shared features where the widths differ."""
    layer = nn.Linear(wide_in, wide_out)
    nn.init.eye_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def check_heads(name: str, dim: int, heads: int) -> None:
    """Attention splits the features evenly among its heads."""
    if dim % heads:
        raise SimcropError("bad-setting", f"{name}.dim = {dim} cannot be split among {name}.heads = {heads}")

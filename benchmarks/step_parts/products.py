"""The machine's limit for a step: every matrix product of it, alone, at the same shapes, layouts and type.

Axes of a product: g equal products at once, (i k) times (k j). FLOPs count a multiplication and an addition each.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from step_parts.clock import Clock

FORWARD, BACKWARD = "_scaled_dot_product", "_backward"


@dataclass(frozen=True)
class Product:
    """`a_turned`, `b_turned`: the factor lies in memory as its transpose."""

    g: int
    i: int
    k: int
    j: int
    dtype: torch.dtype
    a_turned: bool = False
    b_turned: bool = False

    @property
    def flops(self) -> int:
        return 2 * self.g * self.i * self.k * self.j

    def ready(self, device: torch.device) -> Callable[[], object]:
        """The product, with its factors and its place made beforehand."""
        a = factor(self.g, self.i, self.k, self.a_turned, self.dtype, device)
        b = factor(self.g, self.k, self.j, self.b_turned, self.dtype, device)
        out = torch.empty(self.g, self.i, self.j, dtype=self.dtype, device=device)
        if self.g == 1:
            return lambda: torch.mm(a[0], b[0], out=out[0])
        return lambda: torch.bmm(a, b, out=out)


def factor(g: int, rows: int, columns: int, turned: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    if turned:
        return torch.randn(g, columns, rows, device=device).to(dtype).transpose(1, 2)
    return torch.randn(g, rows, columns, device=device).to(dtype)


class Products(TorchDispatchMode):
    """Counts the matrix products of whatever runs under it, those inside fused attention included."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[Product] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        name = func.__name__.split(".")[0]
        if name in {"mm", "bmm"}:
            self.found[product(args[0], args[1])] += 1
        elif name in {"addmm", "baddbmm"}:
            self.found[product(args[1], args[2])] += 1
        elif name.startswith(FORWARD):
            # The backward gets the gradient first, then query, key and value again.
            backward = name.endswith(BACKWARD)
            q, k, v = args[1:4] if backward else args[:3]
            self.found.update(attention_products(q, k, v, backward))
        return func(*args, **(kwargs or {}))


def product(a: Tensor, b: Tensor) -> Product:
    g = a.shape[0] if a.ndim == 3 else 1
    turned = [x.stride(-1) != 1 and x.stride(-2) == 1 for x in (a, b)]
    return Product(g, a.shape[-2], a.shape[-1], b.shape[-1], a.dtype, turned[0], turned[1])


def attention_products(q: Tensor, k: Tensor, v: Tensor, backward: bool) -> list[Product]:
    """Forward: scores and output. Backward: gradients of v, weights, q and k; recomputed scores do not count."""
    g, queries, keys, d, e = q.shape[0] * q.shape[1], q.shape[2], k.shape[2], q.shape[3], v.shape[3]
    if not backward:
        return [
            Product(g, queries, d, keys, q.dtype, b_turned=True),
            Product(g, queries, keys, e, q.dtype),
        ]
    return [
        Product(g, keys, queries, e, q.dtype, a_turned=True),
        Product(g, queries, e, keys, q.dtype, b_turned=True),
        Product(g, queries, keys, d, q.dtype),
        Product(g, keys, queries, d, q.dtype, a_turned=True),
    ]


def products_of(step: Callable[[], object]) -> Counter[Product]:
    """Of one step, forward and backward."""
    with Products() as seen:
        step()
    return seen.found


def limit_seconds(found: Counter[Product], clock: Clock, repeats: int = 3) -> float:
    """How long the products alone take, each as fast as this process does it now (the median of a few)."""
    total = 0.0
    for one, count in found.items():
        call = one.ready(clock.device)
        call()
        times = max(1, int(2e8 // one.flops))
        total += count * median(clock.seconds(call, times) for _ in range(repeats))
    return total

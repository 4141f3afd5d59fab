"""Attention by products and by torch's fused kernel: the same values and gradients, each where it is meant to be.

Axes: b batch, h head, n query, m key, d features of a head.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from simcrop.nn import attention
from simcrop.nn.attention import attend

B, H, N, M, D = 2, 3, 11, 7, 16


def drawn(n: int, m: int, dtype: torch.dtype, seed: int = 0) -> list[Tensor]:
    """Queries, keys and values that are learned."""
    chance = torch.Generator().manual_seed(seed)
    shapes = ((B, H, n, D), (B, H, m, D), (B, H, m, D))
    return [torch.randn(shape, generator=chance).to(dtype).requires_grad_() for shape in shapes]


def obvious(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Query by query, in the precision of its inputs."""
    rows = []
    for b in range(B):
        real = list(range(k.shape[2])) if mask is None else mask[b, 0, 0].nonzero().flatten().tolist()
        for h in range(H):
            for n in range(q.shape[2]):
                scores = torch.stack([q[b, h, n] @ k[b, h, m] for m in real]) / q.shape[-1] ** 0.5
                rows.append((scores.softmax(0)[:, None] * v[b, h, real]).sum(0))
    return torch.stack(rows).view(B, H, q.shape[2], v.shape[-1])


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes that went to torch's kernel, on a processor that multiplies bf16."""
    went: list[tuple[int, ...]] = []
    kernel: Callable[..., Tensor] = attention.scaled_dot_product_attention

    def seen(q: Tensor, *rest: Tensor, **options: object) -> Tensor:
        went.append(tuple(q.shape))
        return kernel(q, *rest, **options)

    monkeypatch.setattr(attention, "scaled_dot_product_attention", seen)
    monkeypatch.setattr(attention, "processor_multiplies_bf16", lambda: True)
    return went


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("n", "m"), [(N, N), (N, M), (1, M)])
def test_products_give_the_values_and_gradients_of_the_obvious_version(
    fused: list[tuple[int, ...]], n: int, m: int, masked: bool
) -> None:
    mask = torch.rand(B, 1, 1, m, generator=torch.Generator().manual_seed(3)) < 0.6 if masked else None
    if mask is not None:
        mask[..., 0] = True
    grad = torch.randn(B, H, n, D, generator=torch.Generator().manual_seed(4))
    ours = drawn(n, m, torch.bfloat16)
    found = attend(*ours, mask)
    assert not fused
    assert found.dtype == torch.bfloat16
    found.backward(grad.bfloat16())
    exact = [part.detach().double().requires_grad_() for part in ours]
    expected = obvious(*exact, mask)
    expected.backward(grad.bfloat16().double())
    assert (found.double() - expected).norm() < 0.01 * expected.norm()
    for part, true in zip(ours, exact, strict=True):
        assert part.grad is not None
        assert true.grad is not None
        assert (part.grad.double() - true.grad).norm() < 0.02 * true.grad.norm()


def test_the_fused_kernel_serves_all_else(
    fused: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not learned, fp32, many keys, dropout, shapes without numbers, and processors without bf16."""
    half, whole = drawn(N, M, torch.bfloat16), drawn(N, M, torch.float32)
    attend(*half)
    assert not fused
    with torch.no_grad():
        attend(*half)
    attend(*(part.detach() for part in half))
    attend(*whole)
    attend(*half, dropout=0.5)
    with FakeTensorMode() as mode:
        attend(*(mode.from_tensor(part) for part in half))
    assert len(fused) == 5
    monkeypatch.setattr(attention, "FEW", N * M - 1)
    attend(*half)
    assert len(fused) == 6
    monkeypatch.setattr(attention, "FEW", N * M)
    attend(*half)
    assert len(fused) == 6
    monkeypatch.setattr(attention, "processor_multiplies_bf16", lambda: False)
    attend(*half)
    assert len(fused) == 7

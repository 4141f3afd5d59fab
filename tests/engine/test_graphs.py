"""A replayed stack gives the values and the gradients of the stack itself. Runs where there is a card.

Axes: b batch, n token, d features.
"""

import pytest
import torch
from torch import Tensor

from simcrop.engine.graphs import MOST, Graphs
from simcrop.nn.transformer import Transformer
from simcrop.tasks.training.job import replayed

pytestmark = pytest.mark.cuda
Found = tuple[Tensor, Tensor, list[Tensor | None]]


@pytest.fixture
def stack() -> Transformer:
    torch.manual_seed(0)
    return Transformer(width=48, depth=2, heads=4).cuda()


@pytest.fixture
def graphs(stack: Transformer) -> Graphs:
    return replayed(stack)


def tokens(n: int = 12, b: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(b, n, 48, generator=generator).cuda().requires_grad_()


def once(call, stack: Transformer, x: Tensor, skip: bool = False, half: bool = False) -> Found:
    """What comes out, and the gradients of what went in and of all parameters."""
    parameters = list(stack.parameters())
    with torch.autocast("cuda", torch.bfloat16, enabled=half):
        y = call(x, skip)
        loss = (y.float() ** 3).mean()
    dx, *gradients = torch.autograd.grad(loss, [x, *parameters], allow_unused=True)
    return y.detach(), dx, gradients


def assert_same(there: Found, here: Found, half: bool = False) -> None:
    tolerance = 2e-2 if half else 1e-5
    flat = [[y, dx, *gradients] for y, dx, gradients in (there, here)]
    for one, other in zip(*flat, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert float((one - other).norm()) <= tolerance * float(other.norm()) + 1e-9


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("skip", [False, True])
def test_values_and_gradients_are_those_of_the_stack(stack, graphs: Graphs, skip: bool, half: bool) -> None:
    for step in range(3):
        x = tokens(seed=step)
        assert_same(once(graphs, stack, x, skip, half), once(stack, stack, x, skip, half), half)
        with torch.no_grad():  # as an optimiser does, where they lie
            for parameter in stack.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    assert len(graphs.kept) == 1


def test_there_is_a_graph_for_each_shape_and_not_for_ever_new_ones(stack, graphs: Graphs) -> None:
    for n in [*range(4, 4 + MOST + 3), 4]:
        x = tokens(n)
        assert_same(once(graphs, stack, x), once(stack, stack, x))
    assert len(graphs.kept) == MOST


def test_a_second_call_before_the_gradient_does_not_disturb_the_first(stack, graphs: Graphs) -> None:
    """As where a step looks twice at its samples."""
    pairs = []
    for call in (graphs, stack):
        first, second = tokens(seed=1), tokens(seed=2)
        loss = (call(first, False) ** 3).mean() + 2 * (call(second, False) ** 3).mean()
        pairs.append(torch.autograd.grad(loss, [first, second, *stack.parameters()]))
    for one, other in zip(*pairs, strict=True):
        assert float((one - other).norm()) <= 1e-5 * float(other.norm())


def test_what_was_given_out_stays_and_gradients_add_up(stack, graphs: Graphs) -> None:
    """As over the micro-batches of a step."""
    kept, sums = [], []
    for call in (graphs, stack):
        stack.zero_grad(set_to_none=True)
        outs = []
        for seed in (1, 2):
            y = call(tokens(seed=seed), False)
            (y**3).mean().backward()
            outs.append(y.detach())
        kept.append(torch.stack(outs))
        sums.append(torch.cat([p.grad.flatten() for p in stack.parameters() if p.grad is not None]))
    torch.testing.assert_close(kept[0], kept[1])
    assert float((sums[0] - sums[1]).norm()) <= 1e-5 * float(sums[1].norm())


def test_a_pass_without_a_gradient_makes_no_graph(stack, graphs: Graphs) -> None:
    with torch.no_grad():
        torch.testing.assert_close(graphs(tokens(), False), stack(tokens(), False))
    graphs(tokens().detach(), False)
    assert not graphs.kept


def test_a_call_whose_gradient_never_comes_is_forgotten(stack, graphs: Graphs) -> None:
    graphs(tokens(seed=1), False)
    [graph] = graphs.kept.values()
    assert graph.call() is None
    x = tokens(seed=2)
    assert_same(once(graphs, stack, x), once(stack, stack, x))


def test_a_gradient_is_given_once(graphs: Graphs) -> None:
    y = graphs(tokens(), False).sum()
    y.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="asked for twice"):
        y.backward()

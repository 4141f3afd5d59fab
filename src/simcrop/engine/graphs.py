"""A stack of layers as CUDA graphs: its launches are recorded once and from then on sent to the card as one.

Where each card has few samples, a step is as long as the processor needs to launch it; a graph takes that away. Shapes
must not vary, so there is one graph for each shape, and what comes in ever new shapes is computed as always.

Axes: b batch, n token, d features. After `torch.cuda.make_graphed_callables`, which knows one shape and no second call
before the gradient of the first.
"""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

MOST = 4  # shapes of one stack; each graph holds its own activations
WARM_UP = 3  # passes in which libraries set themselves up and choose


class Graphs:
    """`stack(x, skip_attention)` with the same values and gradients, replayed where they are to be trained. A second
    call before the gradient of the first goes the usual way, since a graph has room for one.
    """

    def __init__(self, stack: Callable[[Tensor, bool], Tensor], parameters: Iterable[nn.Parameter]) -> None:
        self.stack, self.parameters = stack, tuple(parameters)
        self.kept: dict[tuple[Any, ...], Graph] = {}

    def __call__(self, x: Float[Tensor, "b n d"], skip_attention: bool) -> Float[Tensor, "b n d"]:
        if not (torch.is_grad_enabled() and x.requires_grad):
            return self.stack(x, skip_attention)
        key = (x.shape, x.dtype, skip_attention, torch.is_autocast_enabled("cuda"))
        if key not in self.kept and len(self.kept) < MOST:
            self.kept[key] = Graph(lambda x: self.stack(x, skip_attention), self.parameters, x)
        graph = self.kept.get(key)
        if graph is None or graph.call() is not None:
            return self.stack(x, skip_attention)
        return Replayed.apply(graph, x, *graph.parameters)  # type: ignore[no-any-return]


class Graph:
    """One shape, recorded: forward into `y`, backward from `of_y` into `gradients`, which lie where they lay."""

    def __init__(
        self, function: Callable[[Tensor], Tensor], parameters: tuple[nn.Parameter, ...], x: Tensor
    ) -> None:
        self.call: Callable[[], object | None] = lambda: None  # whose gradient is still to come
        self.x = x.detach().clone().requires_grad_()
        # What autocast keeps of one pass would lie in the memory of a graph.
        with torch.autocast("cuda", torch.bfloat16, torch.is_autocast_enabled("cuda"), cache_enabled=False):
            self.parameters = warmed_up(function, parameters, self.x)
            self.forward, self.backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
            # Other threads, those that pin batches or watch the company, go on with what they do meanwhile.
            with torch.cuda.graph(self.forward, capture_error_mode="thread_local"):
                y = function(self.x)
            self.of_y = torch.empty_like(y)
            with torch.cuda.graph(self.backward, self.forward.pool(), capture_error_mode="thread_local"):
                self.gradients = torch.autograd.grad(y, (self.x, *self.parameters), self.of_y)
        self.y = y.detach()


def warmed_up(
    function: Callable[[Tensor], Tensor], parameters: tuple[nn.Parameter, ...], x: Tensor
) -> tuple[nn.Parameter, ...]:
    """Those of the parameters that take part, after some passes beside the main stream, where no graph may be made."""
    side, main = torch.cuda.Stream(), torch.cuda.current_stream()
    side.wait_stream(main)
    found: tuple[Tensor | None, ...] = ()
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            y = function(x)
            found = torch.autograd.grad(y, parameters, torch.zeros_like(y), allow_unused=True)
    main.wait_stream(side)
    return tuple(p for p, gradient in zip(parameters, found, strict=True) if gradient is not None)


class Replayed(torch.autograd.Function):
    """What goes out is copied: the graph's own memory is written again in the next step."""

    @staticmethod
    def forward(ctx: Any, graph: Graph, x: Tensor, *parameters: Tensor) -> Tensor:  # type: ignore[override]
        del parameters  # are read where they lie
        ctx.graph, graph.call = graph, weakref.ref(ctx)
        graph.x.data.copy_(x)
        graph.forward.replay()
        return graph.y.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        graph: Graph = ctx.graph
        if graph.call() is not ctx:
            raise RuntimeError("the gradient of a replayed stack was asked for twice")
        graph.call = lambda: None
        graph.of_y.copy_(gradient)
        graph.backward.replay()
        return (None, *(one.clone() for one in graph.gradients))

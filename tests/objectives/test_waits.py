"""A step asks a card for nothing: no value is read, no size depends on one, between the draws and the gradient's norm.

What a card would be waited for is told by the operations that a processor is given, and on a card by torch itself.
"""

import warnings
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from simcrop.objectives.method import Objective

WAITS = (
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "bincount",
    "unique",
    "equal.default",
    "is_nonzero",
)
CROSS = {"enabled": True, "visible": 0.5, "skip_attention": 0.5, "stated_size": True}
LABELS = ["nodule", "effusion", "lung"]
OPTIONS = {"opposite": True, "level": True, "prompts": {"enabled": True, "labels": LABELS}}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "paper": ("simcrop", {}),
    "plus": ("simcrop", {"align": {"cross_image": CROSS}, "mlm": {"share": 0.5}, "mim": {"visible": "body"}}),
    "options": ("simcrop", {"align": {"cross_image": CROSS, **OPTIONS}}),
    "trained text": ("simcrop", {"text": {"freeze": False}}),
    "ct-clip": ("ct-clip", {"contrast": {"dim": 17}}),
    "m3d": ("m3d", {"contrast": {"dim": 17}, "text": {"freeze": False}}),
    "mae": ("mae", {}),
    "dino": ("dino", {"head": {"hidden": 19, "bottleneck": 7, "outputs": 11}}),
    "m3ae": ("m3ae", {}),
    "mrm": ("mrm", {"mlm": {"share": 0.5}, "mrm": {"sr_scale": 2}}),
    "supervised": ("supervised", {"head": {"labels": LABELS}}),
}


class Watch(TorchDispatchMode):
    """Names of operations whose result a processor needs before it can go on."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        indices = args[1] if name.startswith(("aten.index.", "aten.index_put")) else ()
        counted = any(index is not None and index.dtype is torch.bool for index in indices)
        if counted or any(word in name for word in WAITS):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


def step(objective: Objective, batch: Any) -> None:
    """Forward, backward, norm, clipping, as the engine does them."""
    sum(objective.settled(objective(batch)).values()).backward()  # type: ignore[union-attr]
    parameters = [p for p in objective.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])  # type: ignore[misc]
    torch.nn.utils.clip_grads_with_norm_(parameters, 1.0, norm)


@pytest.mark.parametrize("name", METHODS)
def test_nothing_is_waited_for_between_draws_and_norm(build: Callable, name: str) -> None:
    method, groups = METHODS[name]
    objective, batch = build(method, **groups)
    batch = objective.draw(batch, 3)
    with Watch() as watch:
        step(objective, batch)
    assert watch.seen == []


def test_the_watch_sees_what_is_waited_for() -> None:
    x = torch.rand(5)
    for wait in (
        lambda: x.sum().item(),
        lambda: x[x > 0.5],
        lambda: x.nonzero(),
        lambda: bool((x > 2).any()),
    ):
        with Watch() as watch:
            wait()
        assert watch.seen


@contextmanager
def errors_on_waiting() -> Any:
    with warnings.catch_warnings():  # once in a process torch says that it does not see every wait
        warnings.simplefilter("ignore")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.cuda
@pytest.mark.parametrize("name", METHODS)
def test_a_card_is_not_waited_for(build: Callable, name: str) -> None:
    method, groups = METHODS[name]
    objective, batch = build(method, **groups)
    objective.cuda()
    drawn = objective.draw(batch, 3)
    step(objective, drawn.to(torch.device("cuda")))  # libraries set themselves up
    with errors_on_waiting():
        step(objective, drawn.to(torch.device("cuda")))

"""One step of the engine: by hand with a plain optimiser, and with nothing that a device would be waited for."""

from collections.abc import Callable
from math import isfinite
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from simcrop.engine.distributed import DistributedContext
from simcrop.engine.incidents import Incidents
from simcrop.engine.job import Job
from simcrop.engine.optim import build_optimizer
from simcrop.engine.stepper import Stepper, on_its_way

Build = Callable[..., Job]
Toy = Callable[..., nn.Module]
ALONE = DistributedContext(0, 1, torch.device("cpu"))


def allowing(run: Job, skips: int) -> Job:
    engine = run.engine.model_copy(update={"skip_non_finite": skips})
    return Job(**{**vars(run), "engine": engine})


def stepper_of(objective: nn.Module, run: Job) -> Stepper:
    optimizer = build_optimizer(objective, run.optim)
    return Stepper(objective, objective, optimizer, run, ALONE, Incidents())


def batch(run: Job, step: int) -> Any:
    return run.collate([run.dataset[draw] for draw in run.order.draws(step)])


def test_steps_that_are_not_finite_are_left_out_as_by_hand(toy: Toy, job: Build) -> None:
    first = job("a").order.draws(0)[0].index  # the first step of all is one of them
    run = allowing(job("a", broken=(first,), batch=3, clip_grad=0.5), 99)
    ours, plain = toy(), toy()
    stepper, optimizer = stepper_of(ours, run), build_optimizer(plain, run.optim)
    trained = [p for name, p in plain.named_parameters() if not name.startswith("spare")]
    skipped = 0
    for step in range(12):
        row = stepper.step(step, [batch(run, step)])
        optimizer.zero_grad()
        terms = plain(batch(run, step))
        loss = sum(term * plain.terms[name].weight for name, term in terms.items())
        loss.backward()  # type: ignore[union-attr]
        norm = torch.nn.utils.get_total_norm([p.grad for p in trained])  # type: ignore[misc]
        assert ("skipped" in row) == (not isfinite(float(norm)))
        if "skipped" in row:
            skipped += 1
            continue
        assert row["grad_norm"] == float(norm)
        for group in optimizer.param_groups:
            group["lr"] = row["lr"] * group["scale"]
        torch.nn.utils.clip_grads_with_norm_(trained, 0.5, norm)
        optimizer.step()
    assert 0 < skipped < 12
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), plain.parameters(), strict=True))
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        known, found = optimizer.state[b], stepper.optimizer.state[a]
        assert known.keys() == found.keys()
        assert all(torch.equal(known[kind], found[kind]) for kind in known)


class Order(TorchDispatchMode):
    """Names of operations, as they are given to the device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


def test_the_device_has_the_whole_step_before_the_engine_waits_for_it_once(
    toy: Toy, job: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = job("a", clip_grad=0.5)
    stepper = stepper_of(toy(), run)
    stepper.step(0, [batch(run, 0)])
    micro, order = [batch(run, 1)], Order()
    tolist = Tensor.tolist

    def waits(tensor: Tensor) -> Any:
        order.seen.append("waits")
        return tolist(tensor)

    monkeypatch.setattr(Tensor, "tolist", waits)
    with order:
        stepper.step(1, micro)
    assert [name for name in order.seen if "lift_fresh" in name] == [], "a tensor made of Python's numbers"
    assert order.seen.count("waits") == 1
    after = order.seen[order.seen.index("waits") :]
    assert after == ["waits"], "what a device is given after it was waited for, it has stood still for"
    assert "aten._fused_adamw_.default" in order.seen


@pytest.mark.cuda
def test_figures_arrive_from_a_card() -> None:
    figures = torch.arange(5.0, device="cuda") / 7
    read = on_its_way(figures.clone())
    assert read() == figures.tolist()

"""Metrics of a model in training: taken when, and without a trace."""

import pytest
import torch
from torch import nn

from simcrop.engine.monitor import monitored, monitored_steps

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("steps", "times", "expected"),
    [(21, 5, {4, 8, 13, 17, 21}), (3, 5, {1, 2, 3}), (10, 1, {10}), (10, 0, set())],
)
def test_steps_are_spread_evenly_and_the_last_is_at_the_end(
    steps: int, times: int, expected: set[int]
) -> None:
    assert monitored_steps(steps, times) == expected


def test_monitor_runs_in_eval_mode_and_leaves_mode_gradients_and_randomness_as_they_were() -> None:
    net = nn.Sequential(nn.Linear(3, 5), nn.Dropout(0.5)).train()
    torch.manual_seed(4)
    expected = torch.rand(7)
    torch.manual_seed(4)
    seen = []

    def measure() -> dict[str, float]:
        seen.append((net.training, net[1].training, torch.is_grad_enabled()))
        torch.manual_seed(99)
        return {"drawn": float(torch.rand(()))}

    first = monitored(net, measure, CPU)
    assert torch.equal(torch.rand(7), expected)
    assert monitored(net, measure, CPU) == first
    assert seen == [(False, False, False)] * 2
    assert net.training
    assert net[1].training
    assert torch.is_grad_enabled()

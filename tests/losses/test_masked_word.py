"""Saying hidden words (Eq. 6): by hand. m masked word piece, w word of the vocabulary."""

from math import exp, log

import pytest
import torch
from draws import drawn

from simcrop import losses


def test_masked_word_loss_is_the_mean_negative_log_probability() -> None:
    logits, target = drawn(3, 5), torch.tensor([4, 0, 2])
    costs = [
        -float(logits[m, target[m]]) + log(sum(exp(float(v)) for v in logits[m]))
        for m in range(3)
    ]  # fmt: skip
    assert float(losses.masked_word_loss(logits, target)) == pytest.approx(sum(costs) / 3, rel=1e-6)


def test_no_hidden_word_costs_a_zero_that_backpropagates() -> None:
    logits = torch.zeros(0, 5, requires_grad=True)
    loss = losses.masked_word_loss(logits, torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0

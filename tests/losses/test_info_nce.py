"""Eq. 4 against the loop that the paper prints. s sentence, d features."""

from math import exp, log

import pytest
import torch
from draws import drawn
from torch import Tensor

from simcrop import losses


def slow_info_nce(regions: Tensor, sentences: Tensor, owner: list[int], temperature: float) -> float:
    """Eq. 4 as printed, report by report, sentence by sentence."""
    costs = []
    for report in sorted(set(owner)):
        mine = [i for i, o in enumerate(owner) if o == report]
        if len(mine) < 2:
            continue
        cost = 0.0
        for i in mine:
            own = exp(float(regions[i] @ sentences[i]) / temperature)
            to_text = sum(exp(float(regions[i] @ sentences[j]) / temperature) for j in mine)
            to_image = sum(exp(float(regions[j] @ sentences[i]) / temperature) for j in mine)
            cost -= log(own / to_text) + log(own / to_image)
        costs.append(cost / len(mine))
    return sum(costs) / len(costs)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_info_nce_is_equation_4(temperature: float) -> None:
    owner = [0, 0, 0, 1, 3, 3]
    regions, sentences = drawn(6, 5) * 0.3, drawn(6, 5, seed=1) * 0.3
    found = losses.info_nce(regions, sentences, torch.tensor(owner), temperature, l2=False)
    assert float(found) == pytest.approx(slow_info_nce(regions, sentences, owner, temperature), rel=1e-5)


def test_info_nce_normalises_both_sides_when_asked() -> None:
    owner = [0, 1, 1, 0, 0]
    regions, sentences = drawn(5, 4) * 9, drawn(5, 4, seed=1) * 0.01
    found = losses.info_nce(regions, sentences, torch.tensor(owner), 0.07, l2=True)
    unit = [x / x.norm(dim=1, keepdim=True) for x in (regions, sentences)]
    assert float(found) == pytest.approx(slow_info_nce(unit[0], unit[1], owner, 0.07), rel=1e-5)


def test_info_nce_does_not_depend_on_the_order_of_the_sentences() -> None:
    owner = torch.tensor([0, 0, 1, 1, 1, 4])
    regions, sentences = drawn(6, 5), drawn(6, 5, seed=1)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    shuffled = losses.info_nce(regions[order], sentences[order], owner[order])
    torch.testing.assert_close(shuffled, losses.info_nce(regions, sentences, owner))


def test_a_report_of_one_sentence_changes_nothing() -> None:
    owner = torch.tensor([0, 0, 0, 1])
    regions, sentences = drawn(4, 5), drawn(4, 5, seed=1)
    alone = losses.info_nce(regions[:3], sentences[:3], owner[:3])
    torch.testing.assert_close(losses.info_nce(regions, sentences, owner), alone)


@pytest.mark.parametrize("owner", [[], [0], [0, 1, 2]])
def test_a_batch_without_two_sentences_in_a_report_gives_a_zero_that_backpropagates(owner: list[int]) -> None:
    regions, sentences = (
        drawn(len(owner), 4).requires_grad_(),
        drawn(len(owner), 4, seed=1).requires_grad_(),
    )
    loss = losses.info_nce(regions, sentences, torch.tensor(owner, dtype=torch.long))
    assert loss.item() == 0
    loss.backward()
    assert regions.grad is not None
    assert not regions.grad.any()


def test_info_nce_has_exact_gradients_on_both_sides() -> None:
    owner = torch.tensor([0, 0, 1, 2, 2])
    regions, sentences = drawn(5, 3).requires_grad_(), drawn(5, 3, seed=1).requires_grad_()

    def loss(a: Tensor, b: Tensor) -> Tensor:
        # A warm temperature: the loss itself counts in single precision.
        return losses.info_nce(a, b, owner, 2.0)

    losses.info_nce(regions, sentences, owner).backward()
    assert regions.grad is not None
    assert sentences.grad is not None
    assert regions.grad[[0, 1, 3, 4]].abs().sum(1).min() > 0
    assert sentences.grad[[0, 1, 3, 4]].abs().sum(1).min() > 0
    assert torch.autograd.gradcheck(loss, (regions, sentences), eps=1e-2, atol=2e-3)

"""Sentences that find their image: against slow loops. s sentence, b image."""

from math import exp, log

import pytest
import torch
from draws import drawn

from simcrop import losses


def test_cross_image_loss_is_the_slow_loop_over_images_that_say_something_else() -> None:
    owner, sentence_id = [0, 0, 1, 2, 3], [7, 8, 7, 9, 4]
    discriminative = [True, True, True, True, False]
    scores = drawn(5, 4)
    costs = []
    for i in range(5):
        says_same = {owner[j] for j in range(5) if sentence_id[j] == sentence_id[i]}
        others = [b for b in range(4) if b not in says_same]
        if discriminative[i] and others:
            logits = {b: float(scores[i, b]) / 0.2 for b in [owner[i], *others]}
            costs.append(-logits[owner[i]] + log(sum(exp(v) for v in logits.values())))
    assert len(costs) == 4
    found = losses.cross_image_nce(
        scores, torch.tensor(owner), torch.tensor(sentence_id), torch.tensor(discriminative), temperature=0.2
    )
    assert float(found) == pytest.approx(sum(costs) / 4, rel=1e-5)


def test_both_directions_are_the_slow_loop_over_sentences_that_the_report_does_not_say() -> None:
    owner, sentence_id = [0, 0, 1, 2, 3], [7, 8, 7, 9, 4]
    discriminative = [True, True, True, True, False]
    scores = drawn(5, 4)
    costs = []
    for i in range(5):
        said = {sentence_id[j] for j in range(5) if owner[j] == owner[i]}
        others = [j for j in range(5) if discriminative[j] and sentence_id[j] not in said]
        if discriminative[i] and others:
            logits = {j: float(scores[j, owner[i]]) / 0.2 for j in [i, *others]}
            costs.append(-logits[i] + log(sum(exp(v) for v in logits.values())))
    assert len(costs) == 4
    given = torch.tensor(owner), torch.tensor(sentence_id), torch.tensor(discriminative), 0.2
    one_way = losses.cross_image_nce(scores, *given)
    found = losses.cross_image_nce(scores, *given, both=True)
    assert float(found) == pytest.approx((float(one_way) + sum(costs) / 4) / 2, rel=1e-5)


def test_sigmoid_asks_each_pair_alone() -> None:
    owner, sentence_id = [0, 0, 1, 2, 3], [7, 8, 7, 9, 4]
    discriminative = [True, True, True, True, False]
    scores, log_scale, bias = drawn(5, 4), torch.tensor(0.7), torch.tensor(-1.5)
    costs = []
    for i in range(5):
        says_same = {owner[j] for j in range(5) if sentence_id[j] == sentence_id[i]}
        total = 0.0
        for b in range(4):
            logit = float(scores[i, b]) * exp(0.7) - 1.5
            if b == owner[i]:
                total += log(1 + exp(-logit))
            elif b not in says_same:
                total += log(1 + exp(logit))
        if discriminative[i]:
            costs.append(total)
    found = losses.cross_image_sigmoid(
        scores,
        torch.tensor(owner),
        torch.tensor(sentence_id),
        torch.tensor(discriminative),
        log_scale,
        bias,
    )
    assert float(found) == pytest.approx(sum(costs) / 4, rel=1e-5)


@pytest.mark.parametrize("way", ["both", "sigmoid"])
def test_a_batch_that_compares_nothing_costs_a_zero_with_a_gradient(way: str) -> None:
    for count, ids in ((2, [5, 5]), (0, [])):
        scores = drawn(count, 2).requires_grad_()
        given = torch.arange(count), torch.tensor(ids, dtype=torch.long), torch.ones(count, dtype=torch.bool)
        if way == "both":
            cost = losses.cross_image_nce(scores, *given, both=True)
        else:
            cost = losses.cross_image_sigmoid(scores, *given, torch.tensor(1.0), torch.tensor(0.0))
        assert cost.item() == 0
        cost.backward()
        assert scores.grad is not None


def test_images_whose_reports_say_the_same_are_not_told_apart() -> None:
    scores = drawn(2, 2).requires_grad_()
    same = losses.cross_image_nce(
        scores, torch.tensor([0, 1]), torch.tensor([5, 5]), torch.tensor([True, True])
    )
    assert same.item() == 0
    same.backward()
    assert scores.grad is not None

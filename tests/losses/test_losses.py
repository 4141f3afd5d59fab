"""Every loss against a slow, obvious loop or an answer on paper. s sentences, b images, n patches, d features."""

from math import exp, log

import pytest
import torch
from torch import Tensor

from simcrop import losses


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


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


def test_painting_error_is_the_mean_over_hidden_patches_only() -> None:
    reconstruction, target = drawn(2, 3, 4), drawn(2, 3, 4, seed=1)
    masked = torch.tensor([[True, False, True], [False, False, True]])
    squares = [
        float((reconstruction[b, n, p] - target[b, n, p]) ** 2)
        for b in range(2) for n in range(3) for p in range(4) if masked[b, n]
    ]  # fmt: skip
    assert float(losses.masked_patch_mse(reconstruction, target, masked)) == pytest.approx(sum(squares) / 12)


def test_painting_error_ignores_visible_patches() -> None:
    reconstruction, target = drawn(2, 3, 4), drawn(2, 3, 4, seed=1)
    masked = torch.tensor([[True, False, True], [False, True, True]])
    before = losses.masked_patch_mse(reconstruction, target, masked)
    reconstruction[~masked] = 1e6
    assert losses.masked_patch_mse(reconstruction, target, masked) == before


def test_normalized_patches_have_zero_mean_and_unit_variance() -> None:
    patches = drawn(2, 3, 50) * 7 + 3
    normal = losses.normalized_patches(patches)
    torch.testing.assert_close(normal.mean(-1), torch.zeros(2, 3).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(normal.var(-1), torch.ones(2, 3).double(), atol=1e-5, rtol=0)


def test_nearest_patches_of_three_on_paper() -> None:
    patches = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]]])
    # Dot products with (2, 1): 2, 1 and 10, so the two nearest are the first and the last.
    assert losses.nearest_patches(torch.tensor([[2.0, 1.0]]), patches, 2).tolist() == [[2.0, 2.0]]


def test_more_patches_asked_for_than_there_are_means_all_of_them() -> None:
    sentences, patches = drawn(3, 5), drawn(3, 7, 5, seed=1)
    torch.testing.assert_close(losses.nearest_patches(sentences, patches, 99), patches.mean(1))


@pytest.mark.parametrize("k", [1, 3, 7, 20])
def test_nearest_patches_without_copies_are_the_same_patches(k: int) -> None:
    sentences, patches = drawn(5, 4), drawn(3, 7, 4, seed=1)
    owner = torch.tensor([2, 0, 0, 2, 1])
    expected = losses.nearest_patches(sentences, patches[owner], k)
    torch.testing.assert_close(losses.nearest_patches_of(sentences, patches, owner, k), expected)


def test_the_choice_of_patches_has_no_gradient_but_the_chosen_features_have() -> None:
    sentences, patches = drawn(1, 2).requires_grad_(), drawn(1, 5, 2, seed=1).requires_grad_()
    losses.nearest_patches(sentences, patches, 2).sum().backward()
    assert sentences.grad is None
    assert patches.grad is not None
    chosen = (sentences.detach() @ patches.detach()[0].T)[0].topk(2).indices.tolist()
    expected = [[0.5, 0.5] if n in chosen else [0.0, 0.0] for n in range(5)]
    assert patches.grad[0].tolist() == expected


def test_no_sentence_at_all_is_no_region() -> None:
    none = losses.nearest_patches_of(
        torch.zeros(0, 4), torch.randn(2, 7, 4), torch.zeros(0, dtype=torch.long), 3
    )
    assert none.shape == (0, 4)


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


def test_region_scores_are_the_mean_of_the_largest_products_in_every_image() -> None:
    sentences, patches = drawn(3, 5), drawn(2, 7, 5, seed=1)
    scores = losses.region_scores(sentences, patches, 4)
    for s in range(3):
        for b in range(2):
            largest = sorted((float(sentences[s] @ patches[b, n]) for n in range(7)), reverse=True)[:4]
            assert float(scores[s, b]) == pytest.approx(sum(largest) / 4)


def test_each_sentence_may_be_sought_in_as_many_patches_as_it_needs() -> None:
    sentences, patches = drawn(3, 5), drawn(2, 7, 5, seed=1)
    k = torch.tensor([1, 4, 9])  # the last: more than there are
    scores = losses.region_scores(sentences, patches, k)
    for s in range(3):
        assert scores[s] == pytest.approx(losses.region_scores(sentences, patches, int(k[s]))[s])
    assert losses.region_scores(sentences[:0], patches, k[:0]).shape == (0, 2)


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


def test_equations_1_to_3_have_exact_gradients() -> None:
    masked = torch.tensor([[True, False, True]])
    reconstruction, target = drawn(1, 3, 4).requires_grad_(), drawn(1, 3, 4, seed=1)
    assert torch.autograd.gradcheck(lambda p: losses.masked_patch_mse(p, target, masked), reconstruction)
    patches = drawn(2, 6, 3, seed=2).requires_grad_()
    owner = torch.tensor([0, 1, 1])
    assert torch.autograd.gradcheck(
        lambda p: losses.nearest_patches_of(drawn(3, 3, seed=3), p, owner, 2), patches
    )


def test_similarities_stay_in_single_precision_under_autocast() -> None:
    sentences, patches, owner = (
        drawn(4, 9).float(),
        drawn(2, 7, 9, seed=1).float(),
        torch.tensor([0, 0, 1, 1]),
    )
    regions = losses.nearest_patches_of(sentences, patches, owner, 2)
    exact = losses.info_nce(regions, sentences, owner), losses.region_scores(sentences, patches, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(losses.nearest_patches(sentences, patches[owner], 2), regions)
        assert torch.equal(losses.info_nce(regions, sentences, owner), exact[0])
        assert torch.equal(losses.region_scores(sentences, patches, 3), exact[1])

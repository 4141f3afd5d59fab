"""The nearest patches (Eq. 2-3): answers on paper and slow loops. s sentence, b image, n patch, d features."""

import pytest
import torch
from draws import drawn

from simcrop import losses


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


def test_equations_2_and_3_have_exact_gradients() -> None:
    patches = drawn(2, 6, 3, seed=2).requires_grad_()
    owner = torch.tensor([0, 1, 1])
    assert torch.autograd.gradcheck(
        lambda p: losses.nearest_patches_of(drawn(3, 3, seed=3), p, owner, 2), patches
    )

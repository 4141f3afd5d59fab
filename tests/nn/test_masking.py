"""Masking: how many patches stay visible, and that visible and masked are two sides of one thing."""

import pytest
import torch

from simcrop.nn.masking import Mask, random_mask, visible_count


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("count", "ratio", "visible"),
    [(2744, 0.75, 686), (84, 0.75, 21), (10, 0.99, 1), (7, 0.5, 3), (1000, 0.9, 100), (100, 1 - 0.1, 10)],
)
def test_number_of_visible_patches_is_exact(count: int, ratio: float, visible: int) -> None:
    mask = random_mask(torch.rand(3, count, generator=seeded()), ratio)
    assert visible_count(count, ratio) == visible
    assert mask.keep.shape == (3, visible)
    assert mask.masked.sum(1).tolist() == [count - visible] * 3


def test_masked_is_true_exactly_where_a_patch_is_not_kept_and_kept_ones_rise() -> None:
    mask = random_mask(torch.rand(4, 30, generator=seeded()), 0.6)
    for b in range(4):
        kept = mask.keep[b].tolist()
        assert kept == sorted(kept)
        assert kept == [n for n in range(30) if not mask.masked[b, n]]


def test_patches_are_taken_by_their_numbers_whether_they_are_learned_or_not() -> None:
    patches = torch.randn(3, 10, 4, generator=torch.Generator().manual_seed(0))
    mask = random_mask(torch.rand(3, 10, generator=torch.Generator().manual_seed(1)), 0.6)
    for kind, take in ((False, mask.take_visible), (True, mask.take_masked)):
        expected = torch.stack(
            [row[hidden == kind] for row, hidden in zip(patches, mask.masked, strict=True)]
        )
        assert torch.equal(take(patches), expected)
        learned = patches.clone().requires_grad_()
        assert torch.equal(take(learned), expected)
        take(learned).sum().backward()
        assert torch.equal(learned.grad, (mask.masked == kind).float()[..., None].expand(3, 10, 4))


def test_restoring_puts_visible_features_back_in_their_places() -> None:
    patches, mask, token = (
        torch.randn(2, 9, 5),
        random_mask(torch.rand(2, 9, generator=seeded()), 0.5),
        torch.randn(5),
    )
    restored = mask.restore(mask.take_visible(patches), token)
    assert torch.equal(restored[~mask.masked], patches[~mask.masked])
    assert torch.equal(restored[mask.masked], token.expand(int(mask.masked.sum()), 5))
    assert torch.equal(mask.take_visible(restored), mask.take_visible(patches))


def test_patches_of_the_body_are_kept_before_any_of_air() -> None:
    body = torch.zeros(2, 20, dtype=torch.bool)
    body[0, 3:6] = True
    body[1, 1:18] = True
    mask = random_mask(torch.rand(2, 20, generator=seeded()), 0.75, body)
    assert set(mask.keep[0].tolist()) > {3, 4, 5}
    assert set(mask.keep[1].tolist()) < set(range(1, 18))


def test_equal_seeds_mask_equally_and_samples_are_masked_independently() -> None:
    first, again, other = (random_mask(torch.rand(2, 40, generator=seeded(s)), 0.75) for s in (1, 1, 2))
    assert torch.equal(first.keep, again.keep)
    assert not torch.equal(first.keep, other.keep)
    assert not torch.equal(first.keep[0], first.keep[1])


def test_every_patch_is_visible_equally_often() -> None:
    mask = random_mask(torch.rand(4000, 12, generator=seeded()), 0.75)
    share = (~mask.masked).float().mean(0)
    assert (share - 0.25).abs().max() < 0.03  # four standard deviations of a coin thrown 4000 times


def test_a_mask_written_by_hand_shows_what_it_says() -> None:
    mask = Mask(torch.tensor([[0, 2]]), torch.tensor([[False, True, False]]))
    assert mask.take_visible(torch.tensor([[[1.0], [2.0], [3.0]]])).tolist() == [[[1.0], [3.0]]]

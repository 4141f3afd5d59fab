"""Painting hidden patches (Eq. 1): against a slow loop. b image, n patch, p voxel."""

import pytest
import torch
from draws import drawn

from simcrop import losses


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


def test_equation_1_has_exact_gradients() -> None:
    masked = torch.tensor([[True, False, True]])
    reconstruction, target = drawn(1, 3, 4).requires_grad_(), drawn(1, 3, 4, seed=1)
    assert torch.autograd.gradcheck(lambda p: losses.masked_patch_mse(p, target, masked), reconstruction)

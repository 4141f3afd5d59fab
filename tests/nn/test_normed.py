"""Norm, shortcut and ReLU in compiled loops: what torch makes of them one after the other, there and back.

Axes: b scan, c channel, x y z voxels, no two sizes alike.
"""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import instance_norm, leaky_relu

from simcrop.nn.normed import SLOPE, normed_relu

SHAPES = [(2, 3, 5, 4, 7), (2, 16, 12, 8, 6), (1, 300, 2, 3, 1)]  # few channels, rows of several voxels, many
BESIDE = [None, True, False]


def step_by_step(seen: Tensor, beside: Tensor | None, beside_too: bool | None) -> Tensor:
    total = instance_norm(seen)
    if beside is not None:
        total = total + (instance_norm(beside) if beside_too else beside)
    return leaky_relu(total, SLOPE)


def there_and_back(join: object, tensors: list[Tensor], beside_too: bool | None) -> list[Tensor]:
    seen, beside, gradient = tensors
    leaves = [seen.clone().requires_grad_(), beside.clone().requires_grad_()]
    used = leaves if beside_too is not None else [leaves[0], None]
    out = join(*used, beside_too is True)  # type: ignore[operator]
    out.backward(gradient)
    return [out.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


@pytest.mark.parametrize("beside_too", BESIDE)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("threads", [1, 2])
def test_there_and_back_it_is_what_torch_makes_of_it(
    shape: tuple[int, ...], beside_too: bool | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simcrop.nn.normed.BLOCK", 3)
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    torch.manual_seed(0)
    tensors = [torch.randn(shape) * 3 + 2, torch.randn(shape) - 1, torch.randn(shape)]
    found = there_and_back(normed_relu, tensors, beside_too)
    wanted = there_and_back(step_by_step, [tensor.double() for tensor in tensors], beside_too)
    assert len(found) == len(wanted) == (3 if beside_too is not None else 2)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("beside_too", BESIDE)
def test_half_precision_loses_what_rounding_loses(beside_too: bool | None) -> None:
    """The way back is compared with torch's on the same rounded numbers, ReLU by ReLU where both are on one side."""
    torch.manual_seed(0)
    tensors = [torch.randn(2, 16, 4, 6, 5).bfloat16() for _ in range(3)]
    found = there_and_back(normed_relu, tensors, beside_too)
    wanted = there_and_back(step_by_step, [tensor.double() for tensor in tensors], beside_too)
    assert all(tensor.dtype == torch.bfloat16 for tensor in found)
    for ours, theirs in zip(found, wanted, strict=True):
        far = (ours.double() - theirs).abs() > 0.01 + theirs.abs() / 128
        assert far.float().mean() < 0.005  # a sum next to 0 may fall on the ReLU's other side


def test_a_channel_that_hardly_varies_around_a_large_number_is_normalised_exactly() -> None:
    torch.manual_seed(0)
    seen = 1000 + torch.randn(1, 4, 8, 9, 10)
    exact = leaky_relu(instance_norm(seen.double()), SLOPE)
    torch.testing.assert_close(normed_relu(seen).double(), exact, rtol=1e-3, atol=1e-3)
    flat = normed_relu(torch.full((1, 4, 3, 3, 3), 7.0))
    assert flat.abs().max() < 1e-3


def test_channels_first_or_last_it_is_the_same() -> None:
    torch.manual_seed(0)
    seen = torch.randn(2, 6, 4, 5, 3)
    last = seen.contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(normed_relu(seen), normed_relu(last))
    assert normed_relu(seen).is_contiguous(memory_format=torch.channels_last_3d)

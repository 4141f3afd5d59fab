"""The loss of segmentation: by hand, voxel by voxel, and MONAI's.

Axes: b image, c class, x y z voxels.
"""

import pytest
import torch
from torch import Tensor

from simcrop.losses import dice_ce


@pytest.fixture
def example() -> tuple[Tensor, Tensor]:
    """Four classes, of which the first image lacks the last."""
    random = torch.Generator().manual_seed(0)
    target = torch.randint(0, 4, (2, 3, 4, 5), generator=random)
    target[0][target[0] == 3] = 0
    return torch.randn(2, 4, 3, 4, 5, generator=random), target


def slow(logits: Tensor, target: Tensor, squared: bool) -> tuple[float, float]:
    """Class by class, image by image."""
    chance = logits.double().softmax(1)
    costs = []
    for image, truth in zip(chance, target, strict=True):
        for number, said in enumerate(image):
            there = (truth == number).double()
            power = 2 if squared else 1
            costs.append(1 - 2 * float((said * there).sum()) / float((said**power).sum() + there.sum()))
    own = [
        float(chance[b, target[b, x, y, z], x, y, z].log())
        for b, x, y, z in ((*i,) for i in torch.ones_like(target).nonzero().tolist())
    ]
    return sum(costs) / len(costs), -sum(own) / len(own)


@pytest.mark.parametrize("squared", [True, False])
def test_it_is_what_the_definition_says(example: tuple[Tensor, Tensor], squared: bool) -> None:
    found = dice_ce(*example, squared=squared)
    dice, cross_entropy = slow(*example, squared)
    assert found.dice.item() == pytest.approx(dice, abs=1e-5)
    assert found.cross_entropy.item() == pytest.approx(cross_entropy, abs=1e-5)


def test_by_hand() -> None:
    """Two voxels, two classes, half sure of the right one each time: Dice 2 * .5 / (.5 + 1), logarithm of 2."""
    found = dice_ce(torch.zeros(1, 2, 2, 1, 1), torch.tensor([0, 1]).reshape(1, 2, 1, 1))
    assert found.dice.item() == pytest.approx(1 - 2 / 3, abs=1e-5)
    assert found.cross_entropy.item() == pytest.approx(0.693147, abs=1e-5)


def test_a_class_that_is_not_there_costs_one_and_pulls_at_nothing(example: tuple[Tensor, Tensor]) -> None:
    logits, target = example[0][:1], torch.zeros(1, 3, 4, 5, dtype=torch.long)
    logits = torch.cat([logits[:, :1] + 30, logits[:, 1:]], 1).requires_grad_()
    dice = dice_ce(logits, target).dice
    assert dice.item() == pytest.approx(3 / 4, abs=1e-3)
    dice.backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6


def test_value_and_gradient_are_monai_s(example: tuple[Tensor, Tensor]) -> None:
    from monai.losses.dice import DiceCELoss

    logits, target = example
    theirs = DiceCELoss(to_onehot_y=True, softmax=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-6)
    one, other = (logits.clone().requires_grad_() for _ in range(2))
    wanted, found = theirs(one, target[:, None]), sum(dice_ce(other, target))
    torch.testing.assert_close(found, wanted)
    wanted.backward()
    found.backward()  # type: ignore[union-attr]
    torch.testing.assert_close(other.grad, one.grad)

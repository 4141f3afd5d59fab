"""The test run itself: shapes are checked at every call, in however many processes the tests run."""

import pytest
import torch
from jaxtyping import TypeCheckError

from simcrop.nn.masking import random_mask
from simcrop.nn.position import sincos_3d


def test_a_wrong_type_is_an_error() -> None:
    with pytest.raises(TypeCheckError):
        sincos_3d((2, 3, "4"), 12)  # pyright: ignore[reportArgumentType]


def test_a_wrong_shape_is_an_error() -> None:
    mask = random_mask(2, 8, 0.75, torch.Generator())
    with pytest.raises(TypeCheckError):
        mask.take_visible(torch.zeros(8, 3))

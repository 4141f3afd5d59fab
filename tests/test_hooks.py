"""The test run itself: shapes are checked at every call, in however many processes the tests run."""

from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

import simcrop
from simcrop.nn.masking import random_mask
from simcrop.nn.position import sincos_3d


def test_a_wrong_type_is_an_error() -> None:
    with pytest.raises(TypeCheckError):
        sincos_3d((2, 3, "4"), 12)  # pyright: ignore[reportArgumentType]


def test_a_wrong_shape_is_an_error() -> None:
    mask = random_mask(2, 8, 0.75, torch.Generator())
    with pytest.raises(TypeCheckError):
        mask.take_visible(torch.zeros(8, 3))


# Its inner loops are called a million times, and no signature there says a shape: basedpyright checks them instead.
UNCHECKED = {"phantom", "recipes", "__init__", "__main__", "__pycache__"}


def test_every_wing_but_the_phantom_is_checked(pytestconfig: pytest.Config) -> None:
    *checked, _ = pytestconfig.getoption("jaxtyping_packages").split(",")
    wings = {path.stem for path in Path(simcrop.__file__).parent.iterdir()}
    assert set(checked) == {f"simcrop.{wing}" for wing in wings - UNCHECKED}

"""The test run itself: types and shapes are checked at every call, in however many processes the tests run."""

from pathlib import Path

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError
from signatures import UNCHECKED, checked

import simcrop
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError
from simcrop.files.digest import digest_of_files
from simcrop.metrics.intervals import Interval
from simcrop.nn.masking import random_mask
from simcrop.nn.position import sincos_3d

PACKAGE = Path(simcrop.__file__).parent


def test_a_wrong_type_is_an_error() -> None:
    with pytest.raises(TypeCheckError):
        sincos_3d((2, 3, "4"), 12)  # pyright: ignore[reportArgumentType]


def test_a_wrong_shape_is_an_error() -> None:
    mask = random_mask(torch.rand(2, 8, generator=torch.Generator()), 0.75)
    with pytest.raises(TypeCheckError):
        mask.take_visible(torch.zeros(8, 3))


def test_a_wrong_type_where_there_are_no_shapes_is_an_error_too() -> None:
    for wrong in (
        lambda: digest_of_files("no path"),  # pyright: ignore[reportArgumentType]
        lambda: Interval("0", 0.0, 1.0, 1),  # pyright: ignore[reportArgumentType]
        lambda: Volume([[1]], None),  # pyright: ignore[reportArgumentType]
        lambda: SimcropError("reason", 3),  # pyright: ignore[reportArgumentType]
    ):
        with pytest.raises(BeartypeCallHintViolation):
            wrong()


def test_all_but_the_phantom_and_the_report_is_checked(pytestconfig: pytest.Config) -> None:
    *shaped, _ = pytestconfig.getoption("jaxtyping_packages").split(",")
    says_shapes = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in PACKAGE.rglob("*.py")
        if "from jaxtyping import" in path.read_text()
    }
    assert says_shapes
    for name in says_shapes:
        assert any(f"{name}.".startswith(f"{part}.") for part in shaped), f"{name}: add it to the packages"
    # These name types of libraries that they do not import, which beartype alone cannot look up.
    unseen = {
        f"simcrop.data.{name}"
        for name in ("preprocess", "ingest.run", "readers.header_names", "writers.dicom_seg")
    }
    for part in set(shaped) - unseen:
        assert any(f"{name}.".startswith(f"{part}.") for name in says_shapes), f"{part} says no shape"
        assert any(f"{part}.".startswith(f"{name}.") for name in checked())
    assert {"simcrop.tasks", "simcrop.errors", "simcrop.data.layouts"} <= checked()
    for name in UNCHECKED:
        path = PACKAGE.parent.joinpath(*name.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file()

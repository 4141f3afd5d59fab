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
    mask = random_mask(torch.rand(2, 8, generator=torch.Generator()), 0.75)
    with pytest.raises(TypeCheckError):
        mask.take_visible(torch.zeros(8, 3))


# The inner loops of the phantom, and the rules that split a report, are called a million times, and no signature there
# says a shape: basedpyright checks them instead.
REPORT = {
    f"simcrop.data.report{part}"
    for part in ("", "_asides", "_heads", "_leavings", "_letters", "_marks", "_signature", "_stops")
}
YAMLS = {
    "simcrop.codes",
    "simcrop.label_maps",
    "simcrop.probes",
    "simcrop.protocols",
    "simcrop.recipes",
    "simcrop.wordings",
}
UNCHECKED = {"simcrop.phantom"} | YAMLS | REPORT


def modules_in(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir() if not path.stem.startswith("__")}


def test_all_but_the_phantom_and_the_report_is_checked(pytestconfig: pytest.Config) -> None:
    *checked, _ = pytestconfig.getoption("jaxtyping_packages").split(",")
    package = Path(simcrop.__file__).parent
    modules = {f"simcrop.{name}" for name in modules_in(package) - {"data"}}
    modules |= {f"simcrop.data.{name}" for name in modules_in(package / "data")}
    assert set(checked) == modules - UNCHECKED

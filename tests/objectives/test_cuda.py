"""Every method on a CUDA device computes what it computes on the processor. Runs where there is a card; that there is
something to compare is seen without one.

Axes: as in the network; the toy grid has different sizes along x, y and z.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch

from simcrop.data.samples.batch import Batch
from simcrop.objectives.method import Objective
from simcrop.objectives.registry import methods

STUDIES = (
    "a nodule in the lung. no effusion.",
    "the lung is clear. the left lobe is not clear.",
    "",
    "no nodule. the right lobe is clear.",
)
LABELS = ["nodule", "effusion", "lung"]
NEEDS: dict[str, dict[str, Any]] = {
    "supervised": {"head": {"labels": LABELS}},
    "supervised-cnn": {"head": {"labels": LABELS}, "input": {"patch": [8, 4, 1]}},
    "segment": {"classes": ["bright", "brighter"], "decoder": {"feature_size": 4}},
    "fvlm": {"organs": {"names": ["lung", "heart"], "dim": 17}, "findings": STUDIES},
}
Build = Callable[..., tuple[Objective, Batch]]


@pytest.mark.parametrize("method", sorted(methods()))
def test_every_method_has_something_to_compare(build: Build, method: str) -> None:
    terms, gradient = terms_and_gradient(*build(method, **NEEDS.get(method, {})), half=False)
    assert terms
    assert gradient.isfinite().all()
    assert gradient.norm() > 0


@pytest.mark.cuda
@pytest.mark.parametrize("method", sorted(methods()))
@pytest.mark.parametrize("half", [False, True])
def test_loss_and_gradients_are_those_of_the_processor(
    build: Build, method: str, half: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warnings.catch_warnings():  # some versions say once that this will have another name
        warnings.simplefilter("ignore")
        # Which convolutions take where nobody says no.
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    objective, batch = build(method, **NEEDS.get(method, {}))
    here = terms_and_gradient(objective, batch, half=False)
    there = terms_and_gradient(objective.cuda(), batch, half)
    tolerance = 5e-2 if half else 1e-4

    for name, value in here[0].items():
        assert float(there[0][name]) == pytest.approx(float(value), rel=tolerance, abs=tolerance), name
    assert float((there[1] - here[1]).norm() / here[1].norm()) < 4 * tolerance


def terms_and_gradient(
    objective: Objective, batch: Batch, half: bool
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    objective.zero_grad(set_to_none=True)
    with torch.autocast(objective.vision.device.type, torch.bfloat16, enabled=half):
        terms = objective.losses(batch, 3)
    sum(terms.values()).backward()  # type: ignore[union-attr]
    rows = [p.grad.flatten().double().cpu() for p in objective.parameters() if p.grad is not None]
    return {name: term.detach().double().cpu() for name, term in terms.items()}, torch.cat(rows)


@pytest.mark.cuda
@pytest.mark.parametrize("method", sorted(methods()))
def test_a_batch_is_pinned_whole_and_travels_whole(build: Build, method: str) -> None:
    _, batch = build(method, **NEEDS.get(method, {}))
    pinned = batch.pin_memory()
    there = pinned.to(torch.device("cuda"))
    torch.cuda.synchronize()
    mine, moved = dict(tensors_of(pinned)), dict(tensors_of(there))
    assert set(mine) == set(moved) == set(dict(tensors_of(batch)))
    for name, tensor in tensors_of(batch):
        assert mine[name].is_pinned() or not tensor.numel(), name
        assert moved[name].is_cuda, name
        # Label maps become indices on the device.
        torch.testing.assert_close(moved[name].cpu(), tensor, equal_nan=True, check_dtype=False)


def tensors_of(part: Any, path: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor in a batch, however deep, by its path."""
    if isinstance(part, torch.Tensor):
        yield path, part
    elif is_dataclass(part) and not isinstance(part, type):
        for field in fields(part):
            yield from tensors_of(getattr(part, field.name), f"{path}.{field.name}")
    elif isinstance(part, Mapping):
        for name, value in part.items():
            yield from tensors_of(value, f"{path}.{name}")

"""A share of a batch without any text leaves no parameter out: other processes wait for the gradients of all."""

from collections.abc import Callable
from typing import Any

import pytest

CROSS = {"top_k": 5, "cross_image": {"enabled": True}}


@pytest.mark.parametrize("freeze", [True, False])
@pytest.mark.parametrize(
    ("method", "groups"),
    [
        ("ct-clip", {"contrast": {"dim": 17}}),
        ("m3d", {"contrast": {"dim": 17}}),
        ("simcrop", {}),
        ("simcrop", {"align": CROSS}),
    ],
    ids=["ct-clip", "m3d", "simcrop", "cross-image"],
)
def test_reports_without_findings_leave_no_parameter_without_a_gradient(
    build: Callable, method: str, groups: dict[str, Any], freeze: bool
) -> None:
    objective, batch = build(method, ("", ""), **groups, text={"freeze": freeze})
    assert len(batch.sentences.image_index) == 0
    terms = objective.losses(batch)
    sum(terms.values()).backward()
    without = [n for n, p in objective.named_parameters() if p.requires_grad and p.grad is None]
    assert not objective.skips_parameters
    assert without == []
    assert all(p.grad.isfinite().all() for p in objective.parameters() if p.grad is not None)

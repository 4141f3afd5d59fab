"""The API against its own description: whatever is sent, sound or not, no answer is a fault of the server.

No axes or units.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simcrop.viewer.openapi import description
from simcrop.viewer.table import ADDRESSES

EXAMPLES = 4  # of each address and kind


def test_description_has_every_address_with_its_types() -> None:
    found = description()
    assert found["openapi"].startswith("3.1")
    assert sum(len(one) for one in found["paths"].values()) == len(ADDRESSES)
    schemas = found["components"]["schemas"]
    assert schemas["Map"]["properties"]["boxes"]["items"] == {"$ref": "#/components/schemas/Box"}
    assert "page" in schemas["AsksSearch"]["properties"]
    assert all(one["summary"] for path in found["paths"].values() for one in path.values())


def test_served_description_is_this_one(viewer: Any) -> None:
    assert viewer.client.get("/api/openapi.json").json() == description()


@pytest.mark.filterwarnings(
    "ignore::hypothesis.errors.HypothesisDeprecationWarning"
)  # of schemathesis itself
def test_no_request_is_answered_with_a_fault(
    cohort: Path, model: Path, viewing: Callable[..., Any], monkeypatch: Any
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    from view_fuzz import fuzzed

    made = viewing(cohort, model, root=cohort)
    found = fuzzed(made.view, EXAMPLES, 1)
    made.view.stop()
    assert found["faults"] == []
    assert found["requests"] > len(ADDRESSES) * EXAMPLES
    assert found["statuses"]["200"] > 10

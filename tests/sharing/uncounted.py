"""What a step costs is not counted anew for every small network that a test trains: a second each. Counting itself is
tested where it is done (`test_cost`, `test_counted`, `test_pretrain`).
"""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def uncounted() -> Iterator[None]:
    """In this process; shipped recipes are looked up as ever."""
    from simcrop.tasks.training import counted
    from simcrop.tasks.training.cost import Cost

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counted, "cost_of", lambda _: Cost(1.0, 0.3, 0.0, 10**9, 10**9, 10**9, 1000, 1000))
        yield


@pytest.fixture
def counted_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    from simcrop.tasks.training import counted
    from simcrop.tasks.training.cost import cost_of

    monkeypatch.setattr(counted, "cost_of", cost_of)
    counted.counted_once.cache_clear()

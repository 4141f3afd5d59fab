"""A method is told of every step before and after it, and what it keeps between steps outlives an interruption."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from simcrop.engine.distributed import DistributedContext
from simcrop.engine.fit import fit
from simcrop.engine.job import Job
from simcrop.engine.moments import Moments

ALONE = DistributedContext(0, 1, torch.device("cpu"))


@pytest.fixture
def keeper(toy: Callable) -> Callable[[], Any]:
    """A toy whose loss depends on a running mean of its own weights, which no gradient reaches."""

    class Keeper(type(toy())):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(4))
            self.told: list[tuple[str, float, int]] = []

        def begins(self, epoch: float, epochs: int) -> None:
            self.told.append(("begins", epoch, epochs))

        def ends(self, epoch: float, epochs: int, total: Callable[[Tensor], Tensor]) -> None:
            self.told.append(("ends", epoch, epochs))
            self.mean.lerp_(total(self.layers[0].weight.detach().mean(0)), 0.3)

        def forward(self, batch: Any) -> dict[str, Tensor]:
            parts = super().forward(batch)
            return {
                **parts,
                "small": parts["small"] + (self.layers(self.mean) - self.mean.sum()).square().mean(),
            }

    return Keeper


def test_a_run_that_is_continued_keeps_what_lies_between_its_steps(
    keeper: Callable, job: Callable[..., Job], stop_at: Callable
) -> None:
    whole, broken, resumed = keeper(), keeper(), keeper()
    fit(whole, job("whole"), ALONE)
    assert not fit(broken, job("broken"), ALONE, progress=stop_at(6)).finished
    assert fit(resumed, job("broken"), ALONE, resume=True).finished
    assert whole.mean.any()
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name
    assert broken.told + resumed.told == whole.told
    assert [kind for kind, *_ in whole.told] == ["begins", "ends"] * 21
    assert [epoch for _, epoch, _ in whole.told[::2]] == pytest.approx([step / 21 * 11 for step in range(21)])


def test_a_step_that_changes_nothing_does_not_end(keeper: Callable, job: Callable[..., Job]) -> None:
    run = job("a", broken=(3,), steps=4)
    settings = run.engine.model_copy(update={"skip_non_finite": 4})
    objective = keeper()
    fit(objective, Job(**{**vars(run), "engine": settings}), ALONE)
    kinds = [kind for kind, *_ in objective.told]
    assert kinds.count("begins") == 4 > kinds.count("ends") > 0
    assert objective.mean.isfinite().all()


def test_a_run_cut_short_counts_all_of_its_epochs(toy: Callable) -> None:
    told: list[Any] = []
    objective = toy()
    objective.begins = lambda *words: told.append(words)
    moments = Moments(objective, 4, 20, ALONE)
    for step in range(4):
        moments.begin(step)
        moments.end(step)  # of which this method does not want to know
    assert told == [(0.0, 20), (5.0, 20), (10.0, 20), (15.0, 20)]

"""A step that finds too little memory is told before it is taken, with a setting that fits."""

import pytest
import torch

from simcrop.config import load_recipe
from simcrop.engine.distributed import DistributedContext
from simcrop.tasks.training import room
from simcrop.tasks.training.counted import counted
from simcrop.tasks.training.room import free_bytes, room_words

ONE, TWO = (DistributedContext(0, world, torch.device("cpu")) for world in (1, 2))


@pytest.mark.parametrize(("context", "at_once"), [(ONE, 48), (TWO, 24)])
def test_what_does_not_fit_is_said_with_what_does(
    monkeypatch: pytest.MonkeyPatch, context: DistributedContext, at_once: int
) -> None:
    recipe = load_recipe("simcrop-paper")
    cost = counted(recipe)
    monkeypatch.setattr(room, "free_bytes", lambda _: cost.bytes_of_batch(at_once))
    assert room_words(recipe, context, cost) == ""
    monkeypatch.setattr(room, "free_bytes", lambda _: cost.bytes_of_batch(at_once) - 1)
    words = room_words(recipe, context, cost)
    assert words.startswith(f"a step of {at_once} scans at once needs ")
    assert words.endswith(f"set engine.micro_batch={at_once // 2}")
    monkeypatch.setattr(room, "free_bytes", lambda _: 10)
    assert room_words(recipe, context, cost).endswith("this recipe is too large for this machine")


def test_the_machine_has_some() -> None:
    assert 1e8 < free_bytes(torch.device("cpu")) < 1e14

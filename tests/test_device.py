"""Which device is taken, and what happens when one is asked for that is not here."""

import pytest
import torch

from simcrop.device import choose_device, send
from simcrop.errors import SimcropError


def cards(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(("count", "taken"), [(0, "cpu"), (1, "cuda:0"), (3, "cuda:0")])
def test_auto_takes_the_first_card_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, count: int, taken: str
) -> None:
    cards(monkeypatch, count)
    assert choose_device() == torch.device(taken)
    assert choose_device("cpu") == choose_device(torch.device("cpu")) == torch.device("cpu")


def test_a_card_that_is_there_is_taken_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    cards(monkeypatch, 2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(SimcropError, match="torch sees 2 CUDA devices"):
        choose_device("cuda:2")


@pytest.mark.parametrize("asked", ["cuda", "cuda:0", "gpu", "mps", "cuda:x", ""])
def test_what_is_not_here_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    cards(monkeypatch, 0)
    with pytest.raises(SimcropError) as refused:
        choose_device(asked)
    assert refused.value.reason == "no-device"
    assert "\n" not in str(refused.value)


def test_what_is_sent_to_the_processor_arrives() -> None:
    tensor = torch.randn(3, 5)
    assert torch.equal(send(tensor, "cpu"), tensor)

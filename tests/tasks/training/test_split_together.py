"""Reports split by several processes are those that one splits, in their order. No axes."""

import os
import signal

import pytest

from simcrop.data.report import sentences
from simcrop.data.samples.split_reports import one_by_one
from simcrop.errors import SimcropError
from simcrop.tasks.training import split_together as module
from simcrop.tasks.training.split_together import split_together

FINDINGS = [f"A nodule of {i} mm. No effusion." * (i % 3) for i in range(23)]


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEW", 22)
    monkeypatch.setattr(module, "PIECE", 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


def test_sentences_are_those_of_one_process_and_others_have_split_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, expected = os.getpid(), [sentences(text) for text in FINDINGS]
    monkeypatch.setattr(
        module, "one_by_one", lambda texts: ([str(os.getpid()), *one] for one in one_by_one(texts))
    )
    found = list(split_together(FINDINGS))
    assert [one[1:] for one in found] == expected
    assert len({one[0] for one in found} - {str(here)}) == 2
    assert {one[0] for one in split_together(FINDINGS[1:])} == {str(here)}, "few are split here"


# torch opens files to count the free ones as the next process's death interrupts it
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_process_that_is_killed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "one_by_one", lambda _: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(SimcropError, match="a loading process ended unexpectedly"):
        list(split_together(FINDINGS))

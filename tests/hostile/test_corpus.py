"""More than a thousand damaged inputs: each is read as others read it or refused with a known reason; none hurts.

No axes; seconds. `SIMCROP_HOSTILE=30000` reads so many; the first of them are always the same.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from simcrop.data.readers.reasons import SCAN_REASONS

HERE = Path(__file__).parent
COUNT = int(os.environ.get("SIMCROP_HOSTILE", "1200"))
PATIENCE = 600 + COUNT // 2  # only so that nothing waits for ever: a minute is usual
TABLE_REASONS = {"not-utf8", "bad-csv", "missing-columns", "duplicate-row", "bad-label", "no-scans"}
Verdict = dict[str, object]


def judged(*words: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
    command = [sys.executable, str(HERE / "judge.py"), *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, env=environment, check=False
    )


def verdicts(done: subprocess.CompletedProcess[str]) -> dict[str, Verdict]:
    """By the name of the case. One that took its process with it has none of its own, and is named."""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    ended = {str(line["case"]): line for line in lines if "outcome" in line}
    last = lines[-1]["case"] if lines else "before the first"
    assert done.returncode == 0, f"the process died of {done.returncode} at {last}: {done.stderr[-600:]}"
    return ended


@pytest.fixture(scope="module")
def corpus() -> dict[str, Verdict]:
    return verdicts(judged(0, COUNT))


@pytest.fixture(scope="module")
def sprung() -> subprocess.CompletedProcess[str]:
    return judged("traps")


@pytest.fixture(scope="module")
def traps(sprung: subprocess.CompletedProcess[str]) -> dict[str, Verdict]:
    return verdicts(sprung)


def test_every_damaged_input_is_read_right_or_refused(corpus: dict[str, Verdict]) -> None:
    assert len(corpus) == COUNT
    bad = {name: found for name, found in corpus.items() if found["outcome"] not in ("right", "refused")}
    assert not bad, bad


def test_every_refusal_has_a_reason_that_is_explained(corpus: dict[str, Verdict]) -> None:
    refused = {name: str(found["reason"]) for name, found in corpus.items() if found["outcome"] == "refused"}
    known = {name: SCAN_REASONS.keys() | (TABLE_REASONS if "table" in name else set()) for name in refused}
    assert {name: reason for name, reason in refused.items() if reason not in known[name]} == {}


def test_no_damaged_input_takes_long(corpus: dict[str, Verdict]) -> None:
    assert max(float(str(found["seconds"])) for found in corpus.values()) < 10


def test_corpus_holds_of_every_kind_some_that_are_read_and_some_that_are_not(
    corpus: dict[str, Verdict],
) -> None:
    """A reader that refuses everything, or a corpus that damages nothing, would pass all others."""
    by_kind = Counter((name.split("/")[0], str(found["outcome"])) for name, found in corpus.items())
    kinds = {kind for kind, _ in by_kind}
    assert len(kinds) == 24
    assert {kind for kind in kinds if by_kind[kind, "right"] < 1 or by_kind[kind, "refused"] < 5} == set()
    assert len({found.get("reason") for found in corpus.values()}) > 15


def test_every_trap_is_refused_with_the_right_reason(traps: dict[str, Verdict]) -> None:
    assert len(traps) >= 40
    assert {name: found for name, found in traps.items() if found["outcome"] not in expected(found)} == {}


def test_no_reader_speaks_to_the_terminal(sprung: subprocess.CompletedProcess[str]) -> None:
    """A refusal is one line: libraries must not add theirs."""
    assert sprung.stderr == ""


def test_no_trap_takes_long(traps: dict[str, Verdict]) -> None:
    assert max(float(str(found["seconds"])) for found in traps.values()) < 10


def expected(found: Verdict) -> list[str]:
    reasons = found["expected"]
    assert isinstance(reasons, list)
    return reasons

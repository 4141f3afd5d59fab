"""Ingests into one store over and over, each time killed with -9 at a random moment, until it has happened enough.

`python killing.py SOURCE STORE KILLS SEED` prints how many journal lines there were at each kill, and whom it hit. The
workers are forked with the readers and their machine code loaded, so that a start costs milliseconds: `tests/data`
kills those that are spawned. No axes; seconds.
"""

import ctypes
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from simcrop.data.ingest import job, run
from simcrop.parallel import processes

WORKERS = 4
SPACING_MM = (6.0, 5.0, 9.0)
PATIENCE = 120
LONGEST = 800  # of all together; whoever started this waits a little longer
ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER
BEGUN: list[int] = []


def begin(source: str, store: Path) -> int:
    """An ingest in a session of its own."""
    if child := os.fork():
        BEGUN.append(child)
        # On a busy machine it has not got to its first line yet.
        await_true(lambda: os.getpgid(child) == child, "the ingest does not begin")
        return child
    os.setsid()
    try:
        run.ingest(source, "folder", store, SPACING_MM, workers=WORKERS)
    finally:
        os._exit(0)


def lines_in(store: Path) -> int:
    journal = store / "ingest.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def ended(child: int) -> bool:
    return os.waitpid(child, os.WNOHANG)[0] == child


def wait_for(child: int, store: Path, lines: int, delay: float) -> bool:
    """Until the journal has so many lines and a moment more; false if the ingest has ended by then."""
    deadline = time.monotonic() + PATIENCE
    while lines_in(store) < lines and not (store / "cohort.json").exists():
        if ended(child):
            return False
        assert time.monotonic() < deadline, "no progress"
        time.sleep(0.001)
    time.sleep(delay)
    return not ended(child)


def workers_of(child: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{child}/task/{child}/children").read_text().split()]


def hit(child: int, whom: str, chance: random.Random) -> bool:
    """Kills; true if that ended the ingest."""
    workers = workers_of(child)
    if whom == "worker" and workers:
        os.kill(chance.choice(workers), signal.SIGKILL)
        return False
    if whom == "all":
        os.killpg(child, signal.SIGKILL)
    else:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    await_true(lambda: not alive(child), "a worker outlived its parent")
    return True


def await_true(happened: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.001)


def alive(session: int) -> bool:
    """Whether anybody of this session is left. Orphans come to us: the machine's first process buries them late."""
    with suppress(ChildProcessError):
        os.waitpid(-session, os.WNOHANG)
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


def main(source: str, store: Path, kills: int, seed: int) -> None:
    chance, child, done = random.Random(seed), 0, 0
    while done < kills:
        child = child or begin(source, store)
        if not wait_for(child, store, lines_in(store) + chance.randint(0, 3), chance.random() ** 2 / 100):
            child = 0
            continue
        whom = chance.choice(["worker", "parent", "all", "all"])
        sys.stdout.write(f"{lines_in(store)} {whom}\n")
        done += 1
        if hit(child, whom, chance):
            child = 0
    if child:
        await_true(lambda: ended(child), "the last ingest does not end")


def give_up(*_: object) -> None:
    """What is left of an ingest ends with this process."""
    for child in BEGUN[-1:]:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    sys.exit("it took too long")


if __name__ == "__main__":
    assert ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1, 0, 0, 0) == 0
    # Before the first fork: what a worker loads with its first scan.
    job.read_resampled(next(Path(sys.argv[1]).glob("p0/*.nii.gz")), SPACING_MM)
    fork = multiprocessing.get_context("fork")
    processes.multiprocessing.get_context = lambda _: fork  # pyright: ignore[reportAttributeAccessIssue]
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LONGEST)
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))

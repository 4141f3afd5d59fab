"""Processes of one run: what ends one ends all, and one of them says in one line what it was and in which rank.

No axes or units beside seconds. Each has a thread that gives a sign of life beside whatever the process is at; who was
killed is told by its silence. The thread also listens to the next process: one that waits for a card, which waits for
a process that is gone, would never learn it.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simcrop.engine.distributed import DistributedContext, is_lost_connection, shared_store
from simcrop.engine.stop import steps_to_save, stop_requests
from simcrop.errors import AgreedError, SimcropError, ToldError
from simcrop.files.lock import is_dead, name_of
from simcrop.stderr import write_line

BEAT_S = 1.0  # between two signs of life
SILENT = 3  # beats that a process that lives does not miss
PATIENCE_S = 20.0  # for a process to end by itself once another has failed; torchrun kills it after 30
FAILURE = "simcrop/failure"
INTERRUPTED = "interrupted"


def at_rank(rank: int, world: int, sentence: str) -> str:
    """A sentence with the process that it is about, where there are several; counted as torchrun does."""
    return f"rank {rank} of {world}: {sentence}" if world > 1 else sentence


@contextmanager
def in_company(context: DistributedContext) -> Iterator[None]:
    """A block that all processes run. An error in any ends it in all: one raises it, the others `ToldError`."""
    if context.world == 1:
        yield
        return
    company = Company(context, shared_store())
    try:
        with company.alive():
            try:
                yield
            except (Exception, KeyboardInterrupt) as error:
                # A launcher's signal must not cut it short.
                with stop_requests() as asked, steps_to_save(asked):
                    ending = company.ending(error)
                if ending is error:
                    raise
                raise ending from error
    finally:
        company.store = None


class Company:
    """`store`: what all processes read and write without waiting for one another."""

    def __init__(self, context: DistributedContext, store: Any) -> None:
        self.rank, self.world, self.store = context.rank, context.world, store

    def ending(self, error: BaseException) -> BaseException:
        """What this process ends with: the error where it is the first, and its to tell."""
        try:
            if is_lost_connection(error):
                return self.what_others_did()
            if isinstance(error, KeyboardInterrupt):
                return self.told(self.first(INTERRUPTED, "")) or error
            mine = self.named(error)
            return self.told(self.first(mine.reason, mine.sentence)) or mine
        except RuntimeError:  # the store has gone with the process or the machine that held it
            return self.lost([0])

    def named(self, error: BaseException) -> SimcropError:
        """With the rank in it. What is no sentence of ours may quote a report, so its kind must do."""
        if isinstance(error, AgreedError):
            return error
        if isinstance(error, SimcropError):
            return SimcropError(error.reason, at_rank(self.rank, self.world, error.sentence))
        if isinstance(error, OSError):
            where = f"{error.filename}: " if error.filename else ""
            return SimcropError("system", at_rank(self.rank, self.world, f"{where}{error.strerror or error}"))
        fault = (
            f"a fault in simcrop, {type(error).__name__}; --debug shows the trace, which may quote your data"
        )
        return SimcropError("fault", at_rank(self.rank, self.world, fault))

    def first(self, reason: str, sentence: str) -> dict[str, Any]:
        """The failure of the run: this one, unless another came first."""
        mine = {"rank": self.rank, "reason": reason, "sentence": sentence}
        return json.loads(self.store.compare_set(FAILURE, "", json.dumps(mine)))

    def failure(self) -> dict[str, Any] | None:
        return json.loads(self.store.get(FAILURE)) if self.store.check([FAILURE]) else None

    def told(self, failure: dict[str, Any]) -> BaseException | None:
        """For a failure of another process."""
        if failure["rank"] == self.rank:
            return None
        if failure["reason"] == INTERRUPTED:
            return KeyboardInterrupt()
        return ToldError(failure["reason"], failure["sentence"])

    def what_others_did(self) -> BaseException:
        """A connection broke: another process has failed and said so, or was killed and is silent from now on."""
        before = self.beats()
        deadline = time.monotonic() + SILENT * BEAT_S
        while time.monotonic() < deadline:
            if (failure := self.failure()) is not None and (told := self.told(failure)) is not None:
                return told
            time.sleep(BEAT_S / 10)
        silent = [
            rank for rank, (old, new) in enumerate(zip(before, self.beats(), strict=True)) if old == new
        ]
        lost = self.lost([rank for rank in silent if rank != self.rank])
        return self.told(self.first(lost.reason, lost.sentence)) or lost

    def lost(self, ranks: list[int]) -> SimcropError:
        go_on = "--resume continues from the newest checkpoint"
        if not ranks:
            return SimcropError(
                "no-answer",
                at_rank(self.rank, self.world, f"the others do not answer, though all are alive; {go_on}"),
            )
        which = f"rank {', '.join(map(str, ranks))} of {self.world}"
        return SimcropError(
            "process-lost",
            f"{which} ended without a word, killed perhaps or for lack of memory: all stop; {go_on}",
        )

    def beats(self) -> list[int]:
        """How often each process has given a sign of life."""
        return [self.store.add(beat_of(rank), 0) for rank in range(self.world)]

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Signs of life all the while, from a thread that also ends this process if it does not do so itself."""
        over = threading.Event()
        thread = threading.Thread(target=self.beat, args=(over,), name="company", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def beat(self, over: threading.Event) -> None:
        since: float | None = None
        following, noticed = Neighbour((self.rank + 1) % self.world, self.store), False
        try:
            self.store.set(process_of(self.rank), name_of(os.getpid()))
            while not over.wait(BEAT_S):
                self.store.add(beat_of(self.rank), 1)
                failure = self.failure()
                if failure is None and following.is_dead():
                    lost = self.lost([following.rank])
                    failure = self.first(lost.reason, lost.sentence)
                    noticed = failure["rank"] == self.rank
                if failure is None or (failure["rank"] == self.rank and not noticed):
                    continue
                since = since or time.monotonic()
                if time.monotonic() - since > PATIENCE_S:
                    if noticed:
                        write_line(f"error: {failure['sentence']}")
                    os._exit(2)  # it waits for what will not come: a read, or an operation of all
            self.store.set(process_of(self.rank), "")  # it goes, and is not missed
        except RuntimeError:  # the store is gone, and whoever waits for its processes will see it
            return


class Neighbour:
    """The process that another one listens to."""

    def __init__(self, rank: int, store: Any) -> None:
        self.rank, self.store = rank, store
        self.heard, self.silent = 0, 0

    def is_dead(self) -> bool:
        """Asked once in each beat. One that is silent may only be slow: of this machine, it is known which are gone."""
        heard = self.store.add(beat_of(self.rank), 0)
        self.silent = self.silent + 1 if heard == self.heard else 0
        self.heard = heard
        if not heard or self.silent < SILENT:
            return False
        return is_dead(self.store.get(process_of(self.rank)).decode(), Path())


def beat_of(rank: int) -> str:
    """Where the signs of life of a process are counted."""
    return f"simcrop/beat/{rank}"


def process_of(rank: int) -> str:
    """Where it says which process of which machine it is, as a lock file does; nothing once it has gone its way."""
    return f"simcrop/process/{rank}"

"""The processes of one start of a run find one another in a store that may still hold what an earlier start left there.

No axes or units beside seconds. A launcher that starts all processes again gives them the store of those that died, and
an address that is read from it may be one of theirs.
"""

import secrets
import time
from typing import Any

from simcrop.errors import SimcropError

LOOKS_S = 0.02


def meeting(store: Any, rank: int, world: int, seconds: float) -> str:
    """A name that all processes of this start know and no earlier one knew. Raises SimcropError where one stays away.

    The first calls out a name; each other answers the call that it hears with a word of its own; once all have answered
    the new name the first repeats their words, which no earlier start can know.
    """
    until = time.monotonic() + seconds
    return call(store, world, until) if rank == 0 else answer(store, rank, world, until)


def call(store: Any, world: int, until: float) -> str:
    name, words = secrets.token_hex(8), {}
    store.set("simcrop/call", name)
    while len(words) < world - 1:
        wait(until, f"{len(words) + 1} of {world} processes have come")
        for rank in range(1, world):
            heard, _, word = heard_from(store, f"simcrop/answer/{rank}").partition(" ")
            if heard == name:
                words[rank] = word
    for rank, word in words.items():
        store.set(f"simcrop/heard/{rank}", f"{word} {name}")
    return name


def answer(store: Any, rank: int, world: int, until: float) -> str:
    mine = secrets.token_hex(8)
    while True:
        store.set(f"simcrop/answer/{rank}", f"{heard_from(store, 'simcrop/call')} {mine}")
        word, _, name = heard_from(store, f"simcrop/heard/{rank}").partition(" ")
        if word == mine:
            return name
        wait(until, f"rank {rank} of {world} waits for the others")


def heard_from(store: Any, key: str) -> str:
    """What stands there, or nothing."""
    return store.get(key).decode() if store.check([key]) else ""


def wait(until: float, what: str) -> None:
    """In Python, so that a signal is heard meanwhile."""
    if time.monotonic() > until:
        raise SimcropError("no-answer", f"{what}, and no more within the time: see what became of the others")
    time.sleep(LOOKS_S)

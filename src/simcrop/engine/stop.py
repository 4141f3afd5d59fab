"""Requests to stop: Ctrl-C, a terminal that is closed, and what a scheduler sends before it takes the machine away.

No axes or units beside seconds. Schedulers and launchers signal whole process groups, and torchrun passes on what it
gets: one request may arrive several times within moments.
"""

import atexit
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
AGAIN_S = 3.0  # a Ctrl-C so long after the first is a second one, and no echo of it


class StopRequest:
    """`stop` becomes true with the first signal; the step in progress is then finished and saved, whatever else comes.
    A second Ctrl-C, some seconds after, ends at once, back to the newest checkpoint.

    While there is no step that could be saved, `in_step` is false and the first signal ends at once.
    """

    def __init__(self) -> None:
        self.in_step, self.since = False, None
        self.launcher = os.getppid() if "TORCHELASTIC_RUN_ID" in os.environ else None

    @property
    def stop(self) -> bool:
        """A torchrun that is killed cannot pass anything on: its processes find themselves without it."""
        orphaned = self.launcher is not None and os.getppid() != self.launcher
        return self.since is not None or orphaned

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del frame
        now = time.monotonic()
        if self.since is None:
            self.since = now
            if not self.in_step:
                raise KeyboardInterrupt
        elif number == signal.SIGINT and now - self.since >= AGAIN_S:
            raise KeyboardInterrupt


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catch the signals; a block within such a block shares its request. A thread that may not set handlers goes
    without.
    """
    outer = signal.getsignal(signal.SIGTERM)
    if isinstance(outer, StopRequest):
        yield outer
        return
    request = StopRequest()
    try:
        before = {number: signal.signal(number, request) for number in heeded()}
    except ValueError:
        before = {}
    try:
        yield request
    finally:
        if request.since is not None:
            atexit.register(ignore_stop_signals)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def steps_to_save(request: StopRequest) -> Iterator[None]:
    """A block in which a request is heeded by whoever runs it."""
    request.in_step = True
    try:
        yield
    finally:
        request.in_step = False


def heeded() -> list[signal.Signals]:
    """All of them, but not the end of the terminal for what was started to outlive it, as nohup does."""
    outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in STOP_SIGNALS if not (outlives and number == signal.SIGHUP)]


def ignore_stop_signals() -> None:
    """For a process that is about to end, or is ended by its parent."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)

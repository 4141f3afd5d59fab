"""Places beside the journal that are told every row of it, by the main process alone. No axes or units."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Protocol, runtime_checkable

from simcrop.engine.journal import Journal, Row


@runtime_checkable
class Sink(Protocol):
    """Open when it is made."""

    def write(self, row: Row) -> None: ...

    def close(self) -> None: ...


# Given the rows that the journal keeps: of a run that is continued those up to its checkpoint, else none.
OpenSink = Callable[[Sequence[Row]], Sink]


@contextmanager
def opened(sinks: Sequence[OpenSink], journal: Journal | None) -> Iterator[list[Sink]]:
    """All of `sinks`, closed with the block; none where there is no journal."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(sink)) for sink in made(sinks, journal)]


def made(sinks: Sequence[OpenSink], journal: Journal | None) -> Iterator[Sink]:
    """One after the other; nobody keeps the rows that they are given, which are many where a long run goes on."""
    if journal is not None and sinks:
        rows = journal.rows()
        yield from (sink(rows) for sink in sinks)

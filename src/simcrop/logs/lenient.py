"""A sink that may fail, as when the disk is full: then one line is said, and the run goes on without it. No units."""

from collections.abc import Callable, Sequence
from pathlib import Path

from simcrop.engine.journal import Row
from simcrop.engine.sinks import Sink
from simcrop.errors import printable

# Opens a sink that is empty: whatever it wrote into its folder before is gone.
Begin = Callable[[Path], Sink]


class Lenient:
    """Writes the rows that the journal kept anew, and then each that comes.

    So a run that was killed has every step once, a torn file is whole again, and a sink that is switched on late, or
    was dropped, has all steps, too.
    """

    def __init__(
        self, name: str, begin: Begin, folder: Path, tell: Callable[[str], None], earlier: Sequence[Row]
    ) -> None:
        self.name, self.tell = name, tell
        self.sink: Sink | None = None
        self.attempt(lambda: self.begin(begin, folder, earlier))

    def begin(self, begin: Begin, folder: Path, earlier: Sequence[Row]) -> None:
        self.sink = begin(folder)
        for row in earlier:
            self.sink.write(row)

    def write(self, row: Row) -> None:
        if (sink := self.sink) is not None:
            self.attempt(lambda: sink.write(row))

    def close(self) -> None:
        if (sink := self.sink) is not None:
            self.sink = None
            self.attempt(sink.close)

    def attempt(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001
            # Other people's code, which raises what it likes; curves are not worth a run.
            self.tell(
                f"log.{self.name} is given up: {words_of(error)}; the run goes on, journal.jsonl has all"
            )
            self.close_quietly()

    def close_quietly(self) -> None:
        """What can still be let go of, without a second line."""
        sink, self.sink = self.sink, None
        self.tell = unheard
        if sink is not None:
            self.attempt(sink.close)


def unheard(line: str) -> None:
    """Of a sink that was given up already."""
    del line


def words_of(error: Exception) -> str:
    """One short line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {printable(str(error))[:160]}"

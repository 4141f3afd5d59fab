"""An older run that is overwritten: it lies aside, in the same folder, until the new one has taken its first step.

No axes or units. Nothing is copied. A process that is killed in between leaves no doubt whose a file is: `run.json` is
moved aside as the last, and comes back as the first.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from simcrop.engine.progress import Progress
from simcrop.files.whole import writing
from simcrop.tasks.folder import REPLACED, RUN, empty, in_turn, names_in, reserved, unspoiled

JOURNAL = "journal.jsonl"
Told = ParamSpec("Told")
Done = TypeVar("Done")


class Replaced:
    """What lies aside of the run in `path`. `steps`: a pattern of the files that a run has once it took a step."""

    def __init__(self, path: Path, steps: str = JOURNAL) -> None:
        self.path, self.aside, self.steps, self.moved = path, path / REPLACED, steps, False

    @contextmanager
    def or_put_back(self) -> Iterator[None]:
        """A block in which a run may be replaced; where it ends before the new one has a step, the old one is back."""
        self.recover()
        try:
            yield
        except BaseException:
            self.put_back()
            raise

    def set_aside(self, path: Path) -> None:
        """All that is in the folder, so that it is as good as empty. A run without a step is not worth it."""
        if not (path / RUN).is_file():
            empty(path)
            return
        if self.aside.is_dir() and self.has_steps():
            self.let_go()
        self.moved = True
        if self.aside.is_dir():
            empty(path, keep=self.aside)
            return
        self.aside.mkdir()
        for name in sorted(names_in(path) - {REPLACED}, key=in_turn, reverse=True):
            (path / name).rename(self.aside / name)

    def has_steps(self) -> bool:
        return any(file.is_file() and file.stat().st_size > 0 for file in self.path.glob(self.steps))

    def let_go(self) -> None:
        """The new one has begun. What cannot be removed now is removed when it goes on."""
        self.moved = False
        with suppress(OSError):
            empty(self.aside)
            self.aside.rmdir()

    def put_back(self) -> None:
        """As if there had been no other."""
        if self.moved and self.aside.is_dir():
            if (
                self.aside / RUN
            ).is_file():  # else the old one is not all there, and what is beside it is its own
                empty(self.path, keep=self.aside)
            self.move_back()

    def recover(self) -> None:
        """What a process that was killed left halfway between, before there was another run."""
        if self.aside.is_dir() and not ((self.path / RUN).exists() and (self.aside / RUN).exists()):
            self.move_back()

    def move_back(self) -> None:
        with writing(self.path):
            for name in sorted(names_in(self.aside), key=in_turn):
                (self.aside / name).rename(self.path / name)
            self.aside.rmdir()

    def until_a_step(self, progress: Progress) -> Progress:
        """The same progress, which lets go of what lies aside when it is first told of a step."""
        first = True

        def told(done: int, total: int, words: str) -> None:
            nonlocal first
            if first:
                self.let_go()
            first = False
            progress(done, total, words)

        return told

    def until_done(self, step: Callable[Told, Done]) -> Callable[Told, Done]:
        """The same step, which lets go of what lies aside once it is done."""

        def did(*args: Told.args, **named: Told.kwargs) -> Done:
            done = step(*args, **named)
            self.let_go()
            return done

        return did


@contextmanager
def replacing(path: Path, steps: str, overwrite: bool) -> Iterator[Replaced]:
    """The folder of a job, for it alone: what ends before a step leaves it as it was."""
    replaced = Replaced(path, steps)
    with reserved(path), replaced.or_put_back(), ExitStack() as folder:
        if not (overwrite and (path / RUN).is_file()):
            folder.enter_context(unspoiled(path))
        yield replaced

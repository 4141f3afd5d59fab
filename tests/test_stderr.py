"""Nobody reads any more: the work goes on to its end, and its exit code stays."""

import errno
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from simcrop.engine.progress import TerminalProgress
from simcrop.stderr import Heedless

BIN = Path(sys.executable).with_name("simcrop")
WORK = "import sys; from simcrop.stderr import write_line; [write_line('x') for _ in range(3)]; sys.exit(5)"


def closed_pipe() -> int:
    """The end to write to of one that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    return write


def closed_terminal() -> int:
    master, slave = pty.openpty()
    os.close(master)
    return slave


def code_of(*words: object, **streams: int) -> int:
    done = subprocess.run(list(map(str, words)), timeout=120, check=False, **streams)
    for stream in streams.values():
        if stream != subprocess.PIPE:
            os.close(stream)
    return done.returncode


def test_work_outlives_whoever_read_of_it() -> None:
    assert code_of(sys.executable, "-c", WORK, stderr=closed_pipe()) == 5
    assert code_of(sys.executable, "-c", WORK, stderr=closed_terminal()) == 5


def test_an_error_that_nobody_reads_is_still_an_error() -> None:
    assert code_of(BIN, "nonsense", stderr=closed_pipe()) == 2


def test_a_verb_whose_result_nobody_reads_ends_without_a_word() -> None:
    done = subprocess.run(
        [BIN, "recipe", "list"],
        stdout=(pipe := closed_pipe()),
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )
    os.close(pipe)
    assert (done.returncode, done.stderr) == (141, b"")


class Full:
    """A log on a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", text)


def test_words_that_the_disk_does_not_take_are_left_out() -> None:
    assert Heedless(Full()).write("x") == 1


def test_a_bar_is_drawn_on_a_terminal_that_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        bar = TerminalProgress("pretrain")
        bar(1, 3, "")
        os.close(master)
        bar(2, 3, "")
        bar(3, 3, "")
        terminal.flush()

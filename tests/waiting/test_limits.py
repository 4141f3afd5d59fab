"""What waits for a signal waits only so long, and takes its processes with it; also where a shell had it ignored."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

DEAF = 'trap "" INT TERM USR1; sleep 100 & wait'


def test_a_wait_that_takes_too_long_fails_and_kills_whole_groups(
    limited: Callable[[float], AbstractContextManager[None]],
) -> None:
    deaf = subprocess.Popen(["sh", "-c", DEAF], start_new_session=True)
    with pytest.raises(pytest.fail.Exception, match=r"waited longer than 0\.4 s"), limited(0.4):
        deaf.wait()
    assert deaf.wait(10) == -signal.SIGKILL
    deadline = time.monotonic() + 10
    with suppress(ProcessLookupError):
        while True:
            os.killpg(deaf.pid, 0)
            assert time.monotonic() < deadline, "its child outlived it"
            time.sleep(0.01)


def test_a_block_that_ends_in_time_leaves_the_outer_limit_as_it_was(
    limited: Callable[[float], AbstractContextManager[None]],
) -> None:
    def inner_in_time() -> None:
        with limited(20):
            pass
        time.sleep(20)

    with pytest.raises(pytest.fail.Exception, match=r"than 0\.3 s"), limited(0.3):
        inner_in_time()


def test_tests_hear_the_signals_that_their_parent_ignored_or_blocked(tmp_path: Path) -> None:
    """A run of pytest begun as a shell begins a background job, and worse."""
    (tmp_path / "test_deaf.py").write_text(
        textwrap.dedent("""
            import os, signal, subprocess, sys
            import pytest

            @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
            def test_child_hears(number):
                child = subprocess.Popen([sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"],
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                child.stdout.readline()
                os.kill(child.pid, number)
                assert child.wait(20) == -number
        """)
    )

    def deafen() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])

    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "limits",
        "-o",
        "addopts=",
        str(tmp_path),
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    ran = subprocess.run(
        command, preexec_fn=deafen, capture_output=True, text=True, timeout=100, cwd=tmp_path, env=environment
    )
    assert "3 passed" in ran.stdout, ran.stdout[-2000:]

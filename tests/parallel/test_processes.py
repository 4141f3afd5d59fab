"""The pool of ingest when its workers die. Scripts of their own, as a new process must be able to import the work."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.limit(400)
PATIENCE = 150  # seconds for what takes two where nothing else runs
DEADLY = """
import os, signal
from simcrop.parallel.processes import each

def square(n):
    if n == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return n * n

def report_death(n):
    return -n

if __name__ == "__main__":
    print(*sorted(each(square, range(5, 10), 2, report_death)))
"""

UNGUARDED = """
import sys
from simcrop.parallel.processes import each
from simcrop.errors import SimcropError

try:
    list(each(abs, [1, 2], 2, abs))
except SimcropError as error:
    sys.exit(error.reason)
"""


def run(tmp_path: Path, script: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "script.py"
    path.write_text(script)
    pipe, command = subprocess.PIPE, [sys.executable, str(path)]
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    try:
        output, errors = process.communicate(timeout=PATIENCE)
    finally:  # workers that hold its pipes would keep whoever reads them waiting
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def test_job_that_kills_its_worker_costs_only_itself(tmp_path: Path) -> None:
    assert run(tmp_path, DEADLY).stdout.split() == ["-7", "25", "36", "64", "81"]


def test_script_without_a_main_guard_gets_one_line_and_no_hang(tmp_path: Path) -> None:
    done = run(tmp_path, UNGUARDED)
    assert done.returncode == 1
    # On a busy machine Python's resource tracker may add a warning of its own below.
    assert "no-workers" in done.stderr.splitlines()


LOCKED = """
import multiprocessing, os, signal, threading
from simcrop.parallel.processes import await_end

def hold(lock, held):
    with lock:
        held.set()
        signal.pause()

def wait_for(lock):
    with lock:
        pass

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    lock, held = context.Lock(), context.Event()
    holder, other = context.Process(target=hold, args=(lock, held)), context.Process(target=wait_for, args=(lock,))
    holder.start()
    held.wait()
    other.start()
    if BEFORE:
        os.kill(holder.pid, signal.SIGKILL)
        holder.join()
    else:
        threading.Timer(0.5, os.kill, (holder.pid, signal.SIGKILL)).start()
    await_end([holder, other])
    print(holder.exitcode, other.exitcode)
"""


@pytest.mark.parametrize("before", [True, False])
def test_a_worker_killed_while_it_holds_the_queue_does_not_keep_the_others_waiting(
    tmp_path: Path, before: bool
) -> None:
    """Killed before anyone looks, or while all are awaited."""
    assert run(tmp_path, f"BEFORE = {before}\n{LOCKED}").stdout.split() == ["-9", "-15"]

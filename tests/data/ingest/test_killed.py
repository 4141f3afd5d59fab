"""What a killed ingest leaves behind, what a full disk does, and that the same call ends with the same cohort."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from simcrop.data.ingest import ingest
from simcrop.data.ingest.job import Job, store_scan
from simcrop.data.ingest.journal import Record
from simcrop.data.store.cohort import open_cohort
from simcrop.errors import SimcropError

pytestmark = pytest.mark.limit(500)
PATIENCE = 150  # seconds
KILLED = """
import os, signal, sys
from simcrop.data.ingest import ingest
def stop(done, total, id):
    if done == 2:
        os.kill(os.getpid(), signal.SIGKILL)
if __name__ == "__main__":
    ingest(sys.argv[1], "folder", sys.argv[2], workers=int(sys.argv[3]), progress=stop)
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_ingest_continues_to_the_same_result(
    source: Path, tmp_path: Path, workers: int, content: Callable[[Path], dict[str, object]]
) -> None:
    whole, broken, script = tmp_path / "whole", tmp_path / "broken", tmp_path / "killed.py"
    ingest(source, "folder", whole)
    script.write_text(KILLED)
    kill_halfway(script, source, broken, workers)
    with pytest.raises(SimcropError, match="run the same ingest again") as caught:
        open_cohort(broken)
    assert caught.value.reason == "unfinished"

    with (broken / "ingest.jsonl").open("ab") as journal:
        journal.write(b'{"id": "patient4__ct", "status": "ta')
    (broken / "volumes/.patient4__ct.b2nd.77.tmp").write_bytes(b"half")
    before = {p.name: p.stat().st_mtime_ns for p in (broken / "volumes").glob("*.b2nd")}
    result = ingest(source, "folder", broken)
    assert (result.taken, result.resumed) == (5, 2)
    assert content(broken) == content(whole)
    kept = [name for name, at in before.items() if (broken / "volumes" / name).stat().st_mtime_ns == at]
    assert len(kept) == 2


def test_what_a_worker_left_half_written_is_not_in_the_cohort(
    source: Path,
    tmp_path: Path,
    content: Callable[[Path], dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ingest(source, "folder", tmp_path / "whole")

    def leaving(jobs: list[Job]) -> Iterator[Record]:
        """As a pool does whose worker or machine dies in the middle of a file: another takes over its job."""
        for job in jobs:
            job.target.with_name(f".{job.target.name}.elsewhere-77.tmp").write_bytes(b"half")
            yield store_scan(job)

    monkeypatch.setattr("simcrop.data.ingest.run.pool_of", lambda *_: leaving)
    ingest(source, "folder", tmp_path / "left")
    assert content(tmp_path / "left") == content(tmp_path / "whole")


def test_overwriting_that_was_stopped_goes_on_beside_what_runs_have_kept(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(source, "folder", tmp_path / "c")
    (tmp_path / "c/sentences").mkdir()

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("simcrop.data.ingest.run.job_of", stopped)
        with pytest.raises(KeyboardInterrupt):
            ingest(source, "folder", tmp_path / "c", overwrite=True)
    assert not (tmp_path / "c/ingest.jsonl").exists()
    assert ingest(source, "folder", tmp_path / "c").taken == 5


def kill_halfway(script: Path, source: Path, out: Path, workers: int) -> None:
    """An ingest that ends in the middle, and its workers with it: they see their parent die."""
    command = [sys.executable, str(script), str(source), str(out), str(workers)]
    killed = subprocess.Popen(command, start_new_session=True)
    try:
        assert killed.wait(PATIENCE) == -signal.SIGKILL
        deadline = time.monotonic() + PATIENCE
        while alive(killed.pid):
            assert time.monotonic() < deadline, "a worker outlived its parent"
            time.sleep(0.02)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(killed.pid, signal.SIGKILL)
        killed.wait(PATIENCE)


def alive(group: int) -> bool:
    """Whether anybody of it still works; the dead stand there until the machine's first process buries them."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False


def test_workers_die_with_their_parent(source: Path, tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    kill_halfway(script, source, tmp_path / "c", 2)


def test_full_disk_stops_with_one_line_and_can_continue(source: Path, tmp_path: Path) -> None:
    script = (
        "import resource, sys\n"
        "from simcrop.data.ingest import ingest\n"
        "from simcrop.errors import SimcropError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))\n"
        "try:\n    ingest(sys.argv[1], 'folder', sys.argv[2])\n"
        "except SimcropError as error:\n    sys.exit(f'{error.reason}: {error.sentence}')\n"
    )
    command = [sys.executable, "-c", script, str(source), str(tmp_path / "c")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert done.stderr.startswith("disk-full: ")
    assert len(done.stderr.splitlines()) == 1
    assert list((tmp_path / "c/volumes").iterdir()) == []
    assert ingest(source, "folder", tmp_path / "c").taken == 5


def test_target_that_cannot_be_written_is_one_line(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SimcropError, match="cannot be written") as caught:
        ingest(source, "folder", tmp_path / "file/c")
    assert caught.value.reason == "write-failed"

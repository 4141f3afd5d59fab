"""W&B's offline run, taken apart by its own messages; never online, whatever the environment says."""

import getpass
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simcrop.engine.journal import Row
from simcrop.logs.wandb import Wandb

BLOCK, HEAD = 32768, 7  # bytes: of the log format of LevelDB, which is that of the file


@pytest.fixture(autouse=True)
def installed(needs: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    needs("wandb")
    import wandb

    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    yield
    wandb.teardown()


def write(folder: Path, rows: list[Row], settings: dict[str, int | float] | None = None) -> None:
    sink = Wandb(folder, "first", settings or {})
    for row in rows:
        sink.write(row)
    sink.close()


def messages(folder: Path) -> list[Any]:
    """The records of the only run: parts are whole (1), first (2), middle (3) or last (4)."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("offline-run-*/run-*.wandb")
    data, at, whole, found = path.read_bytes(), HEAD, b"", []
    assert data.startswith(b":W&B")
    while at + HEAD <= len(data):
        if BLOCK - at % BLOCK < HEAD:
            at += BLOCK - at % BLOCK
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + HEAD])
        whole += data[at + HEAD : at + HEAD + length]
        at += HEAD + length
        if kind in (1, 4):
            found.append(Record.FromString(whole))
            whole = b""
    return found


def history(folder: Path) -> list[dict[str, Any]]:
    rows = []
    for message in messages(folder):
        if message.WhichOneof("record_type") == "history":
            items = message.history.item
            rows.append(
                {(item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in items}
            )
    return rows


def test_every_number_is_in_the_offline_run_under_its_step(tmp_path: Path, rows: list[Row]) -> None:
    write(tmp_path / "wandb", rows, {"optim.lr": 0.1})
    told = history(tmp_path / "wandb")
    assert [row["_step"] for row in told] == [1, 2, 3, 4, 5, 6]
    assert [row.get("painted") for row in told] == [1.5, 3.0, 4.5, 6.0, None, 9.0]
    assert told[2]["monitored/gap"] == -0.5
    assert (told[3]["unread"], told[4]["skipped"]) == (2, 1)
    (run,) = [m.run for m in messages(tmp_path / "wandb") if m.WhichOneof("record_type") == "run"][:1]
    assert {item.key: item.value_json for item in run.config.update}["optim.lr"] == "0.1"


def test_a_run_that_goes_on_is_one_run_of_the_same_id_with_each_step_once(
    tmp_path: Path, rows: list[Row]
) -> None:
    write(tmp_path / "wandb", rows)
    (before,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    write(tmp_path / "wandb", [*rows[:2], *({**row, "loss": 100.0} for row in rows[2:4])])
    (after,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert before.name == after.name
    told = [(row["_step"], row["loss"]) for row in history(tmp_path / "wandb")]
    assert told == [(1, 8.0), (2, 4.0), (3, 100.0), (4, 100.0)]


def test_no_name_of_a_study_of_this_machine_or_of_its_user_is_kept(tmp_path: Path, rows: list[Row]) -> None:
    write(tmp_path / "wandb", rows)
    (sent,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    data = sent.read_bytes()
    assert b"painted" in data
    for name in ("train_9", "train_7", f"/{getpass.getuser()}", str(tmp_path)):
        assert name.encode() not in data
    runs = [m.run for m in messages(tmp_path / "wandb") if m.WhichOneof("record_type") == "run"]
    assert {run.host for run in runs} == {""}
    kept = {path.name for path in (tmp_path / "wandb").rglob("*") if path.is_file()}
    assert not kept & {"requirements.txt", "wandb-metadata.json", "output.log"}


def services() -> list[int]:
    """The library's own processes below this one."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    stats = {pid: words_of(pid) for pid in pids}
    mine = ["(wandb-core)", str(os.getpid())]
    return [pid for pid, words in stats.items() if words[1:4:2] == mine and words[2] != "Z"]


def words_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()
    except OSError:
        return []


def test_a_closed_run_leaves_no_process_behind(tmp_path: Path, rows: list[Row]) -> None:
    sink = Wandb(tmp_path / "wandb", "first", {})
    assert len(services()) == 1
    sink.write(rows[0])
    sink.close()
    assert services() == []


# In a process of its own: the library never asks what became of its service, which Python tells at the very end.
KILLED = """
import os, signal, sys, time
from functools import partial
from pathlib import Path

from simcrop.logs.lenient import Lenient
from simcrop.logs.wandb import Wandb

def parent(path):
    try:
        name, state, parent = path.read_text().split()[1:4]
    except OSError:
        return 0
    return int(parent) if name == "(wandb-core)" else 0

told = []
sink = Lenient("wandb", partial(Wandb, name="first", settings={}), Path(sys.argv[1]), told.append, [])
(service,) = [path for path in Path("/proc").glob("[0-9]*/stat") if parent(path) == os.getpid()]
os.kill(int(service.parent.name), signal.SIGKILL)
deadline = time.monotonic() + 90
while not told and time.monotonic() < deadline:
    sink.write({"step": 1, "loss": 2.0})
sink.close()
print(*told, sep=chr(10))
"""


def test_a_service_that_is_killed_is_one_line_also_at_the_end(tmp_path: Path) -> None:
    words = [sys.executable, "-c", KILLED, str(tmp_path / "wandb")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=150, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    assert line.startswith("log.wandb is given up: ")
    assert line.endswith("; the run goes on, journal.jsonl has all")


def test_a_run_that_the_caller_has_open_stays_his(tmp_path: Path, rows: list[Row]) -> None:
    import wandb

    theirs = wandb.init(mode="offline", dir=tmp_path / "theirs", settings=wandb.Settings(silent=True))
    write(tmp_path / "run" / "wandb", rows)
    deadline = time.monotonic() + 90
    while len(messages(tmp_path / "run" / "wandb")) < len(rows) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [row["_step"] for row in history(tmp_path / "run" / "wandb")] == [1, 2, 3, 4, 5, 6]
    assert wandb.run is theirs
    theirs.log({"mine": 1})
    theirs.finish()

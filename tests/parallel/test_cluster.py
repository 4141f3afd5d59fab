"""Ingest and embed on a local Ray cluster of two machines, one of which dies: what one process gives, bit for bit.

The head of the cluster works, too: a third machine would only be more to start. The cluster and the commands run
in processes of their own, bound to this machine.
"""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from simcrop.data.ingest import ingest
from simcrop.errors import SimcropError
from simcrop.parallel.cluster import Need, check_address, connected, need_of, places, resources

pytestmark = pytest.mark.limit(900)
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
here = {"node_ip_address": "127.0.0.1", "object_store_memory": 80 * 2**20}
cluster = Cluster(head_node_args={"num_cpus": 1, "include_dashboard": False, **here}, initialize_head=True)
machines = [cluster.add_node(num_cpus=1, **here)]
print(cluster.address, flush=True)
for line in sys.stdin:
    if line == "kill\\n":
        cluster.remove_node(machines.pop(), allow_graceful=False)
        print("killed", flush=True)
    if line == "replace\\n":
        machines.append(cluster.add_node(num_cpus=1, **here))
        print("replaced", flush=True)
cluster.shutdown()
"""
THREADS = 2
LOOPBACK = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="the extra ray is not installed"
)


@dataclass(frozen=True)
class RunningCluster:
    process: subprocess.Popen[str]
    address: str
    environment: dict[str, str]

    def say(self, word: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def begin(self, *words: object) -> subprocess.Popen[str]:
        """`simcrop` as a driver of the cluster, with threads of its own: those of the machines must follow it."""
        argv = [sys.executable, "-m", "simcrop", *map(str, words), "--ray", self.address]
        pipe = subprocess.PIPE
        environment = self.environment | {"OMP_NUM_THREADS": str(THREADS)}
        return subprocess.Popen(argv, env=environment, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with TemporaryDirectory(prefix="ray", dir="/tmp") as folder:  # Ray's sockets need a short path
        (Path(folder) / "ray").mkdir()
        environment = os.environ | LOOPBACK | {"RAY_TMPDIR": folder}
        process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        yield RunningCluster(process, process.stdout.readline().strip(), environment)
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


@needs_ray
def test_cluster_that_loses_a_machine_gives_the_cohort_of_one_process(
    cluster: RunningCluster,
    tmp_path: Path,
    scan: Callable[..., np.ndarray],
    save: Callable[..., Path],
    content: Callable[[Path], dict[str, object]],
) -> None:
    raw, out = tmp_path / "raw", tmp_path / "c"
    for i in range(24):
        save(raw / f"p{i}/ct.nii.gz", scan(i, (95, 83, 41)))
    (raw / "p5/ct.nii.gz").write_bytes(b"torn")
    running = cluster.begin("ingest", raw, "--out", out)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and len(volumes(out)) < 4:
        time.sleep(0.01)
    assert cluster.say("kill") == "killed"
    assert running.poll() is None, "it was over before the machine died"
    output, errors = running.communicate(timeout=180)
    assert (running.returncode, output) == (1, f"23 taken, 1 refused: {out}/ledger.parquet\n"), errors
    ingest(raw, "folder", tmp_path / "one")
    one, many = content(tmp_path / "one"), content(out)
    assert {name: many[name] for name in one} == one
    assert cluster.say("replace") == "replaced"


def volumes(out: Path) -> list[Path]:
    return list((out / "volumes").glob("*.b2nd"))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@needs_ray
def test_embeddings_of_a_cluster_are_those_of_one_process(
    cluster: RunningCluster, line, tmp_path: Path
) -> None:
    from simcrop.tasks.features.embed import embed

    running = cluster.begin("embed", line.run, line.cohort, "--out", tmp_path / "many")
    output, errors = running.communicate(timeout=180)
    assert running.returncode == 0, errors
    with torch_threads(THREADS):
        embed(str(line.run), line.cohort, tmp_path / "one")
    tables = [pl.read_parquet(tmp_path / name / "embeddings.parquet") for name in ("one", "many")]
    assert tables[0].equals(tables[1])
    assert output == f"{tables[0].height} scans in {tmp_path}/many/embeddings.parquet\n"


@pytest.mark.parametrize(
    ("machines", "threads", "gpu", "need", "at_once"),
    [
        ([(16, 0), (8, 0)], 4, False, Need(4, 0), 6),
        ([(16, 0), (0, 0)], 1, False, Need(1, 0), 16),
        ([(16, 2), (64, 0)], 4, True, Need(4, 1), 2),  # a card for each job, and none without
        ([(16, 2), (64, 0)], 4, False, Need(4, 0), 20),
        ([(16, 8)], 4, True, Need(4, 1), 4),
        ([(16, 0)], 4, True, Need(4, 0), 4),
        ([(2, 0), (1, 0)], 8, False, Need(2, 0), 1),  # more threads than any machine has cores
        ([], 4, True, Need(1, 0), 0),
    ],
)
def test_a_job_asks_for_the_cores_of_its_threads_and_for_a_card_where_there_are_any(
    machines: list[tuple[int, int]], threads: int, gpu: bool, need: Need, at_once: int
) -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": float(cpus), "memory": 1e9} | ({"GPU": gpus} if gpus else {})}
        for cpus, gpus in machines
    ]
    dead = {"Alive": False, "Resources": {"CPU": 99.0, "GPU": 9.0}}
    found = resources(SimpleNamespace(nodes=lambda: [dead, *nodes]))
    assert need_of(found, threads, gpu) == need
    assert places(found, need) == at_once


@pytest.mark.parametrize("address", ["here", "ray://10.0.0.1:10001", "host:", ":6379", "host:99999", "h:x"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SimcropError, match="expected auto or host:port"):
        check_address(address)


def test_what_ray_prints_at_its_end_stays_off_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loud = SimpleNamespace(init=lambda **_: None, shutdown=lambda: print("(raylet) terminated"))  # noqa: T201
    monkeypatch.setitem(sys.modules, "ray", loud)
    monkeypatch.setattr("simcrop.parallel.cluster.check_cluster", lambda _: None)
    with connected("auto") as ray:
        assert ray is loud
    assert capsys.readouterr() == ("", "(raylet) terminated\n")


@needs_ray
def test_no_cluster_is_one_line(simcrop: Callable, line, tmp_path: Path) -> None:
    refusal = simcrop(
        "ingest", line.raw, "--layout", "ct-rate", "--out", tmp_path / "c", "--ray", "127.0.0.1:1"
    ).refusal
    assert "no Ray cluster there" in refusal
    assert not (tmp_path / "c").exists()


def test_without_the_extra_the_command_that_mends_it_is_said(
    simcrop: Callable, line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "ray" else real(name, *a)
    )
    for words in (("ingest", line.raw, "--layout", "ct-rate"), ("embed", line.run, line.cohort)):
        refusal = simcrop(*words, "--out", tmp_path / "out", "--ray", "auto").refusal
        assert refusal == "--ray needs Ray, which is not installed: pip install 'simcrop[ray]'"
        assert not (tmp_path / "out").exists()

"""The pool on the machines of an existing Ray cluster. A machine that dies costs the time of its jobs.

No axes or units. The cluster must be of one trust: what runs on it can read and write what its user can.
"""

import importlib.util
import logging
import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

from simcrop.errors import SimcropError
from simcrop.parallel.processes import ONE_THREAD

RETRIES = 3  # of a job whose process or machine died
PATIENCE_S = 600.0  # with jobs to do and no machine to do them
LOOK_S = 15.0
CONNECT_S = 5.0


@dataclass(frozen=True)
class Machine:
    """What one has for jobs."""

    cpus: int
    gpus: int


@dataclass(frozen=True)
class Need:
    """What one job takes of a machine: as many cores as it has threads, and a GPU or none."""

    threads: int = 1
    gpus: int = 0

    @property
    def options(self) -> dict[str, Any]:
        """As Ray asks for it. Of cards that a job does not ask for it sees none."""
        return {"num_cpus": self.threads, "num_gpus": self.gpus, "max_retries": RETRIES}


def each_on_ray(
    work: Callable[[Any], Any],
    jobs: Iterable[Any],
    address: str,
    died: Callable[[Any], Any],
    threads: int = 1,
    gpu: bool = False,
) -> Iterator[Any]:
    """`work(job)` for every job, in the order of completion; `died(job)` for one whose process dies again and again.

    `work` must be importable on every machine, and computes with so many `threads`; with `gpu` on one card of its own,
    where there are any.
    """
    with connected(address) as ray:
        tasks: dict[Need, Any] = {}
        waiting, running, idle_s = deque(jobs), {}, 0.0
        try:
            while waiting or running:
                # Asked for each time: machines come and go.
                machines = resources(ray)
                need = need_of(machines, threads, gpu)
                if need not in tasks:
                    tasks[need] = ray.remote(**need.options)(on_threads)
                while waiting and len(running) < 2 * max(1, places(machines, need)):
                    job = waiting.popleft()
                    running[tasks[need].remote(work, job, threads)] = job
                done, _ = ray.wait(list(running), num_returns=1, timeout=LOOK_S)
                idle_s = idle_s + LOOK_S if not done and places(resources(ray), need) == 0 else 0.0
                if idle_s >= PATIENCE_S:
                    raise SimcropError(
                        "no-workers",
                        f"--ray {address}: no machine left in the cluster; run the same command again",
                    )
                for reference in done:
                    yield outcome(ray, reference, running.pop(reference), died)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def outcome(ray: Any, reference: Any, job: Any, died: Callable[[Any], Any]) -> Any:
    """What came of one job; an error of ours is raised as it was."""
    lost = ray.exceptions
    try:
        return ray.get(reference)
    except (lost.WorkerCrashedError, lost.NodeDiedError, lost.OutOfMemoryError, lost.ObjectLostError):
        return died(job)
    except lost.RayTaskError as error:
        raise error.cause from None


def on_threads(work: Callable[[Any], Any], job: Any, threads: int) -> Any:
    """On the other machine: one job, and no library takes more threads than it may."""
    for name in ONE_THREAD:
        os.environ[name] = str(threads)
    return work(job)


def resources(ray: Any) -> list[Machine]:
    """Cores and cards of every machine that is alive."""
    alive = (node["Resources"] for node in ray.nodes() if node["Alive"])
    return [Machine(int(has.get("CPU", 0)), int(has.get("GPU", 0))) for has in alive]


def need_of(machines: list[Machine], threads: int, gpu: bool) -> Need:
    """What a job asks for: no more cores than some machine has, or Ray would wait for a larger one for ever."""
    with_gpu = gpu and any(machine.gpus and machine.cpus for machine in machines)
    most = max((machine.cpus for machine in machines if machine.gpus or not with_gpu), default=0)
    return Need(max(1, min(threads, most)), int(with_gpu))


def places(machines: list[Machine], need: Need) -> int:
    """How many jobs can run at once."""
    return sum(
        min(machine.cpus // need.threads, machine.gpus if need.gpus else machine.cpus) for machine in machines
    )


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray as a module, this process being a driver of the cluster at `address`."""
    check_cluster(address)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise no_cluster(address) from error
    # Ray prints of machines that die, some of it only at its end; stdout is the result's.
    with redirect_stdout(sys.stderr):
        try:
            yield ray
        finally:
            ray.shutdown()


def check_cluster(address: str) -> None:
    """What can be said before anything is begun: Ray is an extra, and somebody must answer at `address`."""
    if importlib.util.find_spec("ray") is None:
        raise SimcropError(
            "missing-extra", "--ray needs Ray, which is not installed: pip install 'simcrop[ray]'"
        )
    check_address(address)


def check_address(address: str) -> None:
    """`auto`, or a host and port where something listens: Ray itself would wait for minutes."""
    host, colon, port = address.rpartition(":")
    if address == "auto":
        return
    if not (colon and host and port.isdecimal() and int(port) < 65536) or "/" in host:
        raise SimcropError("bad-setting", f"--ray {address}: expected auto or host:port of a Ray cluster")
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except OSError as error:
        raise no_cluster(address) from error


def no_cluster(address: str) -> SimcropError:
    return SimcropError(
        "no-cluster", f"--ray {address}: no Ray cluster there; `ray start --head` begins one on this machine"
    )

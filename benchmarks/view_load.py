"""`simcrop view` under load: many clients at once, beside them some that only hold connections open.

    python benchmarks/view_load.py COHORT --model MODEL --clients 50 --seconds 60 --json load.json

Prints JSON. The server is a process of its own, started here. Each client asks again and again for what is kept:
the list, a search, a study, its scan, a map, its regions. Counted are answers other than 200 and broken connections;
measured the time until an answer is read whole, in ms, and the server's memory before, at half time and after, in MiB.
Beside them slow clients send headers byte by byte or half an upload, and come back when they are hung up on.
"""

import argparse
import http.client
import json
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

SENTENCE = "There is a nodule in the left upper lobe."
WARM = 3  # seconds of load before memory is first measured


@dataclass
class Seen:
    """What the clients saw: ms of each answer by kind, and what went wrong."""

    ms: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)


def main() -> None:
    chosen = arguments()
    words = [str(chosen.place), *(["--model", chosen.model] if chosen.model else [])]
    command = [sys.executable, "-m", "simcrop", "view", *words, "--port", "0", "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().split("//")[1].split("/")[0].rpartition(":")[2])
            report = loaded(port, server.pid, chosen.clients, chosen.slow, chosen.seconds)
        finally:
            server.terminate()
    text = json.dumps(report, indent=1)
    print(text)
    if chosen.json is not None:
        chosen.json.write_text(text + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("place", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--slow", type=int, default=20, help="Connections that are held open.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def loaded(port: int, server: int, clients: int, slow: int, seconds: float) -> dict[str, Any]:
    requests, sentence_s = prepared(port)
    seen, end = Seen({name: [] for name in requests}), Event()
    threads = [Thread(target=client, args=(port, requests, seen, end, i)) for i in range(clients)]
    threads += [Thread(target=holding, args=(port, i, end)) for i in range(slow)]
    for thread in threads:
        thread.start()
    memory = dict[str, float]()
    for name, pause in (("start", WARM), ("half", seconds / 2), ("end", seconds / 2)):
        time.sleep(pause)
        memory[name] = memory_mib(server)
    end.set()
    for thread in threads:
        thread.join()
    everything = [ms for own in seen.ms.values() for ms in own]
    return {
        "clients": clients,
        "slow_connections": slow,
        "seconds": seconds,
        "requests": len(everything),
        "errors": dict(seen.errors),
        "ms": spread(everything),
        "ms_by_kind": {name: spread(own) for name, own in seen.ms.items()},
        "memory_mib": memory,
        "new_sentence_s": round(sentence_s, 3),
    }


def prepared(port: int) -> tuple[dict[str, tuple[str, str, Any]], float]:
    """What clients ask for, all of it asked for once; and how long a new sentence takes then."""
    key = json.loads(ask(port, "POST", "/api/search", {})[1])["studies"][0]["key"]
    study = f"/api/studies/{key}"
    requests: dict[str, tuple[str, str, Any]] = {
        "about": ("GET", "/api/about", None),
        "list": ("POST", "/api/search", {}),
        "search": ("POST", "/api/search", {"words": "nodule left"}),
        "study": ("GET", study, None),
        "scan": ("GET", f"{study}/scan.nii.gz", None),
    }
    took = 0.0
    asked = {"sentences": [SENTENCE]}
    status, content = ask(port, "POST", f"{study}/maps", asked)
    if status == 200:
        began = time.perf_counter()
        ask(port, "POST", f"{study}/maps", {"sentences": ["A small effusion on the right."]})
        took = time.perf_counter() - began
        found = json.loads(content)["maps"][0]["map"]
        requests["sentence"] = ("POST", f"{study}/maps", asked)
        requests["map"] = ("GET", f"/api/maps/{found}.nii.gz", None)
        requests["regions"] = ("GET", f"/api/maps/{found}/regions", None)
    for method, path, body in requests.values():
        ask(port, method, path, body)
    return requests, took


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        return answered(connection, method, path, body)


def answered(connection: http.client.HTTPConnection, method: str, path: str, body: Any) -> tuple[int, bytes]:
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, {"Content-Type": "application/json", "X-Simcrop": "1"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def client(port: int, requests: dict[str, tuple[str, str, Any]], seen: Seen, end: Event, first: int) -> None:
    """Asks for one thing after the other over one connection, with the pauses of somebody who is in a hurry."""
    names = [*requests]
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        turn = first
        while not end.wait(0.1):
            name = names[turn % len(names)]
            turn += 1
            began = time.perf_counter()
            try:
                status, _ = answered(connection, *requests[name])
            except (OSError, http.client.HTTPException) as error:
                seen.errors[type(error).__name__] += 1
                connection.close()
                continue
            seen.ms[name].append(1000 * (time.perf_counter() - began))
            if status != 200:
                seen.errors[str(status)] += 1


def holding(port: int, number: int, end: Event) -> None:
    """Headers that drip, or half an upload."""
    host = f"Host: 127.0.0.1:{port}\r\n"
    upload = (
        f"POST /api/uploads HTTP/1.1\r\n{host}X-Simcrop: 1\r\nContent-Length: 100000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    while not end.is_set():
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
            slow.sendall((upload if number % 2 else f"GET / HTTP/1.1\r\n{host}X: ").encode())
            while not end.wait(0.5):
                slow.sendall(b"a" if number % 2 == 0 else b"--b\r\n")


def spread(ms: list[float]) -> dict[str, float]:
    if not ms:
        return {}
    return {
        name: round(float(np.percentile(ms, q)), 1) for name, q in (("p50", 50), ("p95", 95), ("max", 100))
    }


def memory_mib(process: int) -> float:
    """Resident."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024, 1)


if __name__ == "__main__":
    main()

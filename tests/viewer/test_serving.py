"""The server as it runs: connections that hold it up hold up nobody else, and its logs say nothing of anybody.

Times in seconds.
"""

import http.client
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE
from threading import Thread
from typing import Any

import pytest
import uvicorn

from simcrop.viewer.guards import Door
from simcrop.viewer.limits import Limits
from simcrop.viewer.own_folder import own_folder
from simcrop.viewer.serve import Wanted, configured, listen, run

LIMITS = replace(Limits(), headers_s=0.6, silence_s=0.6, body_s=1.2, connections=40)
SECRET = "zebrafinchitis"


@pytest.fixture(scope="module")
def port(viewing: Callable[..., Any], cohort: Path, model: Path) -> Iterator[int]:
    """Of a server in a thread of this process."""
    with serving(viewing(cohort, model, **vars(LIMITS))) as (at, _):
        yield at


@contextmanager
def serving(made: Any, limits: Limits = LIMITS) -> Iterator[tuple[int, uvicorn.Server]]:
    """The port, and the server."""
    listening = listen("127.0.0.1", 0)
    at = listening.getsockname()[1]
    server = uvicorn.Server(configured(made.view, Door("127.0.0.1", at), limits))
    thread = Thread(target=lambda: server.run(sockets=[listening]))
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield at, server
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
        made.view.stop()


def ask(port: int, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json", "X-Simcrop": "1"})
        answer = connection.getresponse()
        return answer.status, answer.read()


def connected(port: int, first: bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=10)
    made.sendall(first)
    return made


def ends_within(open_: socket.socket, seconds: float) -> bytes:
    """All that comes until the server hangs up."""
    open_.settimeout(seconds)
    came = b""
    try:
        while piece := open_.recv(65536):
            came += piece
    except ConnectionResetError:
        pass
    return came


def head(port: int, path: str, *lines: str) -> bytes:
    fixed = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "X-Simcrop: 1", *lines, "", ""]
    return "\r\n".join(fixed).encode()


def test_headers_that_never_end_are_hung_up_on(port: int) -> None:
    with closing(connected(port, b"GET / HTTP/1.1\r\nHost: 127")) as slow:
        for _ in range(3):  # a byte now and then does not help
            time.sleep(0.1)
            slow.sendall(b"0")
        assert ends_within(slow, 5) == b""


def test_second_request_of_a_connection_is_watched_as_well(port: int) -> None:
    whole = f"GET /api/about HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with closing(connected(port, whole + b"GET / HTTP/1.1\r\nHo")) as slow:
        assert ends_within(slow, 5).startswith(b"HTTP/1.1 200")


def test_half_bodies_and_half_uploads_are_left(port: int) -> None:
    kinds = {
        "/api/search": "Content-Type: application/json",
        "/api/uploads": "Content-Type: multipart/form-data; boundary=b",
    }
    for path, kind in kinds.items():
        with closing(connected(port, head(port, path, kind, "Content-Length: 1000") + b"--b\r\n")) as slow:
            came = ends_within(slow, 5)
            assert came.startswith(b"HTTP/1.1 408"), path
            assert b"too slowly" in came


def test_client_that_takes_nothing_of_a_file_of_the_page_is_left(
    cohort: Path, viewing: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simcrop.viewer.app.PAGE", tmp_path)
    (tmp_path / "large.js").write_bytes(bytes(40_000_000))  # far more than the buffers on the way hold
    with serving(viewing(cohort), replace(LIMITS, write_s=1.0)) as (at, server):
        asked = f"GET /page/large.js HTTP/1.1\r\nHost: 127.0.0.1:{at}\r\n\r\n".encode()
        with closing(connected(at, asked)):
            until = time.monotonic() + 20
            while not server.server_state.connections:
                time.sleep(0.02)
            while server.server_state.connections:
                assert time.monotonic() < until
                time.sleep(0.05)
        with closing(connected(at, asked)) as slow:  # one that takes some now and then gets it all
            for _ in range(4):
                time.sleep(0.3)
                slow.recv(1 << 20, socket.MSG_WAITALL)
            left = 40_000_000 - (4 << 20)
            while left > 0:
                left -= len(slow.recv(1 << 20))


def test_many_slow_clients_hold_up_nobody(port: int) -> None:
    slow = [connected(port, b"GET / HTTP/1.1\r\nHost: ") for _ in range(20)]
    slow += [
        connected(
            port,
            head(
                port, "/api/uploads", "Content-Type: multipart/form-data; boundary=b", "Content-Length: 999"
            ),
        )
        for _ in range(5)
    ]
    try:
        began = time.monotonic()
        assert ask(port, "POST", "/api/search", {})[0] == 200
        assert time.monotonic() - began < 0.6  # before any of them was hung up on
    finally:
        for one in slow:
            one.close()


def test_connections_are_bounded(port: int) -> None:
    time.sleep(0.8)  # those of other tests are gone
    open_ = [connected(port, b"") for _ in range(40)]
    try:
        with closing(connected(port, b"")) as beyond:
            assert ends_within(beyond, 0.4) == b""
    finally:
        for one in open_:
            one.close()
    time.sleep(0.2)
    assert ask(port, "GET", "/api/about")[0] == 200


def test_logs_say_nothing_of_studies_searches_and_reports(
    port: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        _, found = ask(port, "POST", "/api/search", {"words": SECRET})
        key = json.loads(found)["studies"][0]["key"]
        assert SECRET.encode() in ask(port, "GET", f"/api/studies/{key}")[1]
        ask(port, "POST", f"/api/studies/{key}/maps", {"sentences": [f"The {SECRET}."]})
        ask(port, "POST", f"/api/studies/{key}/maps", {"sentences": [SECRET], "no": SECRET})
        ask(port, "GET", f"/api/{SECRET}")
        with closing(connected(port, f"{SECRET}\r\n\r\n".encode())) as wrong:
            assert b"400" in ends_within(wrong, 5)
    out, err = capfd.readouterr()
    told = caplog.text + out + err
    assert SECRET not in told
    assert "ct0" not in told
    assert key not in told


def test_fault_is_told_by_its_place_and_not_by_its_words(
    cohort: Path,
    viewing: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = viewing(cohort)

    def broken(*_: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(made.view.catalogue, "search", broken)
    with caplog.at_level(logging.DEBUG):
        answer = made.client.post("/api/search", json={})
    assert answer.status_code == 500
    assert SECRET not in answer.text + caplog.text
    assert "RuntimeError" in caplog.text
    made.view.stop()


@contextmanager
def started(raw: Path, temporary: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The command as a process of its own, and its port."""
    command = [sys.executable, "-m", "simcrop", "view", str(raw / "ct0.nii.gz"), "--port", "0", "--no-open"]
    told = {**os.environ, "TMPDIR": str(temporary), "MPLCONFIGDIR": str(raw.parent)}
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, env=told) as server:
        try:
            assert server.stdout is not None
            yield server, int(server.stdout.readline().split("127.0.0.1:")[1].split("/")[0])
        finally:
            server.kill()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_uploads_are_gone_when_it_is_ended(raw: Path, tmp_path: Path, how: signal.Signals) -> None:
    with started(raw, tmp_path) as (server, at):
        form = b'--b\r\nContent-Disposition: form-data; filename="a.nii"\r\n\r\nhalf'
        kind = "Content-Type: multipart/form-data; boundary=b"
        with closing(connected(at, head(at, "/api/uploads", kind, "Content-Length: 9999") + form)):
            until = time.monotonic() + 20
            while not list(tmp_path.glob("simcrop-view-*/upload-*")):
                assert time.monotonic() < until
                time.sleep(0.05)
            server.send_signal(how)
            assert server.wait(30) == 0
        assert server.stderr is not None
        assert server.stderr.read() == ""
    assert list(tmp_path.glob("simcrop-view-*")) == []


def test_what_a_killed_viewer_left_is_removed_by_the_next_and_nothing_else(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(raw, tmp_path) as (server, _):
        (killed,) = tmp_path.glob("simcrop-view-*")
        server.kill()
        server.wait(30)
    (killed / "upload-1").mkdir()
    (killed / "upload-1" / "000001.nii").touch()
    (tmp_path / "simcrop-view-pictures").mkdir()  # of a person
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with own_folder() as first, own_folder() as second:
        assert set(tmp_path.iterdir()) == {first, second, tmp_path / "simcrop-view-pictures"}


def test_page_that_was_not_built_is_told_of(
    cohort: Path, viewing: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: None)
    made, said = viewing(cohort), list[str]()
    for bundle in (tmp_path, tmp_path / "niivue.js"):
        bundle.touch()
        monkeypatch.setattr("simcrop.viewer.serve.BUNDLE", bundle)
        with listen("127.0.0.1", 0) as listening:
            run(made.view, Wanted(cohort, opens=False), listening, said.append, LIMITS)
    made.view.stop()
    assert ["make page" in line for line in said] == [False, True, False]

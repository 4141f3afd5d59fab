"""`simcrop view` as a server: one address, one process, nothing left behind.

No axes; times in seconds.
"""

import logging
import socket
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer

import uvicorn

from simcrop.errors import SimcropError
from simcrop.viewer.app import application
from simcrop.viewer.guards import LOOPBACK, Door
from simcrop.viewer.limits import Limits
from simcrop.viewer.protocol import protocol_with
from simcrop.viewer.view import View, open_view

SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Wanted:
    """What is asked of the command line. `root`: the folder below which scans may be opened by path."""

    place: Path
    model: str | None = None
    report: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = field(default=None, repr=False)
    root: Path | None = None
    opens: bool = True

    def check(self) -> None:
        """Raises SimcropError where strangers could look in."""
        if self.host not in LOOPBACK and self.token is None:
            raise SimcropError(
                "bad-setting",
                f"--host {self.host} lets other machines in: give --token, or the variable SIMCROP_VIEW_TOKEN, of at "
                f"least {SHORTEST_TOKEN} characters",
            )
        plain = self.token is None or (self.token.isascii() and self.token.isprintable())
        if self.token is not None and (len(self.token) < SHORTEST_TOKEN or not plain or " " in self.token):
            raise SimcropError(
                "bad-setting", f"--token wants at least {SHORTEST_TOKEN} plain characters without spaces"
            )


def view(wanted: Wanted, say: Callable[[str], None], limits: Limits = Limits()) -> None:
    """Serve until Ctrl-C. `say` is told where."""
    wanted.check()
    listening = listen(wanted.host, wanted.port)
    with listening, TemporaryDirectory(prefix="simcrop-view-", ignore_cleanup_errors=True) as folder:
        port = listening.getsockname()[1]
        opened = open_view(
            wanted.place, wanted.model, wanted.report, Path(folder), wanted.root, limits=limits
        )
        address = f"http://{shown_host(wanted.host)}:{port}/"
        say(f"open {address}{' and give the token' if wanted.token else ''}  (Ctrl-C ends it)")
        if wanted.opens:
            Timer(1.0, webbrowser.open, [address]).start()
        try:
            door = Door(wanted.host, port, wanted.token)
            uvicorn.Server(configured(opened, door, limits)).run(sockets=[listening])
        finally:
            opened.stop()


def configured(opened: View, door: Door, limits: Limits) -> uvicorn.Config:
    """uvicorn as it is wanted here. It logs faults alone: a warning would quote what a client sent."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Config(
        lambda: application(opened, door),
        factory=True,
        http=protocol_with(limits),
        interface="asgi3",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
        backlog=128,
    )


def listen(host: str, port: int) -> socket.socket:
    """Bound before a model is loaded, so that a port that is taken is told at once."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        raise SimcropError(
            "bad-address",
            f"{host}:{port} cannot be listened on: {error.strerror or error}; --port takes another",
        ) from error
    return listening


def shown_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host

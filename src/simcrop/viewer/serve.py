"""`simcrop view` as a server: one address, one process, nothing left behind.

No axes; times in seconds.
"""

import logging
import os
import signal
import socket
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import NoReturn

import uvicorn

from simcrop.errors import SimcropError
from simcrop.viewer.app import BUNDLE, application
from simcrop.viewer.guards import LOOPBACK, Door
from simcrop.viewer.limits import Limits
from simcrop.viewer.own_folder import own_folder
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
    ended = True
    with (
        ending(),
        listen(wanted.host, wanted.port) as listening,
        own_folder() as folder,
    ):
        opened = open_view(wanted.place, wanted.model, wanted.report, folder, wanted.root, limits)
        try:
            run(opened, wanted, listening, say, limits)
        finally:
            ended = opened.stop()
    if not ended:
        os._exit(0)  # a thread is still computing what nobody wants, and Python would abort over it


def run(
    opened: View, wanted: Wanted, listening: socket.socket, say: Callable[[str], None], limits: Limits
) -> None:
    """Until somebody ends it."""
    port = listening.getsockname()[1]
    address = f"http://{shown_host(wanted.host)}:{port}/"
    say(f"open {address}{' and give the token' if wanted.token else ''}  (Ctrl-C ends it)")
    if not BUNDLE.is_file():
        say("note: the page cannot draw, it was not built: make page in the clone (npm), then install again")
    opening = Timer(1.0, webbrowser.open, [address])
    if wanted.opens:
        opening.start()
    try:
        uvicorn.Server(configured(opened, Door(wanted.host, port, wanted.token), limits)).run(
            sockets=[listening]
        )
    finally:
        opening.cancel()


@contextmanager
def ending() -> Iterator[None]:
    """Ctrl-C, and being told to end, end it alike: with the folder of uploads gone, and no complaint."""

    def end(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    kinds = (signal.SIGTERM, signal.SIGHUP)
    before = {kind: signal.signal(kind, end) for kind in kinds}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def configured(opened: View, door: Door, limits: Limits) -> uvicorn.Config:
    """uvicorn as it is wanted here. It logs nothing, since it would quote what clients sent; the guard tells faults."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
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
            listening.listen(128)  # whoever comes while the model is loaded waits
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

"""Who may ask: the right Host, the right Origin, the token where there is one; and headers that keep answers private.

No axes; times in seconds. Nothing is ever asked of another host, and no other site may ask here.
"""

import hmac
import ipaddress
import logging
import secrets
import socket
from dataclasses import dataclass, field
from html import escape
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simcrop.viewer.requests import refusal
from simcrop.viewer.work import fault

LOG = logging.getLogger("simcrop.viewer")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ANYWHERE = ("0.0.0.0", "::")
READING = ("GET", "HEAD", "OPTIONS")
MARK = "x-simcrop"  # a header that a page of another site cannot send without being asked about it first
CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
ASK = """<!doctype html><html lang="en"><meta charset="utf-8"><title>simcrop view</title>
<h1>simcrop view</h1><p>{said}</p><form method="get" action="/"><label>Token
<input name="token" type="password" autocomplete="off" required autofocus></label>
<button>Open</button></form></html>"""


@dataclass(frozen=True)
class Door:
    """What is bound to, and the token that is asked for, if any. `cookie`: what a browser has instead of the token."""

    host: str
    port: int
    token: str | None = field(default=None, repr=False)
    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def cookie_name(self) -> str:
        return f"simcrop-{self.port}"

    def knows_host(self, name: str) -> bool:
        """Whether a Host header can be meant for us. The port may be another, that of a tunnel; a name that somebody
        else lets point here may not.
        """
        name = name.rstrip(".").lower()
        if self.host in LOOPBACK:
            return name in LOOPBACK
        if self.host in ANYWHERE:
            return name in (*LOOPBACK, socket.gethostname().lower()) or is_address(name)
        return name == self.host.lower()

    def knows(self, headers: Headers) -> bool:
        """Whether the token or its cookie is there."""
        if self.token is None:
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and same(given.strip(), self.token):
            return True
        return same(cookie_in(headers, self.cookie_name), self.cookie)


class Guard:
    """Around the whole application, before anything is looked at."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app, self.door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = self.refused(scope, Headers(scope=scope))
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                add_headers(MutableHeaders(scope=message), scope["path"])
            await send(message)

        try:
            await (answer or self.app)(scope, receive, guarded)
        except TimeoutError:
            return  # a client that takes nothing: the connection is closed
        except Exception as error:  # noqa: BLE001  # its words may quote a report: never to a log
            LOG.error("%s", fault(error))
            if not started:
                await refusal(500, "fault", fault(error))(scope, receive, guarded)

    def refused(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to whoever may not ask."""
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self.door.knows_host(name_of(host)):
            return refusal(403, "foreign", "this host name is not the one that simcrop view was started for")
        origin = headers.get("origin")
        if origin is not None and not is_own(origin, host):
            return refusal(403, "foreign", "a page of another site asked; only this one may")
        changes = scope["method"] not in READING
        if changes and headers.get(MARK) != "1":
            return refusal(403, "foreign", "what changes something needs the header X-Simcrop: 1")
        return self.unknown(scope, headers)

    def unknown(self, scope: Scope, headers: Headers) -> Response | None:
        """What somebody without the token is told; with it in the address, a cookie and an address without it."""
        door, asked = self.door, parse_qs(scope["query_string"].decode("latin-1"))
        at_page = scope["path"] == "/" and scope["method"] in ("GET", "HEAD")
        if door.token is not None and at_page and "token" in asked:
            if not same(asked["token"][0], door.token):
                return ask_for_token("This is not the token.")
            left = urlencode({k: v for k, v in asked.items() if k != "token"}, doseq=True)
            answer = RedirectResponse(f"/?{left}" if left else "/", 303)
            answer.set_cookie(door.cookie_name, door.cookie, httponly=True, samesite="strict", path="/")
            return answer
        if door.knows(headers):
            return None
        if at_page:
            return ask_for_token("This page needs the token that simcrop view was started with.")
        return refusal(401, "no-token", "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})


def ask_for_token(said: str) -> Response:
    return HTMLResponse(ASK.format(said=escape(said)), 401)


def add_headers(headers: MutableHeaders, path: str) -> None:
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "no-cache" if path.startswith("/page/") else "no-store")


def name_of(host: str) -> str:
    """Of a Host header, without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def is_own(origin: str, host: str) -> bool:
    """Whether a page came from the very address that it asks."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower() and not parts.path


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogatepass"), wanted.encode())


def cookie_in(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value

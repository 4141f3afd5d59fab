"""What comes in and goes out: bodies that are bounded in bytes and time, refusals as JSON, large files in pieces.

Sizes in bytes, times in seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import anyio
from anyio.to_thread import run_sync
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from simcrop.errors import SimcropError
from simcrop.viewer.bodies import Body, Nothing
from simcrop.viewer.refusals import status_of, too_large
from simcrop.viewer.view import View
from simcrop.viewer.work import Job, Queue

T = TypeVar("T")
B = TypeVar("B", bound=Body)
PIECE = 256 << 10
GZIP = "application/gzip"
EXPECTED = {
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "some words",
    "string_pattern_mismatch": "some words",
    "string_type": "a text",
    "too_long": "at most {max_length} of them",
    "too_short": "at least {min_length} of them",
    "list_type": "a list",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "missing": "it to be there",
    "extra_forbidden": "no such name",
    "model_type": "names and values in braces",
}  # by pydantic's names of faults, whose own words are for programmers
REASONS = {404: "not-found", 405: "bad-method"}


def view_of(request: Request) -> View:
    return request.app.state.view


async def body_of(request: Request, kind: type[B]) -> B:
    """The JSON body; an empty one means all defaults, where there are some."""
    content = await small_body(request)
    if not content and kind is Nothing:
        return kind()
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise SimcropError("bad-type", "expected a body of the type application/json")
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise unfit(error) from None


def unfit(error: ValidationError) -> SimcropError:
    """The first fault and where it is; never what stood there."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return SimcropError("bad-request", "the body is no JSON")
    where = ".".join(part for part in map(str, first["loc"]) if part.isidentifier() or part.isdecimal())
    wanted = EXPECTED.get(first["type"], "something else").format(**first.get("ctx", {}))
    return SimcropError("bad-setting", f"{where[:80] or 'the body'}: expected {wanted}")


async def small_body(request: Request) -> bytes:
    limits, content = view_of(request).limits, bytearray()
    try:
        async with asyncio.timeout(limits.body_s):
            async for piece in request.stream():
                content += piece
                if len(content) > limits.body:
                    raise too_large(f"a body of this kind has at most {limits.body} bytes")
    except TimeoutError:
        raise SimcropError("too-slow", "the body came too slowly") from None
    except ClientDisconnect:
        raise SimcropError("bad-request", "the body ended too early") from None
    return bytes(content)


async def reading(view: View, do: Callable[[], T]) -> T:
    """In one of a few threads, so that reads neither wait for the model nor fill the memory together."""
    return await run_sync(do, limiter=view.readers)


async def finished(queue: Queue, job: Job) -> Any:
    """What a job of a queue gives to whoever waits here; nobody else was told of it."""
    try:
        return await asyncio.wrap_future(job.future)
    finally:
        queue.forget(job)


def reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(asdict(value), status, headers)


async def refused(_: Request, error: Exception) -> Response:
    """A refusal as every other command words it."""
    assert isinstance(error, SimcropError)
    status = status_of(error)
    return refusal(status, error.reason, error.sentence, {"Retry-After": "2"} if status == 429 else None)


async def unknown(_: Request, error: Exception) -> Response:
    """What the router itself refuses."""
    assert isinstance(error, HTTPException)
    words = {404: "there is nothing at this address", 405: "this address has no such method"}
    sentence = words.get(error.status_code, "this cannot be answered")
    return refusal(
        error.status_code, REASONS.get(error.status_code, "bad-request"), sentence, dict(error.headers or {})
    )


def refusal(status: int, reason: str, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"reason": reason, "sentence": sentence}, status, headers)


class Sent(Response):
    """A file on disk, sent the same way under another name."""

    def __init__(self, path: Path, kind: str, name: str, seconds: float) -> None:
        super().__init__(media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})
        self.path, self.seconds = path, seconds
        self.headers["Content-Length"] = str(path.stat().st_size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if scope["method"] != "HEAD":
            async with await anyio.open_file(self.path, "rb") as file:
                while piece := await file.read(PIECE):
                    with anyio.fail_after(self.seconds):
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Pieces(Response):
    """A large body sent piece by piece; a client that takes none for too long is left."""

    def __init__(
        self, content: bytes, kind: str, seconds: float, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(content, media_type=kind, headers=headers)
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if scope["method"] != "HEAD":
            async for piece in self.pieces():
                with anyio.fail_after(self.seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def pieces(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), PIECE):
            yield bytes(self.body[start : start + PIECE])

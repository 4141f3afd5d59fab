"""A scan that a browser sends: written to a folder as it comes, bounded in bytes, files and time.

Sizes in bytes, times in seconds. Files are numbered here; of the name that somebody gave one no more than its ending is
used, and that only if it is one that is known.
"""

import asyncio
import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, Any

from anyio.to_thread import run_sync
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from simcrop.data.report import LARGEST_FILE
from simcrop.errors import SimcropError, printable
from simcrop.viewer.header_pair import HEADERS, IN_ITSELF, is_header, join, named_in
from simcrop.viewer.limits import Limits
from simcrop.viewer.refusals import too_large
from simcrop.viewer.view import View

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it would tell of what a client sent
ALONE = (".nii.gz", ".nii", ".mha", ".nrrd", ".npz", ".zip", *HEADERS)  # one file is the scan
SLICES = (".dcm", ".dicom", ".ima")
PAIRS = (".hdr", ".img")
REPORT = "report"
SHOWN = 80  # letters of a name
ROOM_LEFT = 1 << 30  # on the disk, for everybody else


@dataclass(eq=False)
class Arrived:
    """What came: `files` in `folder`, the `name` to be shown, the `report` as text, a `digest` of all the bytes."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    names: list[str] = field(default_factory=list, repr=False)
    report: bytearray = field(default_factory=bytearray, repr=False)
    digest: Any = field(default_factory=sha256)

    @property
    def name(self) -> str:
        """Only ever shown."""
        shown = 0 if len(self.files) == 1 else self.header
        if shown is None:
            return f"{len(self.files)} files"
        return printable(re.split(r"[/\\]", self.names[shown])[-1])[-SHOWN:] or "a file"

    @property
    def header(self) -> int | None:
        """Which of two files is a header, if the other one may hold its voxels."""
        headers = [n for n, path in enumerate(self.files) if is_header(path)]
        others = [path for path in self.files if not path.name.endswith((*ALONE, *SLICES))]
        return headers[0] if len(self.files) == 2 and len(headers) == len(others) == 1 else None

    def scan(self) -> Path:
        """The file, or the folder of all slices, that readers take; a header then names the voxels sent with it."""
        first = self.files[0]
        if len(self.files) == 1 and first.name.endswith(ALONE):
            if is_header(first) and named_in(first).lower() not in IN_ITSELF:
                raise SimcropError(
                    "missing-file", "the header's voxels lie in another file: send both at once"
                )
            return first
        if self.header is not None:
            header, voxels = self.header, 1 - self.header
            join(self.files[header], self.files[voxels], self.names[voxels])
            return self.files[header]
        if any(path.name.endswith(ALONE) for path in self.files):
            raise SimcropError(
                "many-scans",
                "one scan at a time: one file, a header and its voxels, or the slices of a series",
            )
        return self.folder

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Writer:
    """Takes the pieces of a multipart body. Its names are those of the parser's calls."""

    def __init__(self, arrived: Arrived, limits: Limits, boundary: bytes) -> None:
        self.arrived, self.limits = arrived, limits
        self.head: dict[str, bytes] = {}
        self.field, self.value = bytearray(), bytearray()
        self.file: IO[bytes] | None = None
        self.total, self.ended = 0, False
        calls: Any = {name: getattr(self, name) for name in dir(self) if name.startswith("on_")}
        self.parser = MultipartParser(boundary, calls, max_header_count=8, max_header_size=8192)

    def write(self, piece: bytes) -> None:
        self.total += len(piece)
        if self.total > self.limits.upload:
            raise too_large(f"an upload has at most {self.limits.upload} bytes")
        try:
            self.parser.write(piece)
        except FormParserError:
            raise SimcropError("bad-request", "the upload is no multipart form") from None

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def on_part_begin(self) -> None:
        self.head = {}

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def on_header_end(self) -> None:
        self.head[self.field.decode("latin-1").lower()] = bytes(self.value)
        self.field, self.value = bytearray(), bytearray()

    def on_headers_finished(self) -> None:
        """A file of the scan, or the report."""
        _, options = parse_options_header(self.head.get("content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name == REPORT:
            return
        if b"filename" not in options:
            raise SimcropError("bad-request", "the upload has a part that is neither a file nor the report")
        told = options[b"filename"].decode("utf-8", "replace")
        arrived = self.arrived
        if len(arrived.files) == self.limits.upload_files:
            raise too_large(f"an upload has at most {self.limits.upload_files} files")
        path = arrived.folder / f"{len(arrived.files) + 1:06d}{ending_of(told)}"
        arrived.files.append(path)
        arrived.names.append(told[-400:])
        arrived.digest.update(b"\0file")
        self.file = path.open("xb")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self.file is not None:
            self.file.write(data[start:end])
            self.arrived.digest.update(data[start:end])
            return
        self.arrived.report += data[start:end]
        if len(self.arrived.report) > LARGEST_FILE:
            raise too_large(f"a report has at most {LARGEST_FILE} bytes")

    def on_part_end(self) -> None:
        self.close()

    def on_end(self) -> None:
        self.ended = True


def ending_of(name: str) -> str:
    """One of those that readers go by, or none, as slices often have."""
    lower = name.lower()
    if lower.endswith(PAIRS):
        raise SimcropError(
            "many-scans", "a .hdr and its .img in two files are not taken here: send .nii, .mha or .nrrd"
        )
    if lower.endswith(SLICES):
        return SLICES[0]
    return next((ending for ending in ALONE if lower.endswith(ending)), "")


async def receive(request: Request, view: View) -> Arrived:
    """Everything that was sent, or a refusal and nothing left on disk."""
    limits, boundary = view.limits, boundary_of(request)
    check_room(request, view)
    arrived = Arrived(Path(mkdtemp(dir=view.folder, prefix="upload-")))
    writer: Writer | None = None
    try:
        writer = Writer(arrived, limits, boundary)
        async with asyncio.timeout(limits.upload_s):
            await read_all(request, writer.write, limits.silence_s)
        writer.close()
        if not writer.ended:
            raise SimcropError("bad-request", "the upload ended too early")
        if not arrived.files:
            raise SimcropError("bad-request", "the upload holds no file")
    except BaseException as error:
        if writer is not None:
            writer.close()
        arrived.remove()
        if isinstance(error, TimeoutError):
            raise SimcropError("too-slow", "the upload came too slowly") from None
        if isinstance(error, ClientDisconnect):
            raise SimcropError("bad-request", "the upload ended too early") from None
        if isinstance(error, OSError):
            raise SimcropError("disk-full", "the upload could not be written: the disk may be full") from None
        raise
    return arrived


async def read_all(request: Request, write: Callable[[bytes], None], silence_s: float) -> None:
    """Piece by piece, none of which may be waited for too long."""
    pieces = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(silence_s):
                piece = await pieces.__anext__()
        except StopAsyncIteration:
            return
        await run_sync(write, piece)


def boundary_of(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 200:
        raise SimcropError("bad-type", "expected files as multipart/form-data")
    return boundary


def check_room(request: Request, view: View) -> None:
    """Said before anything is sent, where the length is told."""
    told = request.headers.get("content-length", "0")
    length = int(told) if told.isdecimal() and len(told) < 20 else 0
    if length > view.limits.upload:
        raise too_large(f"an upload has at most {view.limits.upload} bytes")
    if shutil.disk_usage(view.folder).free < length + ROOM_LEFT:
        raise SimcropError("disk-full", "there is no room for an upload on the disk of this machine")
    waiting = sum(1 for path in view.folder.iterdir() if path.name.startswith("upload-"))
    if waiting >= 2 * view.limits.uploads:
        raise SimcropError("busy", "too many scans are being sent already: try again in a while")

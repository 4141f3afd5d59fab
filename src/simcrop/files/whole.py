"""Files that are whole or absent: written under another name, flushed to disk, then renamed.

No axes or units. A failure to write ends the whole command, unlike a scan that cannot be read.
"""

import errno
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simcrop.errors import SimcropError

TEMPORARY = ".tmp"
HOST = 20  # letters of a machine's name in that of a file
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


class StoreError(SimcropError):
    """The target cannot be written: no single scan is to blame, so nothing goes on."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the system's refusal to write `path` into one line that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StoreError(
                "disk-full",
                f"{path}: the disk is full or a quota is reached; "
                "what is stored stays, free some space and run the same command again",
            ) from error
        reason = "not-writable" if error.errno in FORBIDDEN else "write-failed"
        raise StoreError(reason, f"{path}: cannot be written: {error.strerror or error}") from error


def write_whole(path: Path, content: bytes) -> None:
    """`path` holds all of `content` and survives a power cut, or is as it was before."""
    temporary = temporary_name(path)
    with writing(path):
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """What was written to a file, or which names stand in a folder, survives a power cut."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError:
        if not path.is_dir():  # some network file systems cannot do it to folders
            raise
    finally:
        os.close(opened)


def flush_folder(folder: Path) -> None:
    """The same of a folder and of all that is in it."""
    for path in (*folder.rglob("*"), folder):
        flush(path)


def write_json(path: Path, content: Any) -> None:
    """The same, of what JSON has words for."""
    write_whole(path, json.dumps(content, indent=1).encode() + b"\n")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object that this package wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def temporary_name(path: Path) -> Path:
    """Where `path` is written before it is whole."""
    # On shared storage two machines may write one file, and have the same number for a process.
    return path.with_name(f".{path.name}.{short(os.uname().nodename)}-{os.getpid()}{TEMPORARY}")


def short(host: str) -> str:
    """A machine's name in a file's, which must not become too long: of a longer one its beginning and its checksum."""
    return host if len(host) <= HOST else f"{host[: HOST - 9]}-{zlib.crc32(host.encode()):08x}"


def writer_of(temporary: Path) -> str:
    """Who writes such a file, as a lock file has it: `HOST NUMBER`; of another machine's name perhaps not all."""
    named, _, process = temporary.name.removesuffix(TEMPORARY).rpartition("-")
    here = os.uname().nodename
    return f"{here if named.endswith(f'.{short(here)}') else named.rpartition('.')[2]} {process}"


def remove_temporary(folder: Path) -> None:
    """Clear away what a killed process left half-written."""
    with writing(folder):
        for path in folder.glob(f".*{TEMPORARY}"):
            path.unlink(missing_ok=True)

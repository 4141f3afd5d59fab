"""Names that follow from content: the same bytes give the same, others another. No axes or units."""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path


def digest_of_files(*files: Path) -> str:
    """SHA-256 over the contents of files, one after the other, without holding any of them whole."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def digest_while_unchanged(file: Path) -> str:
    """The same of one large file: a process reads it once, unless size or time say that it is another by now."""
    found = file.stat()
    return digest_as_of(file.absolute(), found.st_size, found.st_mtime_ns)


@cache
def digest_as_of(file: Path, size: int, changed_ns: int) -> str:
    del size, changed_ns
    return digest_of_files(file)


def digest_of_names(names: Iterable[str]) -> str:
    """SHA-256 of a set of names: neither order nor repetition counts."""
    return hashlib.sha256("\n".join(sorted(set(names))).encode(errors="surrogateescape")).hexdigest()


def digest_of_bytes(content: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(content).hexdigest()


def digest_of_texts(texts: Iterable[str | None]) -> str:
    """SHA-256 of texts in their order; where one ends and the next begins counts, too."""
    digest = hashlib.sha256()
    for text in texts:
        raw = b"" if text is None else text.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.hexdigest()

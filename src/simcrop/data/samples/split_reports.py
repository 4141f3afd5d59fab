"""The sentences of a cohort's reports, kept beside it: a report is split once, not in every run.

No axes. Kept under a digest of the report's findings, in a file named after the rules: other rules, another file.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from simcrop.data import report
from simcrop.files.digest import digest_of_files
from simcrop.files.tables import write_parquet
from simcrop.files.whole import StoreError

Tell = Callable[[int, int], None]  # how many are done, of how many

RULES = [Path(report.__file__), *sorted(Path(report.__file__).parent.glob("reports/*.py"))]
EVERY = 256  # reports between two words about progress
Split = Callable[[Sequence[str]], Iterable[list[str]]]


def one_by_one(findings: Sequence[str]) -> Iterator[list[str]]:
    """The sentences of each."""
    return (report.sentences(text) for text in findings)


def split_reports(
    findings: Sequence[str],
    folder: Path | None,
    write: bool = True,
    tell: Tell | None = None,
    split: Split = one_by_one,
) -> list[list[str]]:
    """The sentences of each. What `folder` does not hold is split now, and kept there unless not to `write`.

    `split` gives the sentences of many in their order. `tell` hears how many reports are done, of how many.
    """
    path = folder / f"split-{digest_of_files(*RULES)[:12]}.parquet" if folder else None
    known = read_split(path)
    digests = [digest_of(text) for text in findings]
    new = {digest: text for digest, text in zip(digests, findings, strict=True) if digest not in known}
    sentences = zip(new, split(list(new.values())), strict=True)
    for done, (digest, of_one) in enumerate(sentences, len(findings) - len(new)):
        if tell is not None and done % EVERY == 0:
            tell(done, len(findings))
        known[digest] = of_one
    if tell is not None:
        tell(len(findings), len(findings))
    if new and write and path is not None:
        write_split(path, read_split(path) | known)
    return [known[digest] for digest in digests]


def digest_of(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogateescape"), digest_size=16).digest()


def read_split(path: Path | None) -> dict[bytes, list[str]]:
    """Sentences by the digest of their report; none where there is no file that can be read."""
    if path is None or not path.is_file():
        return {}
    try:
        table = pl.read_parquet(path)
        return dict(zip(table["report"].to_list(), table["sentences"].to_list(), strict=True))
    except (OSError, PolarsError):
        return {}


def write_split(path: Path, known: dict[bytes, list[str]]) -> None:
    """Whole or not at all; a read-only cohort or a full disk keeps none."""
    schema = {"report": pl.Binary, "sentences": pl.List(pl.String)}
    table = pl.DataFrame({"report": list(known), "sentences": list(known.values())}, schema)
    with suppress(StoreError, OSError):
        path.parent.mkdir(exist_ok=True)
        write_parquet(path, table)

"""The studies that the viewer shows, by keys that tell nothing, and the search among them.

No axes or units. A key is made of the cohort's content and the study's id, so that a link means the same study after a
restart, and holds no name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from threading import Lock

from simcrop.data.ingest.mask import Mask
from simcrop.data.report import Report, sentences
from simcrop.data.store.cohort import Cohort
from simcrop.data.store.schema import LABEL
from simcrop.errors import SimcropError, printable
from simcrop.viewer.refusals import not_found

PAGE = 50
KEY = 24  # hexadecimal digits


@dataclass(frozen=True)
class Entry:
    """One study. It lies in row `row` of the cohort, or in a file or folder of its own, `path`, with its `mask`."""

    key: str
    name: str
    split: str = ""
    labels: tuple[str, ...] = ()
    report: Report = field(default=Report("", ""), repr=False)
    row: int | None = None
    path: Path | None = field(default=None, repr=False)
    mask: Mask | None = field(default=None, repr=False)
    has_mask: bool = False
    uploaded: bool = False

    @property
    def has_report(self) -> bool:
        return bool(self.report.text)

    @cached_property
    def findings(self) -> tuple[str, ...]:
        return tuple(sentences(self.report.findings))

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """Sentences of the findings, then of the impression."""
        return (*self.findings, *sentences(self.report.impression))

    def fits(self, words: Sequence[str], split: str | None, labels: Sequence[str]) -> bool:
        """Whether a search finds it."""
        text = self.searched
        there = all(word in text for word in words) and set(labels) <= set(self.labels)
        return there and split in (None, self.split)

    @cached_property
    def searched(self) -> str:
        """What words are looked for in."""
        return f"{self.name}\n{self.report.findings}\n{self.report.impression}".casefold()


@dataclass(frozen=True)
class Found:
    """A page of what was searched for; `total` on all `pages`."""

    total: int
    page: int
    pages: int
    entries: tuple[Entry, ...]


class Catalogue:
    """All studies in their order, and what was uploaded, newest first. Uploads come and go while others search."""

    def __init__(self, kind: str, name: str, entries: Iterable[Entry]) -> None:
        self.kind, self.name, self.lock = kind, printable(name), Lock()
        self.fixed = tuple(entries)
        self.added: tuple[Entry, ...] = ()
        self.by_key = {entry.key: entry for entry in self.fixed}
        self.listed = frozenset(self.by_key)
        self.rows = lru_cache(64)(self.rows_with)

    def __len__(self) -> int:
        return len(self.fixed) + len(self.added)

    @property
    def splits(self) -> list[str]:
        return sorted({entry.split for entry in self.fixed if entry.split})

    @property
    def labels(self) -> list[str]:
        return sorted({label for entry in self.fixed for label in entry.labels})

    def entry(self, key: str) -> Entry:
        found = self.by_key.get(key)
        if found is None:
            raise not_found("study")
        return found

    def of_row(self, row: int) -> Entry:
        return self.fixed[row]

    def add(self, entry: Entry, most: int) -> tuple[Entry, ...]:
        """Remember it; those that are forgotten for it, the oldest. One that is listed anyhow stays what it is."""
        if entry.key in self.listed:
            return ()
        with self.lock:
            kept = [entry, *(old for old in self.added if old.key != entry.key)]
            again = [old for old in self.added if old.key == entry.key and old.path != entry.path]
            self.added, gone = tuple(kept[:most]), kept[most:]
            self.by_key[entry.key] = entry
            for old in gone:
                self.by_key.pop(old.key, None)
        return (*gone, *again)

    def holds(self, key: str) -> bool:
        return key in self.by_key

    def search(self, words: str, split: str | None, labels: Sequence[str], page: int) -> Found:
        """Every word must be in the name or the report, every label set."""
        wanted = tuple(words.casefold().split())
        rows = self.rows(wanted, split, tuple(sorted(set(labels))))
        fits = [e for e in self.added if e.fits(wanted, split, labels)]
        total = len(fits) + len(rows)
        pages = max(-(-total // PAGE), 1)
        page = min(page, pages - 1)
        at = range(page * PAGE, min((page + 1) * PAGE, total))
        found = (fits[i] if i < len(fits) else self.fixed[rows[i - len(fits)]] for i in at)
        return Found(total, page, pages, tuple(found))

    def rows_with(
        self, words: tuple[str, ...], split: str | None, labels: tuple[str, ...]
    ) -> tuple[int, ...]:
        return tuple(row for row, entry in enumerate(self.fixed) if entry.fits(words, split, labels))


def key_of(*parts: str) -> str:
    return sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:KEY]


def of_cohort(cohort: Cohort) -> Catalogue:
    """Every study of the store."""
    mark = cohort.digest
    columns = [column for column in cohort.index.columns if column.startswith(LABEL)]
    entries = []
    for row, study in enumerate(cohort.index.iter_rows(named=True)):
        set_ = tuple(column.removeprefix(LABEL) for column in columns if study[column] == 1)
        report = Report(study["findings"] or "", study["impression"] or "")
        key, marked = key_of(mark, study["id"]), study["mask_checksum"] is not None
        entries.append(Entry(key, study["id"], study["split"], set_, report, row, has_mask=marked))
    if not entries:
        raise SimcropError("no-studies", f"{cohort.path}: the cohort holds no study to show")
    return Catalogue("cohort", "/".join(cohort.path.resolve().parts[-2:]), entries)

"""A share of an ingest, for machines that know nothing of each other: `3/8` is the third of eight.

No axes or units. Which share a scan falls into is a hash of its id: a new file in the source moves no other scan.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from simcrop.errors import SimcropError

SHARDS = "shards"
FOLDER = re.compile(r"([0-9]+)-of-([0-9]+)")


@dataclass(frozen=True, order=True)
class Shard:
    """`index` of `count`, from 1."""

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise SimcropError("bad-setting", f"shard {self}: expected i/n with i from 1 to n")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def holds(self, id: str) -> bool:
        """Whether the scan `id` falls into this share; it falls into one of each `count`."""
        digest = hashlib.sha256(id.encode(errors="surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1

    def folder(self, out: Path) -> Path:
        """Where this share is kept until all are merged."""
        return out / SHARDS / f"{self.index}-of-{self.count}"


def parse_shard(text: str) -> Shard:
    """`3/8`, as a job array can say it."""
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal()):
        raise SimcropError("bad-setting", f"--shard {text}: expected i/n such as 3/8")
    return Shard(int(index), int(count))


def find_shards(out: Path) -> list[Shard]:
    """Every share of the ingest into `out`, all of them and of one division, or a line that says what is missing."""
    home = out / SHARDS
    names = sorted(path.name for path in home.iterdir()) if home.is_dir() else []
    if not names:
        raise SimcropError(
            "no-shards", f"{out}: no {SHARDS}/ to merge, expected what --shard i/n has written"
        )
    found = []
    for name in names:
        match = FOLDER.fullmatch(name)
        if match is None:
            raise SimcropError(
                "no-shard", f"{home / name}: is no shard; merging removes {home}, move it away"
            )
        found.append(Shard(int(match[1]), int(match[2])))
    counts = sorted({shard.count for shard in found})
    if len(counts) > 1:
        raise SimcropError(
            "mixed-shards",
            f"{home}: holds shards of {counts[0]} and of {counts[1]}; remove those of one division",
        )
    for index in range(1, counts[0] + 1):
        if Shard(index, counts[0]) not in found:
            raise SimcropError(
                "missing-shard", f"{home}: shard {index}/{counts[0]} is missing, run it before --merge"
            )
    return sorted(found)

"""Organs in label maps and in reports: TotalSegmentator's numbers, what an organ is made of, and its words.

No axes; text in, text out. Numbers and words are data, see `simcrop.codes` and `simcrop.wordings`. The keyword splitter
is ours and stands in where nobody has sorted the sentences of a report by organ.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from simcrop.data.report import sentences
from simcrop.errors import SimcropError


@dataclass(frozen=True)
class OrganText:
    """What a report says of one organ: in its findings and in its conclusion, either of which may be empty."""

    description: str
    conclusion: str

    @property
    def text(self) -> str:
        """The conclusion, then the description, as sentences of one line."""
        return " ".join(filter(None, map(ended, (self.conclusion, self.description))))

    @property
    def is_normal(self) -> bool:
        """An organ that the conclusion does not name, as fVLM's code has it."""
        return not self.conclusion


def ended(text: str) -> str:
    """In one line, with a full stop at its end unless there is nothing."""
    line = " ".join(text.split())
    return f"{line}." if line and not line.endswith(".") else line


def read_yaml(package: str, name: str) -> Any:
    return yaml.safe_load(files(package).joinpath(name).read_text("utf-8"))


@cache
def total_classes() -> dict[int, str]:
    """The classes of TotalSegmentator's task `total` by their numbers."""
    return read_yaml("simcrop.codes", "totalsegmentator.yaml")


@cache
def parts_of_organs() -> dict[str, tuple[str, ...]]:
    """The names of the classes that make up each organ."""
    return {organ: tuple(parts) for organ, parts in read_yaml("simcrop.codes", "organs.yaml").items()}


@dataclass(frozen=True)
class Words:
    """`said` names an organ; a sentence that has `others` as well is about something else."""

    said: re.Pattern[str]
    others: re.Pattern[str] | None

    def name(self, sentence: str) -> bool:
        about_others = self.others is not None and self.others.search(sentence)
        return bool(self.said.search(sentence)) and not about_others


@cache
def words_of_organs() -> dict[str, Words]:
    table = read_yaml("simcrop.wordings", "organs.yaml")
    return {organ: Words(pattern(row["said"]), pattern(row.get("others"))) for organ, row in table.items()}


def pattern(words: str | None) -> Any:
    return None if words is None else re.compile(words, re.IGNORECASE)


def split_by_words(text: str, organs: Sequence[str]) -> dict[str, str]:
    """The sentences that name each of the organs, joined; those that name none are left out, one may name several."""
    known = words_of_organs()
    if unknown := [organ for organ in organs if organ not in known]:
        raise SimcropError(
            "no-organ", f"no words are known for the organ {unknown[0]!r}, only for {', '.join(known)}"
        )
    said = sentences(text)
    return {organ: " ".join(s for s in said if known[organ].name(s)) for organ in organs}

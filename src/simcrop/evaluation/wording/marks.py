"""What the heat map of a sentence means: that the sentence affirms a finding, denies one, or calls something normal.

No axes: text in, a mark out. Rules alone; the words are data, see `simcrop.wordings`.

A sentence that says of anything that it is there, even if it denies something else or only suspects it, is `affirmed`:
its map can point at it. If nothing is affirmed and something denied it is `denied`, and its map shows where that would
be sought. What is left is `normal`: a healthy structure, or how the scan was made.
"""

import re
from functools import cache, lru_cache
from typing import Literal

from simcrop.evaluation.shipped import read_settings
from simcrop.evaluation.wording.claims import BESIDE, NOT, VERB, findings, found, names_finding
from simcrop.settings import Settings

Mark = Literal["affirmed", "denied", "normal"]
MARKS: tuple[Mark, ...] = ("affirmed", "denied", "normal")
MEANS = {
    "affirmed": "something is said to be there",
    "denied": "a finding is said to be absent: the map shows where it would be sought",
    "normal": "nothing abnormal is named: the map shows no finding",
}
SAYS_THERE = r"\bthere (?:is|are|was|were)\b|\b(?:seen|observed|noted|visible|present|detected|identified)\b"


class MarkWords(Settings):
    """Patterns, see the file."""

    findings: str
    weak: str
    normal: str
    technique: str
    no_denial: list[str]
    ahead: str
    behind: str
    splits: str


@cache
def words() -> MarkWords:
    """Those that are shipped."""
    return read_settings(MarkWords, "table of words", "simcrop.wordings", "marks")


@lru_cache(maxsize=1 << 16)
def mark_of(sentence: str) -> Mark:
    """By the strongest of its clauses: affirmed before denied before normal."""
    marks = {mark_of_clause(clause) for clause in clauses(sentence)}
    return "affirmed" if "affirmed" in marks else "denied" if "denied" in marks else "normal"


def clauses(sentence: str) -> list[str]:
    """Parts that each say one thing, negations that deny nothing taken out; "isn't" is spelled out."""
    text = re.sub(r"n['’]t\b", " not", " ".join(sentence.split()), flags=re.IGNORECASE)
    for pattern in words().no_denial:
        text = re.sub(pattern, " ", text, flags=re.IGNORECASE)
    splits = rf"{words().splits}|{BESIDE}" if found(NOT, text) else words().splits
    return [part.strip() for part in re.split(splits, text, flags=re.IGNORECASE) if part.strip()]


def mark_of_clause(clause: str) -> Mark:
    """What of it is not denied says whether it affirms."""
    rest = undenied(clause)
    denies = rest != clause
    known = words()
    calm = found(findings().normal, clause) or found(known.normal, clause)
    if denies or calm:
        rest = re.sub(known.weak, " ", rest, flags=re.IGNORECASE)
    if names(rest):
        return "affirmed"
    technical = found(known.technique, clause)
    if denies:
        return "normal" if technical and not names(clause) else "denied"
    return "affirmed" if not calm and not technical and found(SAYS_THERE, clause) else "normal"


def names(text: str) -> bool:
    return names_finding(text) or found(words().findings, text)


def undenied(clause: str) -> str:
    """Without what its negations deny: a negation ahead denies to the end of what belongs to it, one behind what stands
    before it, too.
    """
    known = words()
    if behind := re.search(known.behind, clause, re.IGNORECASE):
        before, after = clause[: behind.start()], clause[behind.end() :]
        return " ".join((undenied(own_before(before)), undenied(own_after(after))))
    if ahead := re.search(known.ahead, clause, re.IGNORECASE):
        return " ".join((clause[: ahead.start()], undenied(beyond(clause[ahead.end() :]))))
    return clause


def own_before(text: str) -> str:
    """What stands before a clause that is denied from behind: up to the last comma or `and` after which a verb of its
    own came before.
    """
    cuts = [cut.start() for cut in re.finditer(r",| and ", text)]
    at = next((cut for cut in reversed(cuts) if found(VERB, text[:cut])), 0)
    return text[:at]


def own_after(text: str) -> str:
    """What follows a denied verb and has a verb of its own."""
    cut = re.search(r",? and |,", text)
    return text[cut.end() :] if cut and found(VERB, text[cut.end() :]) else ""


def beyond(text: str) -> str:
    """What follows a negation and is not denied by it: after its verb, a part with a verb of its own."""
    verb = re.search(VERB, text, re.IGNORECASE)
    return own_after(text[verb.end() :]) if verb else ""

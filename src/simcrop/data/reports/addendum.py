"""Addenda of a report: where one begins, where it ends, and what it says.

No axes; text in, text out. The rules:

1. An addendum begins at a line start, in whatever dress, with a number, a date or who wrote it ("*** ADDENDUM ***",
   "ADDENDUM 1:", "Addendum (01/02/2020):", "ADDENDUM BY DR. STONE 1/2/2020"), or behind a stop with a colon.
2. It reaches to "END OF ADDENDUM" or the next head, which is then its own.
"""

import re
from collections.abc import Iterator

from simcrop.data.reports.asides import FOUND
from simcrop.data.reports.marks import words
from simcrop.data.reports.signature import says_who_or_when

LONGEST_LABEL = 100  # letters

_WORD = re.compile(
    r"(?:(?P<line>^[ \t]*+(?P<dress>(?:[ \t]|[^\w\s]|_){0,12}))|(?<=[.!?])[ \t]+)"
    r"(?P<end>end[ \t]+(?:of[ \t]+)?(?:the[ \t]+)?)?(?P<which>(?:[a-z]{4,9}[ \t]+(?:of[ \t]+)?)?)"
    r"(?P<word>addend(?:um|ums|a))\b(?P<ends>[ \t]+ends?\b)?",
    re.MULTILINE | re.IGNORECASE,
)
_WHICH = words("final first second third late report radiology start begin beginning of")
_LABEL = words(
    "a added am and at begin begins by created date dated dictated entered final for from issued made no nr number of"
    " on pm reads report original radiology addendum start the time to"
)
_WHO = re.compile(
    r"\b(?:by|from|dr|prof|m\.?d|radiologist)\b|\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|_{2}|\[\*\*", re.IGNORECASE
)
_FRAMES = re.compile(r"\([^()\n]{0,60}\)|\[[^\[\]\n]{0,60}\]")
_COLON = re.compile(r"[:：][-–]?(?!\d)")
_SIGN = re.compile(r"[ \t]*(?:[*_#=~\]>}]{1,6}|[-–—=|;.](?=\s))[ \t]*(?:[-=]{2,20})?")
_OTHER_HEAD = re.compile(r"[ \t]*(?=(?:findings?|impressions?|conclusions?)\b)", re.IGNORECASE)


def addenda_in(text: str) -> Iterator[tuple[str, str, int, int]]:
    """(kind, name, start, end) of each head: the kind is "addendum", or "end" of one."""
    for found in _WORD.finditer(text):
        if set(found["which"].lower().split()) <= _WHICH and (end := _end(text, found)) is not None:
            yield ("end" if found["end"] or found["ends"] else "addendum"), found["word"], found.start(), end


def said_in(section: str) -> str:
    """An addendum's text without a first line that only says who wrote it, or when."""
    first, _, rest = section.strip().partition("\n")
    return rest if rest.strip() and (says_who_or_when(first) or _is_label(first)) else section


def _end(text: str, found: re.Match[str]) -> int | None:
    """Where the head ends; None where the word stands in a sentence."""
    at = found.end()
    line_end = text.find("\n", at)
    rest = text[at : line_end if line_end >= 0 else None]
    colon = next((sign for sign in _COLON.finditer(rest[:LONGEST_LABEL])), None)
    if colon and _is_label(rest[: colon.start()]):
        return at + colon.end()
    if found["line"] is None:
        return None
    if _is_label(rest):
        return at + len(rest)
    if other := _OTHER_HEAD.match(rest):
        return at + other.end()
    after = rest.lstrip()
    if sign := _SIGN.match(rest):
        return at + sign.end()
    stands_out = (
        found["word"].isupper() and after[:1].isupper() and (after[1:2].islower() or after[1:2] == " ")
    )
    return at if stands_out else None


def _is_label(words_of: str) -> bool:
    """ " 1", " (01/02/2020)", " #2 by Dr. Stone at 10:15": nothing that a finding could be."""
    if len(words_of) > LONGEST_LABEL or FOUND.search(words_of):
        return False
    who = _WHO.search(words_of) is not None
    bare = re.split(r"[\s,;#*=_~()\[\]|>}–—-]+", _FRAMES.sub(" ", words_of))
    return all(
        not word.strip(".")
        or word.lower().strip(".:") in _LABEL
        or re.fullmatch(r"[\d./:]+(?:am|pm)?|[ivx]{1,4}", word, re.IGNORECASE)
        or (who and word[0].isupper())
        for word in bare
    )

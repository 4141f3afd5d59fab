"""Letters and Roman numerals of a list inside a line: "a) Clear lungs b) Large heart", "i. Clear lungs. ii. No node."

No axes. They are a list's where they count from "a" or "i", in one dress, the first at the beginning of the text, a
line or a part of a sentence (after a stop, colon or semicolon); a letter with a stop needs one before it and a
capital after it. "Panels (a) and (b)" are none.
"""

import re

_LETTERS = re.compile(
    r"(?<![^\s\x1e])(?P<open>\(?)(?P<ordinal>[a-hA-H]|[ivx]{1,4}|[IVX]{1,4})(?P<close>\)|\.(?=[ \t]+[A-Z][A-Za-z]))"
    r"[ \t]*(?=[^\W_])(?!(?:and|or|to|is|are|was|were)\b)"
)
_TITLED = re.compile(r"\b(?:dr|prof|doç|uzm|mr|mrs|ms|st)\.$", re.IGNORECASE)
_ROMAN = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"]
_ORDERS = {"a": list("abcdefgh"), "i": _ROMAN}


def without_list_letters(text: str, mark: str) -> str:
    """The text with `mark` in place of each letter that counts."""
    if not _LETTERS.search(text):
        return text
    found = [one for one in _LETTERS.finditer(text) if _may_stand(text, one, mark)]
    taken = [one for first in "ai" for one in _counting(text, found, first, mark)]
    for one in sorted(taken, key=re.Match.start, reverse=True):
        text = text[: one.start()] + mark + text[one.end() :]
    return text


def _may_stand(text: str, found: re.Match[str], mark: str) -> bool:
    return found["close"] == ")" or _opens(text, found, mark)


def _opens(text: str, found: re.Match[str], mark: str) -> bool:
    before = text[max(0, found.start() - 20) : found.start()].rstrip(" \t")
    return not before or (before[-1] in ".?!:;\n" + mark and not _TITLED.search(before))


def _counting(text: str, found: list[re.Match[str]], first: str, mark: str) -> list[re.Match[str]]:
    """Runs of two or more that count on from the first letter."""
    order, taken, run = _ORDERS[first], list[re.Match[str]](), list[re.Match[str]]()
    for one in found:
        letter = one["ordinal"]
        is_next = run and len(run) < len(order) and letter.lower() == order[len(run)]
        if is_next and _dress(one) == _dress(run[0]):
            run.append(one)
        elif letter.lower() == first and _opens(text, one, mark):
            taken += run if len(run) > 1 else []
            run = [one]
    return taken + (run if len(run) > 1 else [])


def _dress(found: re.Match[str]) -> tuple[str, str, bool]:
    return found["open"], found["close"], found["ordinal"].isupper()

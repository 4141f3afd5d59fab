"""Marks that only lay a report out: bullets, stray quotes, numbers and letters of lists; and lines that are items.

No axes. Each such mark becomes a BREAK. Which marks are a list's is decided by these rules:

1. A sign that can be nothing else, such as • or ➢, is a bullet wherever it stands; a dash or asterisk at a line start.
2. Any other sign is one where it recurs at line starts. One that compares or counts ("> 5 mm", "-80 HU") stays in the
   sentence unless another line has it before a word; a dash before a length is a bullet, as no length is below zero.
3. Numbers are a list's where they follow one another at line starts; letters and Roman numerals from "a" or "i" on,
   inside a line, too, see `reports.letters`. A line that begins with a dash may have more of them before capitals.
4. A line that begins with a size or a count is an item where the text is written in lines: other lines end without
   a stop before a capital, or begin with a size, too; and the line before it had room for more.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from simcrop.data.reports.letters import without_list_letters

BREAK = "\x1e"  # stands where a layout mark was; no report holds this control character once it is cleaned
LOOK_BACK = 100  # characters before a mark that decide about it; keeps a garbled file from taking minutes


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS_BEFORE_SIZE = words(
    "a about above after an and approx approximately are around at before below between by for from grade im image in"
    " is it least level measure measured measures measuring no of on or over plus score segment segments series stage"
    " than the to type under up was were with within"
)
_WORDS_AFTER_SIZE = words(
    "above across and apart are at away axis below by day days deep diameter each for from had has hour hours in into"
    " is long mm cm month months of on or per ribs rib the thick to vertebra vertebrae was week weeks were wide with"
    " year years"
)
_UNIT = r"(?:mm|cm|millimet\w+|centimet\w+|ml|cc)"
_NUMBER = r"\d+(?:[.,]\d+)?"
_SIZE_LINE = re.compile(
    rf"[ \t]*[<>≤≥~≈]?[ \t]*{_NUMBER}(?:[ \t]*(?:mm|cm)?[ \t]*(?:[x×*–-]|to)[ \t]*{_NUMBER})*"
    rf"(?:[ \t]*-?{_UNIT}\b\.?)?(?:[ \t]+|-)([^\W\d_]{{3,}})"
)
_DASHES = "–—‐‑‒―−⁃-"
_GLYPHS = "•●▪■‣◦⁃➢➤➔➜►▶▸▹▷◆◇❖❑❒◉\uf0b7\uf0a7\uf0d8\uf0fc\uf076\uf071\uf06e\uf06c\uf0a8\uf0e0①-⑳❶-❿"
_BULLET = re.compile(
    rf"(?=[{_GLYPHS}· \t–—‐‑‒―−*-])(?:[{_GLYPHS}]+\ufe0f?|(?<!\d)·|·(?!\d)"
    rf"|^[ \t]*[–—‐‑‒―−*-]+[ \t]*(?!\d|ve\b))",
    re.MULTILINE,
)
_DASHED = re.compile(r"\s*[-–—] [A-Z][^\n]* [-–—] [A-Z][^\n]* [-–—] [A-Z][^\n]*$")  # a list in one line
_QUOTATION = r'(?<!\w)["“](?=[a-z][^"“”.]{0,40}["”](?!\w)|[^"“”.\s][^"“”.]{0,40}["”]\s+[a-z])[^"“”]+["”]'
_QUOTE = re.compile(rf'(?=["“”„«»])(?:({_QUOTATION})|["“”„«»])')
_ITEM = re.compile(
    r"(?=[(\d])(?:^|(?<=[\s;:\x1e])|(?<=[^\W\d]\.))\(?(\d{1,2})"
    r"(?:\.(?=\s*[A-Z]|\s+\d)|\)(?=\s*[^\W_])|( ?[-–/])(?= ?[A-Z][a-z]))[ \t]*",
    re.MULTILINE,
)
_BEGUN = re.compile(r"[.?!][ \t]+[^.?!]*[^.?!\s]$")
_SECOND = re.compile(r"[.;:!?\s]\s*2 ?[-–/] ?[A-Z]")
COUNTED = re.compile(r"(?:vertebra|rib|costa|segment|intercostal)s?\b", re.IGNORECASE)
_LABEL = re.compile(
    r"\b(?:right|left|segment|series|image|im|no|level|grade|stage|type|score)[.:]?\s*$", re.IGNORECASE
)

_RULE = re.compile(r"[ \t]*([=~#+_*.-])\1{4,}[ \t]*$")
_NUMBERED = re.compile(
    r"[ \t]*(?P<open>[(\[（{<#№]{0,2})[ \t]?(?P<ordinal>\d{1,2})"
    r"(?P<close>[ \t]?(?:[^\w\s()\[{<\"'“”+%×&~°º]|[)_°º]){1,2}|)(?P<space>[ \t]*)(?=\S)"
)
_LETTERED = re.compile(
    rf"[ \t]*(?P<open>[(\[]?)(?P<ordinal>[A-Za-z]|[ivx]{{1,4}}|[IVX]{{1,4}})[ \t]?(?P<close>[.)\]:{_DASHES}]{{1,2}})"
    r"(?P<space>[ \t]*)(?=\S)"
)
_SMALL = re.compile(r"[ \t]*([oOvqxØü§])[ \t]+(?=[^\W\d_])")  # what a bullet of another font becomes
_SIGN = re.compile(
    r"[ \t]*([-=–—]+>|[^\w\s()\[\]{}<\"'“”„«»‘’.,;:…]|[.,;:_](?=[ \t]+[^\W\d_])|\[[ xX]?\]|\([ xX]?\))\1*"
    r"[\ufe0e\ufe0f]?(?P<space>[ \t]*)(?=\S)"
)
_PRESENCE = re.compile(r"[ \t]*\([-+±–−]+\)[ \t]*(?=\S)")
_COMPARING = "<>≤≥~≈=+±%" + _DASHES
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8, "ix": 9, "x": 10}


@dataclass(frozen=True)
class _Mark:
    """What a line may begin with: what kind of mark, which of its kind (0 without order), and where the words begin."""

    kind: str
    ordinal: int
    end: int
    strict: bool = False  # a list only if it counts from one
    before_number: bool = False  # or otherwise a word of the sentence


def without_layout_marks(text: str) -> str:
    """The text with a BREAK in place of each bullet, stray quote and list mark, and before each item of a list."""
    if "\n" in text:
        text = _without_marks_of_lines(text)
    elif _DASHED.match(text):
        text = re.sub(r" [-–—] (?=[A-Z])", BREAK, text)
    text = _QUOTE.sub(lambda quote: quote[1] or BREAK, text)
    text = _BULLET.sub(BREAK, text)
    return without_list_letters(_without_list_numbers(text), BREAK)


def _without_marks_of_lines(text: str) -> str:
    lines = ["" if _RULE.match(line) else line for line in text.split("\n")]
    ends = _ends_of_marks(lines)
    inner = _ends_of_marks(["" if end is None else line[end:] for line, end in zip(lines, ends, strict=True)])
    items = _items_by_size(lines, [end is not None for end in ends])
    return "\n".join(
        line if end is None and not item else BREAK + line[(end or 0) + (more or 0) :]
        for line, end, more, item in zip(lines, ends, inner, items, strict=True)
    )


def _ends_of_marks(lines: list[str]) -> list[int | None]:
    """Where the words begin after the mark of a list; 0 where the mark is one of them, None where there is none."""
    candidates = [_marks_of(line) if line else [] for line in lines]
    taken = _lists_among(candidates)
    ends = list[int | None]()
    for number, marks in enumerate(candidates):
        mark = next((mark for mark in marks if (number, mark.kind) in taken), None)
        is_word = mark is not None and not taken[number, mark.kind]
        if mark is None or (is_word and _is_open(lines[number - 1].rstrip() if number else "")):
            ends.append(None)
        else:
            ends.append(0 if is_word else mark.end)
    return ends


def _marks_of(line: str) -> list[_Mark]:
    """Everything that the beginning of a line could be; "i)" is a letter and a numeral."""
    if found := _NUMBERED.match(line):
        return _number_mark(line, found)
    if found := _LETTERED.match(line):
        boxes = _SIGN.match(line)
        return _letter_marks(found) + (_sign_mark(line, boxes) if boxes else [])
    if found := _SMALL.match(line):
        return [_Mark(found[1], 0, found.end())]
    if found := _SIGN.match(line):
        return _sign_mark(line, found)
    return [_Mark("(+)", 0, 0, before_number=True)] if _PRESENCE.match(line) else []


def _number_mark(line: str, found: re.Match[str]) -> list[_Mark]:
    close, rest = found["close"].strip(), line[found.end() :]
    if not found["open"] and not close:  # "1 Lungs are clear"
        spaced = found["space"].expandtabs()
        if not spaced or (len(spaced) == 1 and not rest[0].isupper()):
            return []
        return [_Mark("1", int(found["ordinal"]), found.end(), strict=True)]
    glued = not found["space"]
    if glued and (rest[0].isdigit() or (close and re.match(rf"(?:{_UNIT}|hu|x)\b", rest, re.IGNORECASE))):
        return []
    if COUNTED.match(rest) or (not close and not {*found["open"]} & {"#", "№"}):
        return []
    strict = (glued and not rest[0].isupper() and close[:1] in _DASHES + "/°º") or rest[0].isdigit()
    kind = f"{found['open']}1{'-' if close[:1] in _DASHES else close}"
    return [_Mark(kind, int(found["ordinal"]), found.end(), strict=strict)]


def _letter_marks(found: re.Match[str]) -> list[_Mark]:
    if not found["space"] and found["close"][-1] not in ")]":
        return []
    letters, marks = found["ordinal"], list[_Mark]()
    frame = f"{found['open']}{'A' if letters.isupper() else 'a'}{found['close']}"
    if len(letters) == 1:
        marks.append(_Mark(frame, ord(letters.lower()) - ord("a") + 1, found.end(), strict=True))
    if letters.lower() in _ROMAN:
        marks.append(_Mark(f"{frame} Roman", _ROMAN[letters.lower()], found.end(), strict=True))
    return marks


def _sign_mark(line: str, found: re.Match[str]) -> list[_Mark]:
    sign, rest = found[1], line[found.end() :]
    if re.match(r"ve\b", rest):  # "-ve", negative
        return []
    before_number = rest[0].isdigit() and sign in _COMPARING
    if before_number and sign in _DASHES:
        is_length = re.match(rf"{_NUMBER}(?:[ \t]*[x×][ \t]*{_NUMBER})*[ \t]*-?(?:mm|cm)\b", rest)
        before_number = not is_length and not found["space"]
    return [_Mark("-" if sign in _DASHES else sign, 0, found.end(), before_number=before_number)]


def _lists_among(candidates: list[list[_Mark]]) -> dict[tuple[int, str], bool]:
    """(line, kind) of the marks that make lists, and whether the mark vanishes."""
    sequences: dict[str, list[tuple[int, _Mark]]] = {}
    for number, marks in enumerate(candidates):
        for mark in marks:
            sequences.setdefault(mark.kind, []).append((number, mark))
    any_recurs = any(len(found) > 1 for found in sequences.values())
    taken: dict[tuple[int, str], bool] = {}
    for kind, found in sequences.items():
        if found[0][1].ordinal:
            taken |= dict.fromkeys(_in_order(found), True)
        elif any_recurs:
            is_mark = kind != "-" and any(not mark.before_number for _, mark in found)
            for number, mark in found:
                if len(found) > 1 or not mark.before_number:
                    taken[number, kind] = is_mark or not mark.before_number
    return taken


def _in_order(found: list[tuple[int, _Mark]]) -> set[tuple[int, str]]:
    """Those that count on from the one before or to the one after; "1" may come again and again."""
    ordinals = [0, *(mark.ordinal for _, mark in found), 0]
    taken, started = set[tuple[int, str]](), False
    for (before, here, after), (number, mark) in zip(
        zip(ordinals, ordinals[1:], ordinals[2:], strict=False), found, strict=False
    ):
        started = started or here == 1
        follows = (
            (here > 1 and before == here - 1) or after == here + 1 or (here == 1 and 1 in (before, after))
        )
        if follows and (started or not mark.strict):
            taken.add((number, mark.kind))
    return taken


def _items_by_size(lines: list[str], marked: list[bool]) -> list[bool]:
    """Which lines begin an item with a size or a count, see rule 4."""
    sized = [_begins_with_size(line) and not mark for line, mark in zip(lines, marked, strict=True)]
    if not any(sized):
        return sized
    in_lines = sum(sized) > 1 or any(
        before.strip() and before.rstrip()[-1].isalnum() and after.lstrip()[:1].isupper()
        for before, after in pairwise(lines)
    )
    width = max(map(len, lines))
    items = list[bool]()
    for number, (line, is_sized) in enumerate(zip(lines, sized, strict=True)):
        before = lines[number - 1].rstrip() if number else ""
        room = len(before) + 1 + len(line.split(None, 1)[0] if line.strip() else "") <= width
        after_item = number > 0 and (sized[number - 1] or marked[number - 1])
        items.append(is_sized and in_lines and (after_item or room) and not _is_open(before))
    return items


def _begins_with_size(line: str) -> bool:
    found = _SIZE_LINE.match(line)
    return found is not None and found[1].lower() not in _WORDS_AFTER_SIZE


def _is_open(before: str) -> bool:
    """Whether a line waits for a number, or a sentence has just begun in it."""
    if _BEGUN.search(before):
        return True
    words = before.rsplit(None, 1)
    return bool(words) and (words[-1].lower() in _WORDS_BEFORE_SIZE or before[-1] in ",:;(/<>=~+x×-–")


def _without_list_numbers(text: str) -> str:
    """List numbers count from one, or begin a line; "Right 10. Fracture" is neither."""
    expected = 1

    def item(found: re.Match[str]) -> str:
        nonlocal expected
        before = text[max(0, found.start() - LOOK_BACK) : found.start()].rstrip(" \t")
        number = int(found[1])
        starts_line = not before or before[-1] in "\n" + BREAK
        in_order = number == expected and not _LABEL.search(before)
        opens = not before or before[-1] in ".?!:;\n" + BREAK
        may_stand_here = opens or (number > 1 and not text[found.end() : found.end() + 1].isdigit())
        if found[2]:  # "1- Clear lungs. 2- Large heart.", but not "Score: 1 - Normal"
            starts_line, may_stand_here = False, opens and (number > 1 or _second_follows(text, found.end()))
        if COUNTED.match(text, found.end()) or not (starts_line or (in_order and may_stand_here)):
            return found[0]
        expected = number + 1
        return BREAK

    return _ITEM.sub(item, text)


def _second_follows(text: str, start: int) -> bool:
    return _SECOND.search(text, start, start + 20 * LOOK_BACK) is not None

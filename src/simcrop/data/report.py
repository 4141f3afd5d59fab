"""A radiology report: what it says, and its sentences.

No axes; text in, text out. The rules below are for English radiology prose, including prose that was machine
translated from Turkish ("the T4. vertebra", "clinical lab. blind. follow-up"). In their order:

1. Marks that only lay the text out begin a new sentence and vanish: bullets, stray double quotes, list numbers.
2. A line break ends a sentence unless the line runs on: an open bracket, a comma, colon, semicolon or small word
   before it, a lower-case letter or a number after it.
3. A full stop, question mark, exclamation mark or ellipsis ends a sentence unless `_runs_on` knows better.
4. Semicolons and colons never do: "When examined in the lung window; ..." and "Lungs: ..." say nothing alone.
5. Pieces without a letter, and "Not given." and its like, are dropped. Nothing else is lost but white space.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from simcrop.errors import SimcropError

BREAK = "\x1e"  # stands where a layout mark was; no report holds this control character once it is cleaned
LONGEST_BRACKET = 250  # a bracket that closes later than this many characters was never meant to be closed
LOOK_BACK = 100  # characters before a mark that decide about it; keeps a garbled file from taking minutes
LARGEST_FILE = 1_000_000  # bytes; the longest real report seen is a hundredth of it


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ABSENT = frozenset({"not given", "not available", "not provided", "n/a", "na"})
ALWAYS_RUN_ON = _words("approx assist assoc cf doc doç dr e.g i.e iv lt mr mrs ms prof rt uzm vs")
RUN_ON_BEFORE_NUMBER = _words("ca diam fig figs im img max min no nos nr p pp se seg ser vol")
RUN_ON_BEFORE_LOWER_CASE = _words(  # "blind" is how "kor.", correlation, comes out of a translator
    "al ant bilat blind ca clin cm cor corr dia diam dist etc ext fig hu ii iii inf int ix kv lab lat max med min ml"
    " mm op po post postop preop prox resp sec seg sup susp ver vert vi vii viii"
)
JOINING_WORDS = _words("and blind but by nor of or recommended than that which with")
LINE_JOINING_WORDS = _words(
    "a an and at both by for from in is left lower of on or right the to upper was with"
)
OPENING_WORDS = _words("a all also an as at both for he if in is it no of on other she the there this when")

_LINE_ENDS = "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
_CONTROLS = [*range(0x09), *range(0x0E, 0x20), 0x7F, 0xFEFF]
_SPACES = {  # every line end becomes one, every other white space and control character a space
    **{code: " " for code in range(0x3001) if chr(code).isspace() and code != ord("\n")},
    **dict.fromkeys(_CONTROLS, " "),
    **dict.fromkeys(map(ord, _LINE_ENDS), "\n"),
}
_LAYOUT = " \t\r\n-–—•·*"
_BULLET = re.compile(
    r"(?=[•●▪■‣◦· \t–—*-])(?:[•●▪■‣◦]+|(?<!\d)·|·(?!\d)|^[ \t]*[-–—*]+[ \t]*(?!\d))", re.MULTILINE
)
_QUOTATION = r'(?<!\w)["“](?=[a-z][^"“”.]{0,40}["”](?!\w)|[^"“”.\s][^"“”.]{0,40}["”]\s+[a-z])[^"“”]+["”]'
_QUOTE = re.compile(rf'(?=["“”„«»])(?:({_QUOTATION})|["“”„«»])')
_ITEM = re.compile(
    r"(?=[(\d])(?:^|(?<=[\s;:\x1e])|(?<=[^\W\d]\.))\(?(\d{1,2})(?:\.(?=\s*[A-Z]|\s+\d)|\)(?=\s*[^\W_]))[ \t]*",
    re.MULTILINE,
)
_COUNTED = re.compile(r"(?:vertebra|rib|costa|segment|intercostal)s?\b", re.IGNORECASE)
_COUNTING = re.compile(r"\b(?:right|left|bilateral)\s*$", re.IGNORECASE)
_LABEL = re.compile(
    r"\b(?:right|left|segment|series|image|im|no|level|grade|stage|type|score)[.:]?\s*$", re.IGNORECASE
)
_STOP = re.compile(r"[.?!…]+[)\]’']*")
_WORD_BEFORE = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]+$")
_ORDINAL = re.compile(
    r"(?<![\w.])(?<![A-Za-z]-)[A-Za-z]{0,2}\d{1,2}(?:\.?\s*(?:[-–/,]|and)\s*[A-Za-z]{0,2}\d{1,2})*$"
)
_HEAD = re.compile(
    r"(?:^[ \t]*|(?<=[.!?])[ \t]+)(?i:(findings?)|impressions?|conclusions?)[ \t]*(?::|$)", re.MULTILINE
)
_NAMED_BEFORE = re.compile(r"(?:^|\b(?:dr|prof|uzm|mr|mrs|ms|by)\.?|\b[A-Z]\.)\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Report:
    """What the radiologist saw (`findings`) and made of it (`impression`); either may be empty."""

    findings: str
    impression: str

    @property
    def text(self) -> str:
        """What the report branch reads: findings, then impression, in one line, without "Not given."."""
        parts = (" ".join(part.split()) for part in (self.findings, self.impression))
        return " ".join(part for part in parts if _says_something(part))

    @property
    def sentences(self) -> list[str]:
        """What the alignment reads: the sentences of the findings alone."""
        return sentences(self.findings)


def read_report_file(path: str | Path) -> Report:
    """A UTF-8 text file, see `split_at_heads`."""
    report = split_at_heads(_read_text(Path(path)))
    if not report.text:
        raise SimcropError(
            "empty-report", f"{path} holds no report: expected findings or an impression in words"
        )
    return report


def split_at_heads(text: str) -> Report:
    """A whole report, with or without the heads "Findings:", "Impression:" or "Conclusion:".

    Without a head all of it is findings. What stands before a "Findings" head (technique, history) is left out;
    what stands before a lone "Impression" head is findings.
    """
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    sections = [
        (bool(head[1]), text[head.end() : end].strip()) for head, end in zip(heads, ends, strict=False)
    ]
    if not any(is_findings for is_findings, _ in sections):
        sections.insert(0, (True, text[: heads[0].start()].strip() if heads else text.strip()))
    return Report(
        findings="\n".join(part for is_findings, part in sections if is_findings and part),
        impression="\n".join(part for is_findings, part in sections if not is_findings and part),
    )


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise SimcropError("missing-file", f"there is no report file {path}")
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        sentence = f"{path} is not UTF-8 text (byte {error.start}): expected a report as a plain .txt file"
        raise SimcropError("not-text", sentence) from None
    except OSError as error:
        raise SimcropError("unreadable", f"cannot read the report {path}: {error.strerror}") from None
    if not text.strip():
        raise SimcropError("empty-file", f"the report {path} is empty")
    if len(raw) > LARGEST_FILE or "\0" in text or text.startswith(("{\\rtf", "%PDF")):
        sentence = f"{path} is not a plain text report: expected a .txt file of at most {LARGEST_FILE} bytes"
        raise SimcropError("not-text", sentence)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def sentences(text: str | None) -> list[str]:
    """The sentences of a report's findings, in their order, white space tidied, layout marks removed."""
    pieces = [
        sentence
        for block in _without_layout_marks(text or "").split(BREAK)
        for sentence in _split_block(_join_lines(block))
    ]
    return [piece for piece in map(_tidy, pieces) if _says_something(piece)]


def _without_layout_marks(text: str) -> str:
    """The text with a BREAK in place of each bullet, stray quote and list number."""
    text = re.sub(r'"{2,}', '"', text.replace("\r\n", "\n").translate(_SPACES))
    text = _QUOTE.sub(lambda quote: quote[1] or BREAK, text)
    text = _BULLET.sub(BREAK, text)
    return _without_list_numbers(text)


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
        if _COUNTED.match(text, found.end()) or not (starts_line or (in_order and may_stand_here)):
            return found[0]
        expected = number + 1
        return BREAK

    return _ITEM.sub(item, text)


def _join_lines(block: str) -> str:
    """One line per stretch that a line break does not end; the breaks that do end one stay."""
    joined = ""
    for line in (line.strip() for line in block.split("\n")):
        runs_on = _line_runs_on(joined, line)
        joined = f"{joined}{' ' if runs_on else chr(10)}{line}" if joined else line
    return joined


def _line_runs_on(before: str, line: str) -> bool:
    if not line or before.endswith("\n"):
        return False
    recent = before[-LOOK_BACK:]
    if recent.endswith((",", ":", ";", "-", "(", "/")) or recent.rfind("(") > recent.rfind(")"):
        return True
    word = _word_before(recent)
    return not line[0].isupper() or (word is not None and word[0].lower() in LINE_JOINING_WORDS)


def _split_block(block: str) -> list[str]:
    """Cut after every stop that ends a sentence, and at the line breaks that are left."""
    return [sentence for line in block.split("\n") for sentence in _split_line(line)]


def _split_line(line: str) -> list[str]:
    bracketed = _bracketed(line)
    cuts = [0]
    for stop in _STOP.finditer(line):
        before = line[max(cuts[-1], stop.start() - LOOK_BACK) : stop.start()]
        after = line[stop.end() :]
        inside = any(start < stop.end() <= end for start, end in bracketed)
        if not inside and after.strip() and not _runs_on(before, stop[0], after):
            cuts.append(stop.end())
    return [line[start:end] for start, end in zip(cuts, [*cuts[1:], len(line)], strict=True)]


def _bracketed(line: str) -> list[tuple[int, int]]:
    """Where brackets open and close, outermost or not; those that never close are left out."""
    opened, pairs = [], []
    for found in re.finditer(r"[()\[\]]", line):
        if found[0] in "([":
            opened.append(found.start())
        elif opened and (start := opened.pop()) > found.start() - LONGEST_BRACKET:
            pairs.append((start, found.start()))
    return pairs


def _runs_on(before: str, stop: str, after: str) -> bool:
    """Whether the sentence goes on after this stop. `before` begins at the last cut."""
    upcoming = after.lstrip(_LAYOUT)
    if not upcoming:
        return False
    decimal_point = after[0].isdigit() and before[-1:].isspace()
    if upcoming[0] in ",;:)]" or after[0] in ".?!" or decimal_point:
        return True
    if upcoming[0] in "([":
        return upcoming[1:2].islower() or stop[0] != "."
    opening = re.match(r"[^\W\d_]*", upcoming)
    word = opening[0] if opening else ""
    if word in JOINING_WORDS or stop != ".":
        return word[:1].islower()
    spaced = after[0] in _LAYOUT
    if before[-1:].isdigit():
        return _runs_on_after_number(before, upcoming, word, spaced)
    return _runs_on_after_word(before, upcoming, word, spaced)


def _runs_on_after_word(before: str, upcoming: str, opening: str, spaced: bool) -> bool:
    """Abbreviations, initials, and full stops inside a word; a missing space alone does not join."""
    found = _word_before(before)
    last = found[0].lower() if found else ""
    if last in ALWAYS_RUN_ON:
        return True
    if "." in last:
        return opening.lower() not in OPENING_WORDS
    if upcoming[0].isdigit():
        whole = re.match(r"\d{1,3}(?:[.,]\d{1,2})?(?![\d.])", upcoming)
        return last in RUN_ON_BEFORE_NUMBER or (not spaced and (len(last) == 1 or whole is None))
    if opening[:1].islower():
        return last in RUN_ON_BEFORE_LOWER_CASE or (not spaced and (0 < len(last) < 3 or len(opening) < 2))
    if found and len(last) == 1:
        return not spaced or (
            found[0].isupper() and bool(_NAMED_BEFORE.search(before[: len(before) - len(found[0])]))
        )
    return not spaced and bool(last) and len(opening) == 1 and upcoming[1:2] != " "


def _word_before(before: str) -> re.Match[str] | None:
    """The word that a text ends with; sought in the text's last piece alone."""
    pieces = before.rsplit(None, 1)
    return _WORD_BEFORE.search(pieces[-1]) if pieces and not before[-1].isspace() else None


def _runs_on_after_number(before: str, upcoming: str, opening: str, spaced: bool) -> bool:
    """Decimals, dates, levels ("T12.L1") and ordinals ("the 5. rib", "Right 2., 3. Fracture")."""
    ordinal = _ORDINAL.search(before)
    if upcoming[0].isdigit():
        follows = re.match(r"\d{1,2}\.(?!\d)|(?:19|20)\d\d\b", upcoming)
        return not spaced or before.strip().isdigit() or bool(ordinal and follows)
    if opening[:1].islower():
        return not spaced or ordinal is not None
    if not spaced and upcoming[len(opening) : len(opening) + 1].isdigit():
        return True
    if ordinal is None:
        return False
    counting = _COUNTING.search(before[: ordinal.start()]) and opening.lower() not in OPENING_WORDS
    return bool(_COUNTED.match(upcoming) or counting)


def _tidy(piece: str) -> str:
    """White space single, nothing of the layout at either end; a minus sign or decimal point stays."""
    piece = " ".join(piece.split())
    piece = re.sub(r"^(?:[\s–—•·*?,;:!…)\]]|[-.](?!\d))+", "", piece).rstrip(_LAYOUT)
    return re.sub(r"\s+([.?!]+)$", r"\1", re.sub(r"\s+[,;]+$", "", piece))


def _says_something(piece: str) -> bool:
    bare = re.sub(r"[^\w/ ]", "", piece).strip().casefold()
    return any(character.isalpha() for character in bare) and bare not in ABSENT

"""A radiology report: what it says, and its sentences.

No axes; text in, text out. The rules are for English radiology prose, including prose that was machine translated
from Turkish ("the T4. vertebra", "clinical lab. blind. follow-up"); heads, and the commonest abbreviations, of some
other languages are known, too. In their order:

1. Marks that only lay the text out begin a new sentence and vanish, see `reports.marks`.
2. A line break ends a sentence unless the line runs on: an open bracket, a comma, colon, semicolon or small word
   before it, a lower-case letter or a number after it.
3. A full stop, question mark, exclamation mark or ellipsis ends a sentence unless it stands inside one, see
   `reports.stops`.
4. Semicolons and colons never do: "When examined in the lung window; ..." and "Lungs: ..." say nothing alone.
5. A piece without a letter belongs to the sentence before it. "Not given." and its like are dropped, and nothing else.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from simcrop.data.reports.heads import cut_at_heads
from simcrop.data.reports.leavings import clean_cell
from simcrop.data.reports.marks import BREAK, without_layout_marks
from simcrop.data.reports.stops import LAYOUT, split_block
from simcrop.errors import SimcropError

LARGEST_FILE = 1_000_000  # bytes; the longest real report seen is a hundredth of it
ABSENT = frozenset({"not given", "not available", "not provided", "n/a", "na"})

_LINE_ENDS = "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
_CONTROLS = [*range(0x09), *range(0x0E, 0x20), 0x7F, 0xFEFF]
_SPACES = {  # every line end becomes one, every other white space and control character a space
    **{code: " " for code in range(0x3001) if chr(code).isspace() and code != ord("\n")},
    **dict.fromkeys(_CONTROLS, " "),
    **dict.fromkeys(map(ord, _LINE_ENDS), "\n"),
    ord("\t"): "  ",  # wide, as in "1    Lungs are clear"
    **dict.fromkeys((0xAD, 0x200B, 0x2060), None),
}


@dataclass(frozen=True)
class Report:
    """What the radiologist saw (`findings`) and made of it (`impression`); either may be empty."""

    findings: str
    impression: str
    headed: bool = field(default=True, compare=False)  # whether a head said which is which, if one had to
    note: str = field(default="", compare=False)  # what was guessed or is missing, for the ledger

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
    return split_at_heads(read_report_text(path))


def read_report_text(path: str | Path) -> str:
    """The whole text of a UTF-8 file, without what an export left in it."""
    text = clean_cell(_read_text(Path(path)))
    if not split_at_heads(text).text:
        raise SimcropError(
            "empty-report", f"{path} holds no report: expected findings or an impression in words"
        )
    return text


def split_at_heads(text: str) -> Report:
    """A whole report, with or without heads, see `reports.heads`."""
    sections = cut_at_heads(text)
    return Report(sections.findings, sections.impression, sections.headed, sections.note)


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
    text = re.sub(r'"{2,}', '"', (text or "").replace("\r\n", "\n").translate(_SPACES))
    pieces = [
        _tidy(sentence)
        for block in without_layout_marks(text).split(BREAK)
        for sentence in split_block(block)
    ]
    return _with_numbers_joined(pieces)


def _with_numbers_joined(pieces: list[str]) -> list[str]:
    """A piece of digits alone is the end of the sentence before it, or else the beginning of the next."""
    kept, waiting = list[str](), ""
    for piece in pieces:
        if _says_something(piece):
            kept.append(f"{waiting} {piece}" if waiting else piece)
            waiting = ""
        elif any(map(str.isdigit, piece)):
            if kept:
                kept[-1] += f" {piece}"
            else:
                waiting = f"{waiting} {piece}".strip()
    return kept


def _tidy(piece: str) -> str:
    """White space single, nothing of the layout at either end; a minus sign or decimal point stays."""
    piece = " ".join(piece.split())
    piece = re.sub(r"^(?:[\s–—•·*?,;:!…)\]]|\.(?!\d)|-(?!\d|ve\b))+", "", piece).rstrip(LAYOUT)
    return re.sub(r"\s+([.?!]+)$", r"\1", re.sub(r"\s+[,;]+$", "", piece))


def _says_something(piece: str) -> bool:
    bare = re.sub(r"[^\w/ ]", "", piece).strip().casefold()
    return any(character.isalpha() for character in bare) and bare not in ABSENT

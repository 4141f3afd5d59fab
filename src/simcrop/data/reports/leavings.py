"""What exports leave in a text: line ends spelled out, mark-up, entities, control characters, words for an empty cell.

No axes; text in, text out. A table of reports and a report file go through `clean_cell` once, where they are read.
What is no leaving stays: "<5 mm", "<NAME>", "[**Name**]", "R&D", a backslash in a path.
"""

import html
import re

EMPTY_CELLS = frozenset({"nan", "none", "null", "nat", "<na>", "n/a", "#n/a", "(null)", "\\n"})
EMPTY_TEXTS = EMPTY_CELLS | {"na", "n.a.", "n.a", "nil", "-", "--", "—", "not available"}

_SUSPECT = re.compile(
    r"[\\&<\xa0\xad\u200b\u2060\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]|[.:?!][~|]|_x[0-9A-Fa-f]{4}_|\*\*|[ÂÃÄÅâ][\x80-\xbf\u0152-\u2122]"
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_EXCEL = re.compile(r"_x000[dD]_(?:_x000[aA]_|\n)?|_x([0-9A-Fa-f]{4})_")
_N_WORD = r"od(?:ul|e|al)|ot\b|ormal|ecro|eopl|ew\b|arrow|erve|asal|eck\b"  # "mass\nodule" is a slash
_LINE_END = re.compile(
    rf"(?:\\r)?\\n(?!(?<=\w\\n)(?:{_N_WORD}))|\\r(?![a-z])"
    r"|\\\.br\\|\\X0[AaDd]\\(?:\\X0[AaDd]\\)?|<(?:CR|LF|CR/?LF)/?>(?:<LF>)?"
)
_CODE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
_TAB = re.compile(r"\\t(?![a-z])")
_RTF_GROUP = re.compile(r"\{\\(?:\*|fonttbl|colortbl|stylesheet|info|pict)(?:[^{}]|\{[^{}]*\})*\}")
_RTF = re.compile(r"\\(?:(pard?|line)|'([0-9a-f]{2})|(?:[a-z]{1,20}-?\d{0,6}))(?![a-z0-9]) ?")
_REPEATED = re.compile(
    r"(?<=[.:?!])(?:~|\|)(?=[ \t]*(?:[A-Z]|$))"
)  # what HL7 puts between the lines of a text
_ESCAPED = re.compile(r"\\([TFSRE])\\|\\([\"'/])")
_HL7 = {"T": "&", "F": "|", "S": "^", "R": "~", "E": "\\"}
_HIDDEN = re.compile(
    r"<!\[CDATA\[|\]\]>|<!--[^<]{0,2000}-->|<(style|script)\b[^<>]{0,300}>[^<]{0,20000}</\1>", re.IGNORECASE
)
_TAG = re.compile(
    r"<(/?)(br|p|div|li|ul|ol|tr|td|th|table|tbody|thead|center|hr|h[1-6]|pre|b|i|em|u|strong|span|font|sup|sub|html"
    r"|body|o:p)(?:\s[^<>]{0,300})?\s*/?>(\n?)",
    re.IGNORECASE,
)
_NO_SPACE = {"b", "i", "em", "u", "strong", "span", "font", "sup", "sub", "html", "body", "o:p"}
_BOLD = re.compile(r"(?<![\[*])\*\*(?=[^\s*])([^*\[\]\n]{1,80})(?<=\S)\*\*(?![\]*])")
_MISREAD = re.compile(r"[Â-Å][\x80-\xbf\u0152-\u2122]|â[\x80-\xbf\u0152-\u2122]{2}")
_INVISIBLE = dict.fromkeys(map(ord, "\xad\u200b\u2060"), None) | {0xA0: " "}
_INVISIBLE |= {**dict.fromkeys((*range(0x09), *range(0x0E, 0x20), 0x7F), " "), 0: None}  # control characters
_INVISIBLE |= dict.fromkeys(map(ord, "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), "\n")


def clean_cell(text: str) -> str:
    """A cell of words: empty where it only says that it is, else without leavings."""
    return "" if text.strip().casefold() in EMPTY_TEXTS else clean_text(text)


def clean_name(text: str) -> str:
    """A cell that names something, a path for example: nothing in it is a leaving but a word for emptiness."""
    return "" if text.strip().casefold() in EMPTY_CELLS else text


def clean_text(text: str) -> str:
    """The text as its writer saw it; line ends become line ends, mark-up vanishes."""
    if not _SUSPECT.search(text):
        return text
    text = _MISREAD.sub(_decoded, text)
    for _ in range(3):  # an export of an export: "&amp;lt;"
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    text = _EXCEL.sub(lambda code: "\n" if code[1] is None else _character(code[1]), text)
    text = _without_rtf(text) if re.search(r"\\pard?(?![a-z])", text) else text
    text = _CODE.sub(lambda code: _character(code[1] or code[2]), text)
    text = _TAB.sub(" ", _LINE_END.sub("\n", text))
    text = _REPEATED.sub("\n", text) if len(_REPEATED.findall(text)) > 1 else text
    text = _ESCAPED.sub(lambda escape: _HL7[escape[1]] if escape[1] else escape[2], text)
    text = _TAG.sub(_layout_of, _HIDDEN.sub("", text))
    return _BOLD.sub(r"\1", text).translate(_INVISIBLE).replace("\r\n", "\n").replace("\r", "\n")


def _without_rtf(text: str) -> str:
    """A rich text whose paragraphs are spelled out; the words of its layout vanish."""
    whole = text.lstrip().startswith("{\\rtf")
    text = _RTF.sub(_rtf_word, _RTF_GROUP.sub("", text))
    return text.replace("{", "").replace("}", "") if whole else text


def _rtf_word(word: re.Match[str]) -> str:
    if word[2]:
        return bytes.fromhex(word[2]).decode("cp1252", "replace")
    return "\n" if word[1] and word[1] != "pard" else ""


def _character(code: str) -> str:
    character = chr(int(code, 16))
    return character if character.isprintable() else "\n" if character in "\r\n\x0b\x0c" else " "


def _layout_of(tag: re.Match[str]) -> str:
    name = tag[2].lower()
    if name in _NO_SPACE:
        return tag[3]
    if name in ("td", "th"):
        return f" {tag[3]}"
    return "\n• " if name == "li" and not tag[1] else "\n"


def _decoded(letters: re.Match[str]) -> str:
    """UTF-8 that was read as Windows-1252: "â€¢" was a bullet."""
    try:
        raw = b"".join(c.encode("latin-1" if ord(c) < 0x100 else "cp1252") for c in letters[0])
        return raw.decode("utf-8")
    except UnicodeError:
        return letters[0]

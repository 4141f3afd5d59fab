"""The heads of a whole report: which part is findings, which impression, and which is neither.

No axes; text in, text out. The rules:

1. A head stands at a line start, in whatever dress ("**FINDINGS:**", "## Findings", "- CT CHEST FINDINGS (LUNGS):"),
   after a stop with a colon, or anywhere as capitals with a colon ("CT.FINDINGS:x.IMPRESSION:y").
2. Without a head of findings, findings are what stands before the impression, or all of it. With one, what stands
   before it is left out. Findings and impression under one head are findings.
3. Technique, history, comparison and signature are neither. They reach to the next head or a blank line, else to the
   end of their line, or sentence, see `reports.asides`; a signature after the report to its end, or among other
   sentences to the end of its own or its line, see `reports.signature`. A title such as "CT CHEST" before the first
   head is left out, too.
4. An addendum joins the findings, before or after them as it stands, see `reports.addendum`; heads inside it are heads.
5. "Other findings:", "Cardiac findings:" are no heads but words of the findings.
6. What was guessed, and what is missing, is the report's note.
"""

import re
from dataclasses import dataclass, replace

from simcrop.data.reports.addendum import addenda_in, said_in
from simcrop.data.reports.asides import ASIDE, begin_of_guess, end_of_aside, guess_findings, stays_in_findings
from simcrop.data.reports.marks import words
from simcrop.data.reports.signature import (
    SIGNATURE,
    after_own_sentence,
    is_one_sentence,
    is_signer,
    without_signature,
)

HEADLESS = "no known head"  # how both notes of a report begin that does not say where its findings are
NO_HEAD = f"{HEADLESS} in the report, all of it read as findings"
GUESSED = f"{HEADLESS} of findings in the report, what follows its technique read as findings"
NO_FINDINGS = "no findings in the report, only an impression"

LOOKED_AT = 400  # letters behind the words of a signature

_GAP = r"[ \t]*"
_JOINT = rf"{_GAP}(?:and|und|ve|et|y|e|&|/|,|\+|-|–){_GAP}"
_REGION = (
    r"(?:(?:ct|cta|ctpa|hrct|ldct|mdct|pet|chest|thorax|thoracic|abdomen|abdominal|pelvis|pelvic|neck|radiolog\w+"
    r"|radiographic|imaging|tomograph\w+|scan|exam|examination|study|report|final|overall|main|primary|key|pertinent"
    r"|preliminary|the|of|and|with|without|w/o|iv|contrast|low|high|dose|resolution|enhanced|computed|diagnostic"
    r"|detailed|general)[ \t/,&-]{1,3}){0,8}"
)
_E, _O = r"(?:é|e\u0301?)", r"(?:ó|o\u0301?)"  # as it is typed, as a Mac writes it, and without its accent
_IMPRESION = rf"impresi{_O}n(?:es)?(?:[ \t]+diagn{_O}sticas?)?"
_CONCLUSION = rf"(?:impressions?|{_IMPRESION}|conclusions?|conclusi{_O}n|conclusion[ei]s?)"
_JOINED = r"(?:impressions?|conclusions?|interpretation|opinion|summary|assessment|diagnosis)"
_MORE = (
    rf"(?:{_GAP}(?:and|ve|&|/|,|\+){_GAP}(?:recommendations?|plan|opinion|comments?|diagnosis|summary|conclusions?"
    rf"|impressions?|discussion|suggestions?|advice|öneri(?:ler)?|follow[ -]?up|differential(?: diagnosis)?)){{0,3}}"
)
_FINDINGS = (
    rf"(?P<findings>{_REGION}(?:(?:summary[ \t]+of[ \t]+)?findings?(?:{_JOINT}{_JOINED})?|{_JOINED}{_JOINT}findings?"
    rf"|f i n d i n g s|(?:befunde?|bulgular|r{_E}sultats?|hallazgos?|reperti)"
    rf"(?:{_JOINT}(?:findings?|beurteilung|sonuç|{_CONCLUSION}))?"
    r"|(?P<rare_findings>observations?|description|results?|report)))"
)
_IMPRESSION = (
    rf"(?P<impression>{_REGION}(?:{_CONCLUSION}|imp(?=[ \t]*[:：])|i m p r e s s i o n"
    rf"|(?:beurteilung|sonuç|zusammenfassung)(?:{_JOINT}{_CONCLUSION})?"
    r"|(?:final|ct|imaging|radiolog\w+)[ \t]+diagnos[ie]s"
    r"|(?P<rare_impression>opinions?|interpretation|summary|assessment)))"
)
_SUFFIX = (
    r"(?:[ \t]*\([^()\n]{0,60}\)|[ \t]*\[[^\[\]\n]{0,40}\])?"
    r"(?:(?:[ \t]+(?:ct|chest|thorax|abdomen|and|pelvis|neck|lungs?)){1,4}(?=[ \t]*[:：]))?"
    r"(?:[ \t]+(?:of|in|for|on|from)[ \t]+[^\n:.]{1,40}(?=[ \t]*[:：])|[ \t]*[-–—][ \t]*[^\n:.]{1,30}(?=[ \t]*[:：]))?"
)
_SIGNED = r"[ \t]+(?:by|was|has|verified|approved|signed|dictated|electronically|digitally)\b"  # "Report by"
_DRESS = r"(?:[ \t]|[^\w\s(]|_){0,12}"
_NUMBER = r"(?:o[ \t]+|\(?(?:\d{1,2}|[A-Za-z]|[ivxIVX]{1,4})[.):-]{1,2}[ \t]*)?"
_UNDRESS = r"[ \t]*(?:[-=]{2,20}|[*_#=~\]>}\"'”»`]{0,6})"
_HEAD = re.compile(
    rf"(?:(?P<line>^[ \t]*+{_DRESS}{_NUMBER}{_DRESS})|(?P<stop>(?<=[.!?])[ \t]+)"
    rf"|(?P<inside>(?<=[.!?])|(?<![\w-])(?=[^\n:：]{{1,160}}[:：])))"
    rf"(?:(?:{_FINDINGS}|{_IMPRESSION})(?!{_SIGNED})|(?P<aside>{ASIDE})|(?P<signature>{SIGNATURE}))(?<=\w)(?!\w)"
    rf"{_MORE}{_SUFFIX}(?P<close>{_UNDRESS})[ \t]*(?P<sign>[:：][-–]?|[-–—=|;.](?=\s)|$|)(?:{_UNDRESS}(?=\s|$))?",
    re.MULTILINE | re.IGNORECASE,
)
_MENTIONED = re.compile(  # a text without any of these words has no head, whatever its dress
    r"addend|finding|impression|observation|description|result|diagnos|opinion|interpretation|summary|assessment"
    r"|techni|procedure|protocol|method|acquisition|parameter|dose|dlp|ctdi|contrast|history|hx|clinical|indication"
    r"|reason|compar|prior|previous|exam|study|modality|date|accession|patient|mrn|dob|ordering|referring|requesting"
    r"|record|med rec|hospital|account|visit|encounter|teaching|staff|document"
    r"|signed|authenticated|approved|dictat|transcri|report|read by|review|verif|authori|end of|signature|radiolog"
    r"|attending|resident|interpreted|finali|released|validated|prepared|typed|checked|scanned|corrected|proofread"
    r"|physician|doctor|provider|author|consultant|fellow|[:：]|f i n d|teknik|fragest|klini|indik|endik|voraufn"
    r"|befund|bulgular|beurteilung|sonuç|zusammenf|sultat|hallazgo|reperti|impresi|conclusi|cnica|indicaci|indicazion|quesito",
    re.IGNORECASE,
)
_SUBHEAD = re.compile(r"(?:^|[\s.])([A-Za-z]+(?:[ -][A-Za-z]+)?)[ \t]+$")
_OTHER = words(
    "abdominal abnormal actionable additional airway ancillary associated bone bones bony cardiac cardiovascular"
    " critical extrapulmonary further important incidental lung lungs mediastinal miscellaneous musculoskeletal"
    " negative new no normal osseous other pleural positive previous prior pulmonary remaining secondary significant"
    " skeletal tissue unexpected upper vascular wall"
)
_NUMBERED = re.compile(r"[ \t#.]*\d")  # "MRN 12345" needs no colon
_UNDERLINE = re.compile(r"^[ \t]*(?:([-=_*~#])\1{2,}|[Pp](?:age|AGE) \d+ (?:of|OF) \d+)[ \t]*$", re.MULTILINE)
_TITLE = re.compile(
    r"\W*(?:(?:ct|cta|ctpa|hrct|ldct|mdct|chest|thorax|thoracic|abdomen|pelvis|neck|pe|lung|angiogra\w+|pulmonary|scan"
    r"|screening|exam\w*|study|report|final|protocol|the|of|and|with|without|w|wo|w/o|iv|i\.v|contrast|plain|routine|low"
    r"|high|dose|resolution|enhanced|non|noncontrast|computed|tomograph\w+|radiology|department|date|am|pm|[\d/.:]+)\b"
    r"\W*)+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sections:
    """`headed`: whether a head of findings or impression was there, `has_findings`: whether one of findings was.
    `note`: what was guessed or is missing.
    """

    findings: str
    impression: str
    headed: bool
    note: str
    has_findings: bool = False


@dataclass(frozen=True)
class _Head:
    """`one`: a signature that is one sentence among others."""

    kind: str
    name: str
    start: int
    end: int
    one: bool = False


def cut_at_heads(text: str) -> Sections:
    heads = _heads_in(text)
    heads = _with_result_as_impression(text, heads)
    main = {head.kind for head in heads} & {"findings", "impression"}
    parts = _parts(text, heads, "findings" in main)
    if "findings" in main and not any(kind == "findings" and part for kind, part in parts):
        parts = _parts(text, heads, False)
    if "findings" not in main and not any(part for kind, part in parts if kind in ("findings", "guess")):
        guess = _bare(guess_findings(_asides(text, heads), "impression" in main))
        parts.insert(
            next((n for n, (kind, _) in enumerate(parts) if kind == "impression"), 0), ("guess", guess)
        )
    findings = "\n".join(part for kind, part in parts if kind != "impression" and part)
    impression = "\n".join(part for kind, part in parts if kind == "impression" and part)
    guessed = any(kind == "guess" and part for kind, part in parts)
    missing = "" if findings else NO_FINDINGS
    note = NO_HEAD if not main else GUESSED if guessed else missing
    return Sections(findings, impression, bool(main), note, "findings" in main)


def _with_result_as_impression(text: str, heads: list[_Head]) -> list[_Head]:
    """ "Result:" after findings without a head is what was made of them; elsewhere it is their head."""
    main = [head for head in heads if head.kind in ("findings", "impression")]
    if not main or not all(re.search(r"results?$", head.name, re.IGNORECASE) for head in main):
        return heads
    turned = [replace(head, kind="impression") if head in main else head for head in heads]
    said = any(kind == "findings" and part for kind, part in _parts(text, turned, False))
    return turned if said else heads


def _asides(text: str, heads: list[_Head]) -> list[tuple[str, str]]:
    """(name, section) of each that stands before the impression."""
    ends = [*(head.start for head in heads[1:]), len(text)]
    last = next((number for number, head in enumerate(heads) if head.kind == "impression"), len(heads))
    found = list(zip(heads, ends, strict=True))[:last] if heads else []
    return [(head.name, text[head.end : end]) for head, end in found if head.kind == "aside"]


def _heads_in(text: str) -> list[_Head]:
    if not _MENTIONED.search(text):
        return []
    added = [_Head(*facts) for facts in addenda_in(text)]
    found = [(head, kind) for head in _HEAD.finditer(text) if (kind := _kind_of(text, head))]
    sure = any(kind == "findings" and not head["rare_findings"] for head, kind in found)
    heads = [
        _Head(kind, head[kind], *_span(head, kind), one=is_one_sentence(head, kind))
        for head, kind in found
        if not (sure and head["rare_findings"])
    ]
    apart = [
        head for head in heads if not any(one.start < head.end and head.start < one.end for one in added)
    ]
    return sorted([*added, *apart], key=lambda head: head.start)


def _span(head: re.Match[str], kind: str) -> tuple[int, int]:
    return head.start(), head.end(kind) if kind == "signature" else head.end()


def _kind_of(text: str, head: re.Match[str]) -> str | None:
    """Which head it is; None where the words only stand in a sentence."""
    kind = next(kind for kind in ("findings", "impression", "aside", "signature") if head[kind] is not None)
    name, sign, at_line = head[kind], head["sign"], head["line"] is not None
    colon, alone = sign[:1] in (":", "："), _is_alone(text, head)
    if kind == "signature":
        glued = name[:4].isupper() and text[head.start() - 1] in ".!?"
        begins = name[0].isupper() or (head["line"] or "").strip() == "E-"
        stands = begins and (head["inside"] is None or glued)
        return kind if stands and is_signer(name, text[head.end(kind) :][:LOOKED_AT]) else None
    if kind == "aside" and not name.lstrip()[0].isupper() and (name != "cc" or not at_line):
        return None
    if name[:4].lower() == "the " and not name.isupper():
        return None
    if name.lower() in ("mrn", "dob") and head["inside"] is None and _NUMBERED.match(text, head.end()):
        return kind
    if head["rare_findings"] or head["rare_impression"]:
        is_title = name.lower().endswith("report")  # "CT CHEST REPORT" stands above many a report
        after_stop = head["stop"] is not None and name.lower() in ("interpretation", "opinion", "summary")
        begins = colon and (at_line or after_stop)
        return kind if name[0].isupper() and (begins or (at_line and alone and not is_title)) else None
    if at_line:
        return kind if colon or alone or _stands_out(text, head, name) else None
    if head["stop"] is not None:
        return kind if colon or (alone and kind != "aside") else None
    return kind if colon and _is_no_subhead(text, head, name) else None


def _is_alone(text: str, head: re.Match[str]) -> bool:
    end = text.find("\n", head.end())
    return (
        head["sign"][:1] in ("", ".", "-", "–", "—", "=", "|")
        and not text[head.end() : end if end >= 0 else None].strip()
    )


def _stands_out(text: str, head: re.Match[str], name: str) -> bool:
    """Without a colon: "FINDINGS - Clear", "[FINDINGS] clear", "IMPRESSION Normal", "**Findings** Clear"."""
    after = text[head.end() :].lstrip()
    framed = any(c in head["close"] for c in "]}>*_=#")
    if text[head.end() - 1] == "\t":
        return name[0].isupper()
    if framed or (head["sign"] and head["sign"] != "."):
        return name[0].isupper() and (framed or name.isupper() or not after[:1].islower())
    return name.isupper() and after[:1].isupper() and (after[1:2].islower() or after[1:2].isspace())


def _is_no_subhead(text: str, head: re.Match[str], name: str) -> bool:
    """Inside a line: capitals, or a capital after a small word; "Cardiac Findings:" tells more of the findings."""
    before = text[max(0, head.start() - 40) : head.start()]
    found = _SUBHEAD.search(before)
    last = re.split("[ -]", found[1])[-1] if found else ""
    if last.lower() in _OTHER and head["findings"]:
        return False
    if name.split()[-1].isupper():  # "TECHNIQUE: CT chest FINDINGS: clear"
        return True
    apart = before[-1:].isspace() or before[-1:] in ".!?)"
    return name[0].isupper() and name[1:2].islower() and apart and not last[:1].isupper()


def _parts(text: str, heads: list[_Head], has_findings: bool) -> list[tuple[str, str]]:
    """(kind, text) in order; what stands before the first head is findings unless findings have a head."""
    current = "" if has_findings else "findings"
    before = _bare(text[: heads[0].start] if heads else text)
    parts = [(current, "" if heads and _TITLE.fullmatch(before) else before)]
    outside = current  # of any addendum
    last = max((n for n, head in enumerate(heads) if head.kind in ("findings", "impression")), default=-1)
    for number, head in enumerate(heads):
        end = heads[number + 1].start if number + 1 < len(heads) else len(text)
        section = text[head.end : end]
        among = head.kind == "signature" and (head.one or number < last)
        if head.kind in ("findings", "impression"):
            current = outside = head.kind
            parts.append((current, _bare(section)))
        elif head.kind == "addendum":
            said = said_in(section)
            parts.append(("addendum", _bare(said if outside else _without_title(said))))
            current = outside and "findings"  # above the report nothing but its own lines belongs to it
        elif head.kind == "end":
            current = outside
            parts.append((current, _bare(section)))
        elif among and (rest := after_own_sentence(section)):
            parts.append((current, _bare(rest)))
        elif head.kind == "aside" or not any(part for kind, part in parts if kind):
            inside = has_findings and bool(current)
            parts.append(_after_aside(head, section, text[head.start : end], current, inside))
    return [(kind, part) for kind, part in parts if kind]


def _without_title(section: str) -> str:
    """An addendum above a report, without the report's title below it."""
    above, _, last = section.rstrip().rpartition("\n")
    return above if above.strip() and _TITLE.fullmatch(last) else section


def _after_aside(head: _Head, section: str, whole: str, current: str, inside: bool) -> tuple[str, str]:
    """What belongs to the findings or impression around it."""
    if inside and stays_in_findings(head.name, section):
        return current, _bare(whole)
    if current == "findings" and not inside and (guess := begin_of_guess(head.name, section)) is not None:
        return "guess", _bare(section[guess:])
    return current, _bare(section[end_of_aside(section, inside) :])


def _bare(section: str) -> str:
    return without_signature(_UNDERLINE.sub("", section).strip().removeprefix("**").lstrip())

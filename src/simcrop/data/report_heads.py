"""The heads of a whole report: which part is findings, which impression, and which is neither.

No axes; text in, text out. The rules:

1. A head stands at a line start, in whatever dress ("**FINDINGS:**", "## Findings", "- CT CHEST FINDINGS (LUNGS):"),
   after a stop with a colon, or anywhere as capitals with a colon ("CT.FINDINGS:x.IMPRESSION:y").
2. Without a head of findings, findings are what stands before the impression, or all of it. With one, what stands
   before it is left out. Findings and impression under one head are findings.
3. Technique, history, comparison and signature are neither. They reach to the next head or a blank line, else to the
   end of their line, or sentence; a signature after the report to its end.
4. "Other findings:", "Cardiac findings:" are no heads but words of the findings.
"""

import re
from dataclasses import dataclass

from simcrop.data.report_marks import words

NO_HEAD = "no known head in the report, all of it read as findings"


def _pattern(alternatives: str) -> str:
    """One alternative a line; a blank between words may be any white space of a line."""
    lines = [line.strip() for line in alternatives.strip().splitlines()]
    return rf"(?:{'|'.join(lines)})".replace(" ", r"[ \t]+")


_GAP = r"[ \t]*"
_JOINT = rf"{_GAP}(?:and|&|/|,|\+|-|–){_GAP}"
_REGION = (
    r"(?:(?:ct|cta|ctpa|hrct|ldct|mdct|pet|chest|thorax|thoracic|abdomen|abdominal|pelvis|pelvic|neck|radiolog\w+"
    r"|radiographic|imaging|tomograph\w+|scan|exam|examination|study|report|final|overall|main|primary|key|pertinent"
    r"|preliminary|the|of|and|with|without|w/o|iv|contrast|low|high|dose|resolution|enhanced|computed|diagnostic"
    r"|detailed|general)[ \t/,&-]{1,3}){0,8}"
)
_CONCLUSION = r"(?:impressions?|conclusions?)"
_JOINED = r"(?:impressions?|conclusions?|interpretation|opinion|summary|assessment|diagnosis)"
_MORE = (
    rf"(?:{_GAP}(?:and|&|/|,|\+){_GAP}(?:recommendations?|plan|opinion|comments?|diagnosis|summary|conclusions?"
    rf"|impressions?|discussion|suggestions?|advice|follow[ -]?up|differential(?: diagnosis)?)){{0,3}}"
)
_FINDINGS = (
    rf"(?P<findings>{_REGION}(?:(?:summary[ \t]+of[ \t]+)?findings?(?:{_JOINT}{_JOINED})?|{_JOINED}{_JOINT}findings?"
    r"|(?P<rare_findings>observations?|description|results?|report)))"
)
_IMPRESSION = (
    rf"(?P<impression>{_REGION}(?:{_CONCLUSION}|(?:final|ct|imaging|radiolog\w+)[ \t]+diagnos[ie]s"
    r"|(?P<rare_impression>opinions?|interpretation|summary|assessment)))"
)
_ASIDE = _pattern(
    r"""
    (?:(?:ct|scan|scanning|imaging|exam(?:ination)?|study) )?(?:techniques?|procedure|protocols?|methods?|parameters)
    (?:image |data )?acquisition(?: (?:technique|protocol|parameters))?
    technique(?: and | & |/)\w+
    (?:radiation )?dose(?: report)?
    dlp
    ctdi(?:vol)?
    (?:iv |intravenous )?contrast(?: (?:agent|material|media|medium))?
    (?:(?:relevant|past|medical|patient|clinical|brief|present|surgical|family) ){0,2}(?:history|hx)(?:(?: and |/)\w+)?
    clinical (?:information|info|indications?|data|details|question|background|context|notes?|statement)
    clinical (?:diagnosis|impression|findings|problem|summary)
    indications?(?:(?: and | for |/)(?:the )?\w+)?
    reason for (?:the )?\w+(?: \w+)?
    comparisons?(?: (?:stud(?:y|ies)|exams?|examinations?|scans?|with|to|made))?
    compared (?:with|to)
    (?:prior|previous) (?:stud(?:y|ies)|exams?|examinations?|scans?|imaging|ct)
    (?:type of )?exam(?:ination)?(?: (?:date|type|name|description|performed))?
    study(?: (?:date|type|name|description))?
    procedure (?:date|description)
    modality
    date(?: of (?:exam(?:ination)?|service|birth|study|scan|report))?
    accession(?: (?:number|no))?
    patient(?: (?:name|id|age|sex))?
    mrn
    dob
    (?:ordering|referring|requesting)(?: \w+){1,2}
    """
)
_SIGNATURE = _pattern(
    r"""
    (?:electronically|digitally|e)(?: |-)(?:signed|authenticated|approved|verified)
    (?:dictated|transcribed|signed|reported|read|reviewed|approved|verified)(?:(?: and |/)\w+)?(?: electronically)? by
    (?:interpreted|finali[sz]ed|authenticated|released|validated|prepared)(?:(?: and |/)\w+)?(?: electronically)? by
    (?:final|this) report (?:(?:was|has been|electronically|digitally) ){0,2}(?:signed|dictated|approved|verified)
    i have (?:personally )?reviewed
    end of (?:\w+ )?report
    (?:signatures?|radiologists?|attending(?: \w+)?|resident|signed|dictated|transcriptionist)(?=\s*[:：])
    """
)
_SUFFIX = (
    r"(?:[ \t]*\([^()\n]{0,60}\)|[ \t]*\[[^\[\]\n]{0,40}\])?"
    r"(?:[ \t]+(?:of|in|for|on|from)[ \t]+[^\n:.]{1,40}(?=[ \t]*[:：])|[ \t]*[-–—][ \t]*[^\n:.]{1,30}(?=[ \t]*[:：]))?"
)
_DRESS = r"(?:[ \t]|[^\w\s(]|_){0,12}"
_NUMBER = r"(?:o[ \t]+|\(?(?:\d{1,2}|[A-Za-z]|[ivxIVX]{1,4})[.):-]{1,2}[ \t]*)?"
_UNDRESS = r"[ \t]*(?:[-=]{2,20}|[*_#=~\]>}\"'”»`]{0,6})"
_HEAD = re.compile(
    rf"(?:(?P<line>^{_DRESS}{_NUMBER}{_DRESS})|(?P<stop>(?<=[.!?])[ \t]+)|(?P<inside>(?<![\w-])))"
    rf"(?:{_FINDINGS}|{_IMPRESSION}|(?P<aside>{_ASIDE})|(?P<signature>{_SIGNATURE}))(?<=\w)(?!\w)"
    rf"{_MORE}{_SUFFIX}(?P<close>{_UNDRESS})[ \t]*(?P<sign>[:：][-–]?|[-–—=|;.](?=\s)|$|)(?:{_UNDRESS}(?=\s|$))?",
    re.MULTILINE | re.IGNORECASE,
)
_MENTIONED = re.compile(  # a text without any of these words has no head, whatever its dress
    r"finding|impression|conclusion|observation|description|result|diagnos|opinion|interpretation|summary|assessment"
    r"|techni|procedure|protocol|method|acquisition|parameter|dose|dlp|ctdi|contrast|history|hx|clinical|indication"
    r"|reason|compar|prior|previous|exam|study|modality|date|accession|patient|mrn|dob|ordering|referring|requesting"
    r"|signed|authenticated|approved|dictated|transcri|reported|read by|reviewed|verified|end of|signature|radiolog"
    r"|attending|resident|interpreted|finali|released|validated|prepared",
    re.IGNORECASE,
)
_SUBHEAD = re.compile(r"(?:^|[\s.])([A-Za-z]+(?:[ -][A-Za-z]+)?)[ \t]+$")
_OTHER = words(
    "abdominal abnormal actionable additional airway ancillary associated bone bones bony cardiac cardiovascular"
    " critical extrapulmonary further important incidental lung lungs mediastinal miscellaneous musculoskeletal"
    " negative new no normal osseous other pleural positive previous prior pulmonary remaining secondary significant"
    " skeletal tissue unexpected upper vascular wall"
)
_ACQUIRED = re.compile(
    r"\b(?:contrast|obtained|acquired|performed|reconstruct\w*|reformat\w*|multiplanar|helical|spiral|kvp?|mas"
    r"|collimation|protocol|administered|injected|scanner|detector|dlp|ctdi\w*|dose|technique|intravenous(?:ly)?)\b",
    re.IGNORECASE,
)
_UNDERLINE = re.compile(r"^[ \t]*([-=_*~#])\1{2,}[ \t]*$", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?](?=\s+\S)")


@dataclass(frozen=True)
class Sections:
    """`headed`: whether a head of findings or impression was there."""

    findings: str
    impression: str
    headed: bool


@dataclass(frozen=True)
class _Head:
    kind: str
    start: int
    end: int


def cut_at_heads(text: str) -> Sections:
    heads = _heads_in(text)
    main = {head.kind for head in heads} & {"findings", "impression"}
    parts = _parts(text, heads, "findings" in main)
    if "findings" in main and not any(kind == "findings" and part for kind, part in parts):
        parts = _parts(text, heads, False)
    if not any(part for _, part in parts):  # a whole report behind the head of its technique
        parts = _parts(text, heads, True, "findings")
    findings, impression = (
        "\n".join(part for kind, part in parts if kind == wanted and part)
        for wanted in ("findings", "impression")
    )
    return Sections(findings, impression, bool(main))


def _heads_in(text: str) -> list[_Head]:
    if not _MENTIONED.search(text):
        return []
    found = [(head, kind) for head in _HEAD.finditer(text) if (kind := _kind_of(text, head))]
    sure = any(kind == "findings" and not head["rare_findings"] for head, kind in found)
    return [_Head(kind, *_span(head, kind)) for head, kind in found if not (sure and head["rare_findings"])]


def _span(head: re.Match[str], kind: str) -> tuple[int, int]:
    return head.start(), head.end(kind) if kind == "signature" else head.end()


def _kind_of(text: str, head: re.Match[str]) -> str | None:
    """Which head it is; None where the words only stand in a sentence."""
    kind = next(kind for kind in ("findings", "impression", "aside", "signature") if head[kind] is not None)
    name, sign, at_line = head[kind], head["sign"], head["line"] is not None
    colon, alone = sign[:1] in (":", "："), _is_alone(text, head)
    if kind == "signature":
        glued = name[:4].isupper() and text[head.start() - 1] in ".!?"
        return kind if name[0].isupper() and (head["inside"] is None or glued) else None
    if kind == "aside" and not name.lstrip()[0].isupper():
        return None
    if name[:4].lower() == "the " and not name.isupper():
        return None
    if head["rare_findings"] or head["rare_impression"]:
        is_title = name.lower().endswith("report")  # "CT CHEST REPORT" stands above many a report
        return kind if at_line and name[0].isupper() and (colon or (alone and not is_title)) else None
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
    if name.isupper():
        return True
    apart = before[-1:].isspace() or before[-1:] in ".!?)"
    return name[0].isupper() and name[1:2].islower() and apart and not last[:1].isupper()


def _parts(text: str, heads: list[_Head], has_findings: bool, whole: str = "") -> list[tuple[str, str]]:
    """(kind, text) in order; what stands before the first head is findings unless findings have a head."""
    current = whole or ("" if has_findings else "findings")
    parts = [(current, _bare(text[: heads[0].start] if heads else text))]
    for number, head in enumerate(heads):
        end = heads[number + 1].start if number + 1 < len(heads) else len(text)
        section = text[head.end : end]
        if head.kind in ("findings", "impression"):
            current = head.kind
            parts.append((current, _bare(section)))
            continue
        said = any(part for kind, part in parts if kind)
        if not (head.kind == "signature" and said):
            inside = has_findings and bool(current)
            parts.append((current, _bare(section[_end_of_aside(section, inside) :])))
    return [(kind, part) for kind, part in parts if kind]


def _end_of_aside(section: str, inside: bool) -> int:
    """Where the words of the report go on after a technique, a history or a comparison."""
    start, end = len(section) - len(section.lstrip()), len(section.rstrip())
    if inside:
        return min(_end_of_lines(section, start, end), _end_of_sentence(section, start, end))
    blank = re.compile(r"\n[ \t]*\n").search(section, start, end)
    return blank.end() if blank else _end_of_lines(section, start, end)


def _end_of_lines(section: str, start: int, end: int) -> int:
    """The first line that goes on in the next one no more; a line about how a scan was made belongs to it."""
    at = start
    while (line_end := section.find("\n", at, end)) >= 0:
        following = section[line_end:end].lstrip().partition("\n")[0]
        ended = section[at:line_end].rstrip().endswith((".", "!", "?")) or not following[:1].islower()
        if ended and not _ACQUIRED.search(following):
            return line_end
        at = line_end + 1
    return len(section)


def _end_of_sentence(section: str, start: int, end: int) -> int:
    for stop in _SENTENCE_END.finditer(section, start, end):
        following = section[stop.end() : end].lstrip()
        if not _ACQUIRED.search(_SENTENCE_END.split(following, maxsplit=1)[0]):
            return stop.end()
    return len(section)


def _bare(section: str) -> str:
    return _UNDERLINE.sub("", section).strip().removeprefix("**").lstrip()

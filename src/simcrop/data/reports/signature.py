"""The signature of a report: by a word that says so, or by what only the end of a report looks like.

No axes; text in, text out. The last lines are a signature where each is a name with a title or degrees ("Dr. John
Stone", "J. Stone MD, Radiologist"), a greeting, a register number, initials of a typist or "Page 1 of 2", or else a
date, a rank or a name beside such a line. A line that says anything more stays: "Dr. Stone was informed".

Words that tell of findings, too, sign only before who signs: "Verified by Dr. Stone", not "Verified by biopsy". Such
a signature inside a line, "I have reviewed ...", and "Attending: Dr. Stone", are one sentence or line where findings
follow; so is any signature before a head of findings or impression.
"""

import re

from simcrop.data.reports.asides import FOUND, pattern
from simcrop.data.reports.stops import SHORT_LINE, split_line

LONGEST_LINE = 160  # letters; a longer line says more than who signed

SIGNATURE = pattern(
    r"""
    (?:electronically|digitally|e|co)(?: |-)(?:signed|authenticated|approved|verified)
    (?:dictated|transcribed|signed|finali[sz]ed|authenticated|authori[sz]ed)ALSO by
    (?:typed|proofread) by
    (?:reported|read|reviewed|approved|verified|interpreted)ALSO by
    (?:released|validated|prepared|checked|scanned|corrected)ALSO by
    (?:(?:final|this|the) )?(?:report|document) (?:(?:was|has been|electronically|digitally) ){0,2}VERB
    (?:final )?(?:report|interpretation) byCOLON
    this report (?:was|has been|is) (?:\w+ )?(?:generated|created|produced|prepared|transcribed|typed|completed)
    dictated (?:but|using|with) \w+
    (?:parts|portions|sections) of this report
    i(?:, ?[^\n]{1,60}?,)? have (?:personally )?reviewed
    end of (?:\w+ )?report
    (?:reporting|reading|interpreting|consultant|dictating|signing|verifying|teaching|resident|staff) DOCTORCOLON
    (?:signatures?|radiologists?|attending(?: \w+)?|consultant|resident|fellow|transcriptionist|author|doctor)COLON
    (?:reporter|reviewer|dictator)COLON
    (?:(?:co-?)?signed|dictated|authenticated|(?:checked and )?verified|approved|finali[sz]ed|typed|transcribed)COLON
    """.replace("VERB", "(?:signed|dictated|approved|verified)(?! by biops)")
    .replace("DOCTOR", "(?:radiologist|physician|doctor|provider|clinician|radiographer)")
    .replace("ALSO", r"(?:(?: and |/)(?:electronically )?\w+)?(?: electronically)?")
    .replace("COLON", r"(?=\s*(?:\([^()\n]{0,30}\))?\s*[:：])")
)

_CAPITAL = r"[^\W\d_a-zß-öø-ÿ]"
_BLOT = r"\[\*\*[^\]\n]{0,60}\*\*\]|(?<!_)_{2,}+|<[A-Z]+>"
_NAME = rf"(?:(?:{_CAPITAL}\.[ \t]?)++|{_CAPITAL}[^\W\d_]*(?:['’-]{_CAPITAL}?[^\W\d_]+)*(?![^\W\d_])|{_BLOT})"
_OF = r"(?:(?:van|von|vom|der|den|de|da|del|della|di|la|le|al|bin|el|dos|du|zu|ten|ter)[ \t]+)*"
_NAMES = rf"{_OF}{_NAME}(?:[ \t]*{_OF}{_NAME}){{0,3}}"
_TWO_NAMES = rf"(?:{_CAPITAL}\.[ \t]?)*{_NAME}(?:,?[ \t]*{_OF}{_NAME}){{1,3}}"
_TITLES = (
    r"(?:(?i:assist|assoc|asst|associate|assistant|yrd|op|priv|pd|oa|exp)\.?[ \t]*-?)*"
    r"(?i:dra?|dott(?:\.?ssa)?|prof|professor|uzm|doç|doc\.|doz)\b\.?"
    r"(?:[ \t]*(?i:dr|prof|uzm|doç|med|univ|öğr|üyesi|hc|habil|mr|mrs|ms)\b\.?)*[ \t]*"
)
_DEGREE = (
    r"(?:M\.?D\.?|D\.O\.|(?<=, )DO|Ph\.?D\.?|M\.?B\.?,?[ ]?B\.?S\.?|MBCh?B|MBBCh|BMBS|F\.?R\.?C\.?R\.?|FRANZCR|FRCPC?"
    r"|MRCP|FACR|DMRD|DMRE|DNB|FFR[A-Z]*|EDiR|M\.?Sc|MPH|PA-C|RPA|RRA)(?![^\W\d_])(?:[ ]?\([^()\n]{1,30}\))?"
)
_RANK = (
    r"(?i:consultant|specialist|attending|resident|fellow|staff|chief|head|senior|thoracic|chest|cardiothoracic|diagnostic"
    r"|radiographer|reporting|interventional|clinical|dept\.?|department|division|section|of|and|in|radiolog\w+|(?:radio)?-?diagnosis"
    r"|radiodiagnos\w+|imaging|\w*arzt|\w*ärztin|registrar|physician|professor|radyoloji|uzmanı|für|der|board|certified|spr"
    r"|electronically signed|signed|reported|dictated|typed|approved|verified)\b"
)
_DATE = (
    r"(?:\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{1,2}:\d\d(?::\d\d)?|(?i:am|pm|hrs|at|on)\b|\[\*\*[\d-]+\*\*\])"
)
_REGISTERED = (
    r"(?:GMC|MCI|KMC|NPI|HPCSA|HCPC|AHPRA|[Rr]eg[nd]?)\b\.?[ \t]*(?:[Nn][or]\.?|[Nn]umber|#)?"
    r"[ \t]*[.:]?[ \t]*[A-Z-]*\d{4,}"
)
_MORE = (
    rf"(?:[ \t,;/()|&–-]*"
    rf"(?:{_DEGREE}|{_REGISTERED}|{_RANK}|{_DATE}|{_TITLES}{_NAMES}|(?<=/)[a-z]{{2,3}}\b))*[ \t)\]*.]*$"
)
_FRAME = r"[ \t(*_–—-]*(?:/s/[ \t]*)?"
_BY_RANK = (
    rf"(?:(?i:mrs?|ms|miss)\b\.?[ \t]*)?{_TWO_NAMES}[ \t]*,[ \t]*(?:{_RANK}[ \t]+)*"
    r"(?i:radiologist|radiographer)\b"
)
_SIGNED = re.compile(
    rf"{_FRAME}(?:{_TITLES}{_NAMES}|(?:{_TWO_NAMES}|{_BLOT})[ \t]*,?[ \t]*{_DEGREE}|{_BY_RANK}){_MORE}"
)
_SAYING = re.compile(
    r"\b(?:was|were|is|are|has|had|been|called|notified|informed|contacted|aware|by|with|to|the|no|not|from|for|see)\b"
    r"|[^\W\d_]{3,}\.\s*$",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"[ \t]*(?:(?:with )?(?:(?:kind|best|warm)(?:est)? )?regards|sincerely(?: yours)?"
    r"|yours (?:sincerely|faithfully|truly)"
    r"|mit (?:freundlichen|besten|kollegialen)[\w ]{0,30}gr(?:ü|ue)(?:ß|ss)en|hochachtungsvoll|saygılarım\w+"
    r"|(?:many |with )?thanks|thank you|thank(?:s| you)(?: very much)? for (?:referring|this"
    r"|allowing|asking|sending|your|the (?:opportunity|referral))[^.\n]{0,60})"
    r"[ \t,.!]*$",
    re.IGNORECASE,
)
_MADE_BY_OFFICE = re.compile(
    rf"\W*(?:{_REGISTERED}|(?:[DTR][DT]?:[ \t]*{_DATE}[ \t:\dAPM]*)+|[A-Z]{{2,4}}[/:][a-z]{{2,4}}|[Pp]age \d+ of \d+"
    r"|(?i:final report|end of (?:the )?report))\W*$"
)
_WEAK = re.compile(
    r"(?:reported|read|reviewed|approved|verified|interpreted|released|validated|prepared|checked|scanned|corrected)\b"
    r"(?!.*(?:sign|authentic|electronic|dictat|transcri|typed))",
    re.IGNORECASE | re.DOTALL,
)
_WHOSE = re.compile(r"[ \t]*(?:\([^()\n]{0,30}\)[ \t]*)?[:：]")
_SIGNER = re.compile(rf"[ \t(*–—-]*(?:{_TITLES}|{_BLOT}|\[|\d{{1,4}}[./-]\d{{1,2}}[./-]\d|\d{{1,2}}:\d\d)")
_RANKED = re.compile(
    r"[ \t]*(?:(?:the|an?|on-call|our)[ \t]+)?(?:attending|resident|consultant|staff|fellow|(?:\w+ )?radiologist)\b",
    re.IGNORECASE,
)
_NAMED = re.compile(rf"[ \t(*–—-]*{_OF}{_NAME}")
_NO_NAME = re.compile(
    r"[ \t(*–—-]*(?:the|an?(?!\.)|his|her|their|our|this|two|three|both|all|patients?|biops\w+|histo\w+|patho\w+"
    r"|cyto\w+|\w+scopy|\w*graphy|tum\w+|multi\w+|board|surg\w+|operat\w+|family|clinic\w*|ultraso\w+|sono\w+|x-?ray|ct|mri?"
    r"|pet|us|eus|ebus|fna|vats|pcr|ekg|ecg|lab\w*|culture|needle|core|ai|cad|software|follow\w*|prior|previous"
    r"|comparison)\b",
    re.IGNORECASE,
)
_BESIDE = re.compile(rf"\W*(?:(?:{_DEGREE}|{_RANK}|{_DATE})[ \t,;/()|&–-]*)*$")
_NAME_ALONE = re.compile(rf"[ \t]*{_TWO_NAMES}[ \t]*$")


def is_signer(name: str, after: str) -> bool:
    """Whether what stands behind the words of a signature, `name`, says who signs; for most words it need not."""
    if not _WEAK.match(name) or _WHOSE.match(after):
        return True
    line, _, below = after.partition("\n")
    if not line.strip(" \t.*_-"):
        return not below[:1].islower()
    if _SIGNER.match(line):
        return True
    sentence = next(iter(split_line(line)), "")
    named = _NAMED.match(line) is not None and not _NO_NAME.match(line)
    return (named or _RANKED.match(line) is not None) and not FOUND.search(re.sub(_RANK, "", sentence))


def is_one_sentence(head: re.Match[str], kind: str) -> bool:
    """Whether the words of a signature, the group `kind`, begin one sentence or line among others that tell of
    findings.
    """
    if head[kind].lower().startswith("i ") or _WHOSE.match(head.string, head.end(kind)):
        return True
    return head["line"] is None and _WEAK.match(head[kind]) is not None


def after_own_sentence(section: str) -> str:
    """What follows the sentence of a signature and lines of names and dates below it, if it tells of findings."""
    end = len(next(iter(split_line(section)), ""))
    whose = _WHOSE.match(section) is not None
    for line_end in re.finditer(r"\n", section):
        if line_end.start() >= end:
            break
        said, below = section[: line_end.start()].strip(" \t\n:："), section[line_end.end() :].lstrip()
        if said and (not below[:1].islower() or (whose and len(said) < SHORT_LINE)):
            end = line_end.end()
            break
    lines = section[end:].split("\n")
    first = next(
        (number for number, line in enumerate(lines) if line.strip() and not says_who_or_when(line)), 0
    )
    rest = "\n".join(lines[first:])
    return rest if FOUND.search(rest) else ""


def says_who_or_when(line: str) -> bool:
    """A line of names, ranks and dates alone."""
    return bool(line.strip()) and (
        _signs(line) or (len(line) <= LONGEST_LINE and _BESIDE.match(line) is not None)
    )


def without_signature(text: str) -> str:
    """The text without the lines at its end that sign it, and without a signature behind its last sentence."""
    lines = text.rstrip().split("\n")
    kept = len(lines)
    for number in range(len(lines) - 1, -1, -1):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        above = lines[number - 1] if number else ""
        line = lines[number]
        if _signs(line) or _is_named_by_neighbour(line, above, below):
            kept = number
        elif len(line) > LONGEST_LINE or not _BESIDE.match(line):
            break
    if kept == len(lines):
        lines[-1] = _without_last_name(lines[-1])
    return "\n".join(lines[:kept]).rstrip(" \t\n-_=*") if kept < len(lines) else "\n".join(lines)


def _signs(line: str) -> bool:
    if len(line) > LONGEST_LINE:
        return False
    greeting, _, name = line.partition(",")
    greets = _GREETING.match(greeting) is not None and (
        not name.strip() or _NAME_ALONE.match(name) is not None
    )
    if greets or _GREETING.match(line) or _MADE_BY_OFFICE.match(line):
        return True
    return _SIGNED.match(line) is not None and not (
        _SAYING.search(re.sub(_REGISTERED, "", line)) or FOUND.search(re.sub(_RANK, "", line))
    )


def _is_named_by_neighbour(line: str, above: str, below: str) -> bool:
    """ "John Stone" below a greeting or above "Consultant Radiologist"."""
    if (
        max(len(line), len(below)) > LONGEST_LINE
        or not _NAME_ALONE.match(line)
        or FOUND.search(line)
        or _SAYING.search(line)
    ):
        return False
    ranked = bool(below.strip()) and re.search(rf"{_DEGREE}|(?i:radiolog|consultant|registrar|arzt)", below)
    return _GREETING.match(above) is not None or bool(ranked and _BESIDE.match(below))


def _without_last_name(line: str) -> str:
    """ "No effusion. John Stone, MD" without the name."""
    at = 0
    for piece in split_line(line)[:-1]:
        at += len(piece)
        if _signs(line[at:]):
            return line[:at].rstrip()
    return line

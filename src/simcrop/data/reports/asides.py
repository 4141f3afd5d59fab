"""Technique, history, comparison and their like: what such a section is called, and where it ends.

No axes; text in, text out. The rules:

1. It reaches to a blank line, else to the end of its line; inside the findings to the end of its sentence. What tells
   how a scan was made belongs to it, and a next line in small letters unless the line is short and was not wrapped.
2. Without a head of findings, the first sentence of a technique's own lines that tells of an organ or a lesion begins
   the findings ("TECHNIQUE: Axial CT. Lungs are clear. IMPRESSION: Normal."). Where findings are still missing, what
   follows the first sentence of the last such section, and the technique after it, is taken. Both are guesses.
3. Inside the findings, "Contrast:", "Patient:", "Exam:", "Prior exam:" are only asides where what follows tells of a
   dose, a date, a person's name or of nothing: "Contrast: good filling of the arteries" is a finding.
"""

import re
from itertools import accumulate

from simcrop.data.reports.stops import LINE_JOINING_WORDS, SHORT_LINE, split_line


def pattern(alternatives: str) -> str:
    """One alternative a line; a blank between words may be any white space of a line."""
    lines = [line.strip() for line in alternatives.strip().splitlines()]
    return rf"(?:{'|'.join(lines)})".replace(" ", r"[ \t]+")


ASIDE = pattern(
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
    patient(?:(?:['’]s)? (?:name|id|age|sex))?
    pt\.? (?:name|id|age|sex)
    (?:medical record|med rec|hospital|nhs|account|visit|encounter)(?: (?:number|no))?(?=\.?\s*#?\s*[:：])
    mrn
    (?:clinical|ssn|uhid)(?=\s*[:：])
    (?:(?:name|age|sex|gender|age\s*/\s*sex|sex\s*/\s*age|tech|comp|ind|ref(?:erred)?\.? by)(?=\s*[:：]))
    technik|teknik|fragestellung|klinische \w+|klinik bilgi(?:ler)?|indikation|endikasyon|voraufnahmen?
    t(?:é|e\u0301?)cnica|indicaci(?:ó|o\u0301?)n|indicazion[ei]|comparaci(?:ó|o\u0301?)n|comparaison|quesito(?: \w+)?
    dob
    (?:ordering|referring|requesting)(?: \w+){1,2}
    (?:cc|gp|referrer|technologist|(?:ordered|requested|performed) by|cop(?:y|ies)(?: sent)? to)(?=\s*[:：])
    (?:hastan?(?:ın|in)? )?(?:ad[ıi]?(?:| |/|-| ve | - )soyad[ıi]?|ad[ıi])(?=\s*[:：])
    (?:hasta|doktor|(?:hasta|protokol|dosya|tc kimlik) (?:no|numaras[ıi])|do[ğg]um tarihi)(?=\s*[:：])
    (?:name des patienten|patientenname|patientin|geburtsdatum|geb\.?|zuweiser|arzt|ärztin)(?=\s*[:：])
    (?:nombre(?: del paciente)?|paciente|fecha de nacimiento|m(?:é|e\u0301?)dico(?: \w+)?)(?=\s*[:：])
    (?:(?:pr(?:é|e\u0301?))?nom(?: du patient)?|date de naissance|m(?:é|e\u0301?)decin(?: \w+)?)(?=\s*[:：])
    (?:nome|cognome|paziente|data di nascita)(?=\s*[:：])
    (?:to|from|distribution)(?=\s*[:：]\s*(?:dr|prof)\b)
    (?:tel|phone|telephone|fax)\.?(?=\s*[:：]\s*[+(\d])
    """
)
_ACQUIRED = re.compile(
    r"\b(?:contrast|obtained|acquired|performed|reconstruct\w*|reformat\w*|multiplanar|helical|spiral|kvp?|mas"
    r"|collimation|protocol|administered|injected|scanner|detector|dlp|ctdi\w*|dose|technique|intravenous(?:ly)?)\b",
    re.IGNORECASE,
)
_MADE = re.compile(  # more words of a technique, for a sentence without those of a finding
    r"\b(?:images|slices|sections|planes?|mips?|pacs|workstation|thickness|interval|apices|scout|topogram|breath.?hold"
    r"|scann\w+|mgy|msv|ml|mm slice|imaged|gat(?:ed|ing)|supine|prone|windows?|reviewed|algorithm|kernel|inlet"
    r"|inspiration|expiration|axial|coronal|sagittal|volume)\b",
    re.IGNORECASE,
)
FOUND = re.compile(
    r"\b(?:clear|normal|unremarkable|effusions?|nodul\w+|mass(?:es)?|opaci\w+|consolidat\w+|lymph\w*|\w*adenopathy"
    r"|enlarged|thicken\w*|atelecta\w+|emphysema\w*|fracture\w*|pneumo\w+|cysts?|cystic|stable|unchanged|patent"
    r"|dilat\w+|calcifi\w+|stenos\w+|embol\w+|metasta\w+|ground.glass|ggos?|infiltrat\w*|fibro\w+|bronchi\w*"
    r"|lesions?|tumou?rs?|nodes?|filling defects?|lungs?|heart|cardiac|pleura\w*|mediastin\w+|trachea\w*|aort\w+"
    r"|pericardi\w+|hil\w{1,3}"
    r"|lobes?|airways?|thyroid|liver|spleen|adrenals?|ribs?|vertebra\w*|acute|abnormal\w*|patholog\w+|detected|seen)\b",
    re.IGNORECASE,
)
_ORGAN = re.compile(
    r"(?<![^\s.])(?:lungs?|pleurae?|heart|mediastinum|airways?|trachea|thyroid|bones|chest wall|lower neck)"
    r"(?:[ \t]*(?:and|&|/|,)[ \t]*[a-z]+){0,3}[ \t]*[:：]",
    re.IGNORECASE,
)
_HISTORY = re.compile(r"histor|hx|clinical|indication|reason|klini|fragest|indik", re.IGNORECASE)
_TECHNIQUE = re.compile(
    r"techni|teknik|procedure|protocol|method|acquisition|parameter|dose|dlp|ctdi|contrast|exam|study",
    re.IGNORECASE,
)
_DOUBTFUL = re.compile(
    r"(?:patient(?:in)?|hasta|paciente|paziente|exam\w*|study|(?:iv |intravenous )?contrast|(?:prior|previous) .*"
    r"|parameters|methods?)$",
    re.IGNORECASE,
)
_PATIENT = frozenset({"patient", "patientin", "hasta", "paciente", "paziente"})
_PERSON = re.compile(  # "Jane Stone", "STONE, JANE |"
    r"\W*[^\W\d_a-z][^\W\d_]+(?:,?[ \t]+[^\W\d_a-z][^\W\d_]*){1,3}(?:[ \t]*[,|(;].*|[ \t]{2}.*|[ \t]*)$"
)
_DATED = re.compile(
    r"\d{1,4}[./-]\d{1,2}[./-]\d|\b(?:19|20)\d\d\b|^\W*(?:none|no|n/?a|not|nil|yes|ct|cta|hrct|mri?|pet|___|\[\*\*)\b"
    r"|\b(?:ml|cc|mgy|msv|omnipaque|isovue|ultravist|visipaque|iohexol|io\w+ol|available)\b|^\s*$",
    re.IGNORECASE,
)


def end_of_aside(section: str, inside: bool) -> int:
    """Where the words of the report go on after a technique, a history or a comparison."""
    start, end = len(section) - len(section.lstrip()), len(section.rstrip())
    if inside:
        return min(_end_of_lines(section, start, end, inside), _end_of_sentence(section, start, end))
    blank = re.compile(r"\n[ \t]*\n").search(section, start, end)
    return blank.end() if blank else _end_of_lines(section, start, end, inside)


def begin_of_guess(name: str, section: str) -> int | None:
    """Where findings begin in the lines of a technique that no head ends, see rule 2."""
    section = section[: end_of_aside(section, False)]
    if organ := _ORGAN.search(section):
        return organ.start()
    if not _TECHNIQUE.search(name):
        return None
    later = [(at, words) for at, words in _sentences(section)[1:] if not _is_technique(words)]
    return later[0][0] if any(FOUND.search(words) for _, words in later) else None


def guess_findings(asides: list[tuple[str, str]], concluded: bool) -> str:
    """What follows the last aside's own sentence; `concluded`: whether an impression says it all anyway."""
    for back, (name, section) in enumerate(reversed(asides)):
        history = _HISTORY.search(name) is not None
        if history and back:
            continue
        later = _sentences(section)[1:]
        strict = concluded and history
        found = (at for at, words in later if (FOUND.search(words) if strict else not _is_technique(words)))
        if (start := next(found, None)) is not None:
            return section[start:]
    return ""


def stays_in_findings(name: str, section: str) -> bool:
    """A head that says more of the findings, see rule 3."""
    words = next((words for _, words in _sentences(section)), "").strip().partition("\n")[0]
    if name.strip().lower() in _PATIENT and _PERSON.match(words) and not FOUND.search(words):
        return False
    return _DOUBTFUL.match(name.strip()) is not None and not (_ACQUIRED.search(words) or _DATED.search(words))


def _is_technique(words: str) -> bool:
    bare = not any(map(str.isalpha, words))
    return bare or _ACQUIRED.search(words) is not None or _MADE.search(words) is not None


def _sentences(section: str) -> list[tuple[int, str]]:
    """(where it begins, what it says)"""
    pieces = split_line(section)
    return list(zip(accumulate(map(len, pieces[:-1]), initial=0), pieces, strict=True))


def _end_of_lines(section: str, start: int, end: int, inside: bool) -> int:
    """The first line that goes on in the next one no more; a line about how a scan was made belongs to it. Small
    letters go on, but not below a short line if they are the findings.
    """
    at = start
    while (line_end := section.find("\n", at, end)) >= 0:
        line = section[at:line_end].rstrip()
        following = section[line_end:end].lstrip().partition("\n")[0]
        small = following[:1].islower() and not (
            _is_whole(line) and (inside or FOUND.search(following) is not None)
        )
        if (line.endswith((".", "!", "?")) or not small) and not _ACQUIRED.search(following):
            return line_end
        at = line_end + 1
    return len(section)


def _is_whole(line: str) -> bool:
    words = line.lower().split()
    return (
        bool(words)
        and len(line) < SHORT_LINE
        and line[-1] not in ",:;-/("
        and words[-1] not in LINE_JOINING_WORDS
    )


def _end_of_sentence(section: str, start: int, end: int) -> int:
    later = _sentences(section[start:end])[1:]
    return next((start + at for at, words in later if not _ACQUIRED.search(words)), len(section))

"""Which full stops, question marks and line breaks end a sentence, and which stand inside one.

No axes. A stop after an abbreviation ends nothing where the sentence shows that it goes on:

1. Titles and their like ("Dr.", "St.", "vs.") always go on; months and "No.", "Fig.", "p." before a number.
2. A single letter goes on before a small letter ("M. tuberculosis", "R. upper lobe", "w. wires"), but not where it is
   somebody's label ("hepatitis C. the liver") or the next word opens sentences ("vitamin D. no effusion"); before a
   capital it goes on at the start of a sentence, after a title, another initial or a word such as "by", "with", "the".
3. A dotted word ("b.i.d.", "U.S.") goes on before a small letter, and before a capital unless it tells a dose, a time
   or a degree.
4. German abbreviations in pieces ("z. B.", "V. a.") go on always, a lobe ("R. M. L.") but before a capital, and
   "Pat.", "re.", "li." as the next ones do.
5. Any other abbreviation goes on before a small letter only; one without a vowel ("Dx.") is known by that.

A line break ends a sentence unless the line runs on. Lines of small letters without any stop are items each, where half
of them or more had room for the first word of the next, so that nobody wrapped them.
"""

import re
from itertools import groupby, pairwise

from simcrop.data.reports.marks import COUNTED, LOOK_BACK, words

LONGEST_BRACKET = 250  # a bracket that closes later than this many characters was never meant to be closed
LAYOUT = " \t\r\n-–—•·*"
SHORT_LINE = 40  # letters; nobody wraps a shorter line

TITLES = words("assist assoc cf doc doç dr e.g i.e ft hon lt mr mrs ms mt prof pt pts rev sgt st uzm vs")
ALWAYS_RUN_ON = TITLES | words("approx bzw evtl ggf ggfs inkl insb iv ref rt sog vgl vit")
MONTHS = words("jan feb mar apr jun jul aug sep sept oct nov dec")
GERMAN_MONTHS = words("märz mär mai okt dez")
RUN_ON_BEFORE_NUMBER = MONTHS | words(
    "abt acc ave avg bp ca diam ext fig figs fri hr ht im img max meas min mon no nos nr p ph pp prev rm sat se seg"
    " segm seq ser sl tel temp th thu thur thurs tue tues vol wed wt"
)
RUN_ON_BEFORE_LOWER_CASE = words(  # "blind" is how "kor.", correlation, comes out of a translator
    "al ant bilat blind ca clin cm cor corr dia diam dist etc ext fig hu ii iii inf int ix kv lab lat max mgy med min"
    " ml mm op po post postop preop prox resp sec seg sup susp ver vert vi vii viii"
)
RUN_ON_UNLESS_BEGUN = words(  # a word that begins sentences begins one after these, too
    "abd abn abnl abnorm acc adj aff aka alt amb anat angio ao appt approx apr asc atyp aug av avg ax bil calc cerv chr"
    " co cont contr contrib coron corp cran dec decr degen dens dept desc diag diff dil dis eff enh enl esp eval evid"
    " exc excl extrem feb fem foll freq gest gran grp hemi hep hosp inc incl incr indef indet indiv infl inj ipsi irreg"
    " jan jr jul jun lig lob loc lumb mag meas mgmt micr mins mo morph mos mult musc neph nov obs occ occas oct oper"
    " orig parench path periph pneum poss pred prelim prev prob proc prog pron pulm rec ref reg req resid sat secs segm"
    " sep sept sev sig signif sim sp spp sq sr std subcut subseg suppl surg symm sympt temp thor tr trach transv unch"
    " unilat univ upp vasc vent viz vol yr yrs li pat re vergr aa art"
)
RUN_ON_AT_START = words("bx cx dx fx hx rx sx tx")
ENDS_BEFORE_CAPITAL = words(
    "a.m p.m b.i.d t.i.d q.i.d q.d q.h q.h.s b.d t.d.s o.d p.r.n a.c p.c s.c m.d ph.d d.o m.b.b.s f.r.c.r"
)
JOINING_WORDS = words("and blind but by nor of or recommended than that which with")
LINE_JOINING_WORDS = words(
    "a an and at both by for from in is left lower of on or right the to upper was with"
)
OPENING_WORDS = words("a all also an as at both for he if in is it no of on other she the there this when")
STARTING_WORDS = OPENING_WORDS - words("all also as at for in is of on")  # what seldom follows a dotted word

_GOING_ON = words(
    "a about abutting after also although an and are as at because been before being between both but by due during for"
    " from had has have if in into involving is its measured measures measuring nor of on or over per seen showing"
    " suggesting than that the their these this through to toward towards up was were when where which while"
    " with within without"
)
_GOING_ON_AT_START = _GOING_ON - words("a an because no the their these this")
_PROSE = re.compile(  # lines that no item of a list would end, hold or begin with
    rf"[.?!;][)\]]?(?:\s|$)|[,:(/-]\n|\b(?:{'|'.join(sorted(_GOING_ON))})\n"
    rf"|\n(?![^\W\d_])|\n(?:{'|'.join(sorted(_GOING_ON_AT_START))})\b"
)
_IN_PIECES = re.compile(  # abbreviations with blanks inside
    r"(?<![\w.])(?:z\. B\.|u\. a\.|V\. a\.|Z\. n\.|d\. h\.|i\. d\. R\.|St\. [np]\.|Vd\. a\.|i\. v\.|o\. B(?=\.)"
    r"|[RL]\. [UML]\. L(?=\.))"
)
_LOBE = re.compile(r"(?<![\w.])[RL]\. ?[UML]\. ?L$")
_STOP = re.compile(r"[.?!…。！？]+[)\]’'）]*")
_WORD_BEFORE = re.compile(r"(?:(?<![^\W\d_])(?:[^\W\d_]\.)+)?[^\W\d_]+$")
_ORDINAL = re.compile(
    r"(?<![\w.])(?<![A-Za-z]-)[A-Za-z]{0,2}\d{1,2}(?:\.?\s*(?:[-–/,]|and)\s*[A-Za-z]{0,2}\d{1,2})*$"
)
_GERMAN_DATE = re.compile(r"\b(?:am|bis|seit|vom|zum) \d{1,2}\.\d{1,2}$", re.IGNORECASE)
_COUNTING = re.compile(r"\b(?:right|left|bilateral)\s*$", re.IGNORECASE)
_NAMED_BEFORE = re.compile(r"(?:^|[:(]|\b(?:dr|prof|uzm|mr|mrs|ms|by)\.?|\b[A-Z]\.)\s*$", re.IGNORECASE)
_LEADING_TO = re.compile(r"\b(?:at|from|in|near|of|on|per|the|via|with)\s+$", re.IGNORECASE)
_FORENAME = re.compile(r"\b(?:[Bb]y|[Ww]ith|Drs?\.?|Prof\.?|Mr\.?|Mrs\.?|Ms\.?)\s+[A-Z][a-z]+\s+$")
_LABELLED = re.compile(  # what a letter or a Roman numeral comes after
    r"\b(?:asa|b|case|category|child|class|compartment|debakey|factor|figure|grade|group|hepatitis|image|lesion|level"
    r"|mass|node|nodule|nyha|panel|part|phase|point|protein|pugh|score|segments?|series|stage|stanford|station|target"
    r"|type|vit|vitamin|zone)[.:\s]\s*$",
    re.IGNORECASE,
)
_LISTED = re.compile(r"\b[A-Za-z],? (?:and|or)\s+$")
_ROMAN = re.compile(r"[IVX]{1,4}\b(?![-'])")
_BODY = words(
    "adrenal apex apical arm atrium axilla base basal breast bronchus carotid chest clavicle diaphragm hemidiaphragm"
    " hemithorax hilum humerus jugular kidney leg lobe lower lung main middle rib scapula shoulder subclavian upper"
    " ventricle"
)
_SPINE = re.compile(r"\d{1,2}(?![\d.,]|\s*(?:mm|cm|ml|cc|hu|%|x|×|-))", re.IGNORECASE)
_VOWELLESS = re.compile(r"[b-df-hj-np-tv-xz]{2,4}")
_MONTH_AND_YEAR = re.compile(
    rf"(?:{'|'.join(sorted(MONTHS | GERMAN_MONTHS | {'may'}))})[a-z]*\.?\s+(?:19|20)\d\d\b", re.IGNORECASE
)


def split_block(block: str) -> list[str]:
    """Cut after every stop that ends a sentence, and at the line breaks that end one."""
    return [sentence for line in _join_lines(block).split("\n") for sentence in split_line(line)]


def _join_lines(block: str) -> str:
    """One line per stretch that a line break does not end; the breaks that do end one stay."""
    joined = ""
    for said, paragraph in groupby((line.strip() for line in block.split("\n")), key=bool):
        lines = list(paragraph)
        are_items = said and _are_items(lines)
        for line in lines:
            runs_on = not are_items and _line_runs_on(joined, line)
            joined = f"{joined}{' ' if runs_on else chr(10)}{line}" if joined else line
    return joined


def _are_items(lines: list[str]) -> bool:
    """Whether each line is an item of its own, though none ends with a stop or begins with a capital.

    A line that had room for the first word of the next was not wrapped; nobody wraps a short one.
    """
    if len(lines) < 3 or any(line[0].isupper() for line in lines[1:]) or _PROSE.search("\n".join(lines)):
        return False
    width = max(0 if lines[0][0].isupper() else SHORT_LINE, *map(len, lines))
    roomy = [len(before) + 1 + len(line.split(None, 1)[0]) <= width for before, line in pairwise(lines)]
    return 2 * sum(roomy) >= len(roomy)


def _line_runs_on(before: str, line: str) -> bool:
    if not line or before.endswith("\n"):
        return False
    recent = before[-LOOK_BACK:]
    if recent.endswith((",", ":", ";", "-", "(", "/")) or recent.rfind("(") > recent.rfind(")"):
        return True
    word = _word_before(recent.removesuffix("."))
    if recent.endswith("."):
        return not line[0].isupper() or (word is not None and word[0].lower() in TITLES - {"e.g", "i.e"})
    return not line[0].isupper() or (word is not None and word[0].lower() in LINE_JOINING_WORDS)


def split_line(line: str) -> list[str]:
    inside = bytearray(len(line) + 1)  # 1 behind each letter of a bracket or of an abbreviation in pieces
    for start, end in (*_bracketed(line), *(found.span() for found in _IN_PIECES.finditer(line))):
        inside[start + 1 : end + 1] = b"\1" * (end - start)
    cuts = [0]
    for stop in _STOP.finditer(line):
        before = line[max(cuts[-1], stop.start() - LOOK_BACK) : stop.start()]
        after = line[stop.end() :]
        if not inside[stop.end()] and after.strip() and not _runs_on(before, stop[0], after):
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
    upcoming = after.lstrip(LAYOUT)
    if not upcoming:
        return False
    decimal_point = after[0].isdigit() and before[-1:].isspace()
    if upcoming[0] in ",;:)]" or after[0] in ".?!" or decimal_point:
        return True
    if upcoming[0] in "([":
        return upcoming[1:2].islower() or stop[0] != "." or _waits_for_bracket(before, upcoming)
    opening = re.match(r"[^\W\d_]*", upcoming)
    word = opening[0] if opening else ""
    if word in JOINING_WORDS or stop != ".":
        return word[:1].islower()
    spaced = after[0] in LAYOUT
    if before[-1:].isdigit():
        return _runs_on_after_number(before, upcoming, word, spaced)
    return _runs_on_after_word(before, upcoming, word, spaced)


def _waits_for_bracket(before: str, upcoming: str) -> bool:
    """A title before a name that was blotted out, "No. (3)", "et al. (Radiology 2017)"."""
    found = _word_before(before)
    if found is None:
        return False
    last = found[0].lower()
    if len(last) == 1 and upcoming.startswith("[**"):
        return _names_somebody(before[: len(before) - 1])
    return last in TITLES or last == "al" or (last in RUN_ON_BEFORE_NUMBER and upcoming[1:2].isdigit())


def _runs_on_after_word(before: str, upcoming: str, opening: str, spaced: bool) -> bool:
    """Abbreviations, initials, and full stops inside a word; a missing space alone does not join."""
    if _LOBE.search(before):
        return not opening[:1].isupper()
    found = _word_before(before)
    last = found[0].lower() if found else ""
    rest = before[: len(before) - len(last)]
    if last in ALWAYS_RUN_ON and not _ends_here(before[len(rest) :], rest, opening):
        return True
    if "." in last:
        return _dotted_runs_on(last, opening)
    if last in RUN_ON_BEFORE_NUMBER and len(last) > 1 and _ROMAN.fullmatch(opening):
        return opening != "I" and last not in MONTHS
    if upcoming[0].isdigit():
        if spaced and last in ("c", "d", "l", "s", "t") and found and found[0].isupper():
            return not _LABELLED.search(rest) and bool(_SPINE.match(upcoming))
        whole = re.match(r"\d{1,3}(?:[.,]\d{1,2})?(?![\d.])", upcoming)
        return (
            last in RUN_ON_BEFORE_NUMBER
            or (spaced and last == "c")
            or (not spaced and (len(last) == 1 or whole is None))
        )
    if opening[:1].islower():
        return _runs_on_to_lower_case(found, rest, opening, spaced)
    if found and len(last) == 1:
        word = opening.lower()
        continues = word in _BODY if last in ("l", "r") else word not in OPENING_WORDS
        leading = continues and bool(_LEADING_TO.search(rest))
        return not spaced or leading or _names_somebody(rest)
    if last in RUN_ON_AT_START and not rest.strip():
        return True
    return not spaced and bool(last) and len(opening) == 1 and upcoming[1:2] != " "


def _ends_here(word: str, rest: str, opening: str) -> bool:
    """What looks like an abbreviation and is none: "stage IV. No", "Main St. The", "after RT. Large nodes"."""
    if not opening[:1].isupper():
        return word.lower() in ("st", "pt") and rest[-1:].isdigit()
    if word.lower() == "iv":
        return bool(_LABELLED.search(rest))
    if word == "RT":
        return not opening.isupper()
    begins = opening.lower() in OPENING_WORDS or rest[-1:].isdigit()
    return word.lower() in ("ft", "mt", "pt", "pts", "st") and begins


def _dotted_runs_on(last: str, opening: str) -> bool:
    if opening[:1].islower():
        return opening not in STARTING_WORDS or last in ENDS_BEFORE_CAPITAL
    return opening.lower() not in OPENING_WORDS and (last not in ENDS_BEFORE_CAPITAL or opening == "Anderson")


def _runs_on_to_lower_case(found: re.Match[str] | None, rest: str, opening: str, spaced: bool) -> bool:
    last = found[0].lower() if found else ""
    if last in RUN_ON_BEFORE_LOWER_CASE or (not spaced and (0 < len(last) < 3 or len(opening) < 2)):
        return True
    if found is None or opening in STARTING_WORDS:
        return False
    if len(last) == 1:
        return not _LABELLED.search(rest) and (last in ("l", "r") or not _LISTED.search(rest))
    if last in RUN_ON_UNLESS_BEGUN:
        return True
    return _VOWELLESS.fullmatch(last) is not None and not found[0].isupper()


def _names_somebody(rest: str) -> bool:
    """Whether a single letter after this is the initial of a name, or a side that a sentence begins with."""
    return bool(_NAMED_BEFORE.search(rest) or _FORENAME.search(rest))


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
        return not spaced or ordinal is not None or _GERMAN_DATE.search(before) is not None
    if not spaced and upcoming[len(opening) : len(opening) + 1].isdigit():
        return True
    if ordinal is None:
        return False
    counting = _COUNTING.search(before[: ordinal.start()]) and opening.lower() not in OPENING_WORDS
    return bool(COUNTED.match(upcoming) or counting or _MONTH_AND_YEAR.match(upcoming))

"""What a sentence claims: whether it asserts or denies, and of which finding; and the same sentence turned round.

No axes: text in, text out, or None where no rule applies. The words are data, see `simcrop.wordings`.
"""

import re
from functools import cache, lru_cache
from typing import Literal

from simcrop.evaluation.shipped import read_settings
from simcrop.evaluation.wording.word_swaps import capital
from simcrop.settings import Settings

Claim = Literal["asserts", "denies"]

NUMBER = (
    r"no[.:] ?\d|(?:(?<=image )|(?<=slice )|(?<=section )|(?<=series ))no \d"  # "image no 45" denies nothing
)
SEEN = (
    r"(?:seen|observed|detected|noted|found|present|identified|visible|visuali[sz]ed|evident|demonstrated|available|"
    r"encountered|shown|selected|followed|monitored)"
)
NOT = (
    rf"\b(?!{NUMBER})(?:no|not|cannot|neither|nor|without|none|never|absence of|absent|free of|negative for)\b"
    rf"(?! longer (?!any\b|(?:be )?{SEEN}))|n['’]t\b|^\W*negative\W*$"
)
BESIDE = (  # what a list of denials ends with that is there: "no acute fracture, old rib fractures"
    r", (?=(?:old|healed|healing|chronic|known|residual|trace|minimal|mild|a few|few|several|multiple|some)\b"
    r"(?!.*\b(?:or|nor|not?|without|absent)\b))"
)
LISTED = (
    r"^(?!(?:in|on|at|with|for|as|when|after|within|regarding)\b).*(?:,| and)\s*$"  # "nodule, no effusion"
)
BUT = r"\b(?:but|however|although|though|except|apart from|other than|whereas|while|only|otherwise)\b"
BE = r"(?:is|are|was|were|has been|have been|had been|can be|could be)"
SOME = r"(?:an?|one|two|three|four|several|multiple|numerous|some|many|a few|few)"
HOLDS = r"(?:contains?|shows?|has|have|demonstrates?|reveals?|exhibits?)"
VERB = rf"\b(?:{BE}|be|been|{HOLDS}|had|measures?|measured|surrounds?|lies?|lines?|forms?|reach(?:es)?|extends?)\b"
# What is wrong; turned round it is denied; where it is denied already, said.
TO_DENY = (
    (rf"^((?:.*[, ])?there {BE}) (?:{SOME} )?(.+)$", r"\1 no \2"),
    (rf"^(?!(?:the|both|all|these|this|its|in|on|at) )(?:{SOME} )?(.+? {BE} {SEEN}\b.*)$", r"no \1"),
    (rf"^(.*? {BE}) (.+)$", r"\1 not \2"),
    (r"^(.*? (?:has|have)) (\w+ed\b.*)$", r"\1 not \2"),
    (rf"^(.*? {HOLDS}) (?:{SOME} )?(.+)$", r"\1 no \2"),
    (r"^(?:an?) (.+)$", r"no \1"),
)
TO_SAY = (
    (r"\b(is|are|was|were) no longer\b", r"\1 still"),
    (r"\bneither\b", "both"),
    (r"\bnor\b", "and"),
    (r"\b(?:absence of|negative for)\b", "presence of"),
    (r"\bcannot be\b", "can be"),
    (r"\bwithout\b", "with"),
    (r"\b(?:(?:is|are) free of)\b", "contains"),
    (r"\bno (?:other|additional|further)\b", "another"),
    (r"\b(?:no|not)\s+", ""),
)


class Findings(Settings):
    """Patterns of each kind of finding, of `others`, of what is `normal` and of what is merely `technical`."""

    kinds: dict[str, str]
    others: str
    normal: str
    technical: str


@cache
def findings() -> Findings:
    """Those that are shipped."""
    return read_settings(Findings, "table of words", "simcrop.wordings", "findings")


@lru_cache(maxsize=1 << 16)
def kinds_of(text: str) -> frozenset[str]:
    """The labels of CT-RATE that it speaks of."""
    return frozenset(kind for kind, pattern in findings().kinds.items() if found(pattern, text))


@lru_cache(maxsize=1 << 16)
def claim_of(text: str) -> Claim | None:
    """None where it speaks of no finding, of how it was looked at, or says and denies at once."""
    known = findings()
    named = bool(kinds_of(text)) or found(known.others, text)
    lead, body = body_of(text)
    if not named or found(known.technical, body):
        return None
    if not found(NOT, body):
        claim = None if found(known.normal, body) else "asserts"
    else:
        claim = "denies" if wholly_denied(body) else None
    earlier = (claim_of(part) for part in lead.split("; ") if names_finding(part) and found(r"; ", lead))
    return claim if all(other in (claim, None) for other in earlier) else None


def wholly_denied(body: str) -> bool:
    """Whether nothing is asserted beside what is denied: what stands before the first denial is normal or no claim of
    its own, and after it no clause says that something is there.
    """
    first = re.search(NOT, body, re.IGNORECASE)
    if first is None or found(BUT, body):
        return False
    before, after = body[: first.start()], body[first.end() :]
    if found(r"\b(?:that|which|who)\b[^,;]*$", before):
        return False
    if any(names_finding(part) for part in re.split(BESIDE, after, flags=re.IGNORECASE)[1:]):
        return False
    own = found(rf"\b{BE}\s*$", before)  # the verb of the first denial: "an effusion is not seen"
    earlier = (
        re.split(r",| and ", before)[0] if not own or found(VERB + ".*,|" + VERB + ".* and ", before) else ""
    )
    aside = first[0].casefold() == "without"
    listed = first[0].casefold() == "no" and found(LISTED, before)
    if (
        (found(VERB, earlier) or aside or listed)
        and names_finding(before)
        and not found(findings().normal, before)
    ):
        return False
    verb = None if own else re.search(VERB, after, re.IGNORECASE)
    later = re.split(r"[,;]| and ", after[verb.end() :] if verb else after)[1:]
    return not any(found(VERB, part) and names_finding(part) and not found(NOT, part) for part in later)


def names_finding(text: str) -> bool:
    return bool(kinds_of(text)) or found(findings().others, text)


def negate(text: str) -> str | None:
    """A denial of what is asserted, an assertion of what is denied. None of a sentence that does both, or neither in
    a way that can be turned round.
    """
    lead, body = body_of(text)
    if found(findings().technical, body):
        return None
    if found(r"\bno longer\b", body) or found(NOT, body):
        if found(r"\bno longer\b", body) or wholly_denied(body):
            return joined(lead, said(body))
        return None
    if found(BUT, body):
        return None
    for pattern, denied in TO_DENY:
        turned, times = re.subn(pattern, denied, small(body), count=1, flags=re.IGNORECASE)
        if times:
            return joined(lead, turned)
    return joined(lead, f"no {small(body)}") if not found(VERB, body) and body[:1].isupper() else None


def said(body: str) -> str:
    """Without its denials."""
    for pattern, other in TO_SAY:
        body = re.sub(pattern, other, body, flags=re.IGNORECASE)
    return body


def body_of(text: str) -> tuple[str, str]:
    """What stands before the claim, as in "As far as can be seen: ...", and the claim."""
    bare = re.sub(
        r"\([^()]*\)", lambda aside: "_" * len(aside[0]), text
    )  # "(section: 79/192)" leads to no claim
    cut = max(bare.rfind("; "), bare.rfind(": "))
    return (text[: cut + 2], text[cut + 2 :]) if cut >= 0 else ("", text)


def small(body: str) -> str:
    """Its first letter small, unless the word is an abbreviation."""
    return body if body[1:2].isupper() or body[1:2].isdigit() else body[:1].lower() + body[1:]


def joined(lead: str, body: str) -> str:
    return lead + capital(body.strip())


def found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None

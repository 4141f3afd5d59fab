"""What training reads out of a sentence, by the rules that later ask whether it was learned: what contradicts it, what
it claims, and which level of the lungs it names.

No axes: text in, text out, or None where no rule applies.
"""

from simcrop.data.samples.batch import LEVELS
from simcrop.evaluation.wording.claims import claim_of, findings, kinds_of, negate
from simcrop.evaluation.wording.perturb import places_of
from simcrop.evaluation.wording.word_swaps import swap_lobes


def opposite_of(text: str) -> str | None:
    """The denial of an assertion, the assertion of a denial; only of sentences about findings."""
    return None if claim_of(text) is None else negate(text)


def claims_of(text: str) -> tuple[int, ...]:
    """For each kind of finding 1 where it is asserted, -1 where it is denied. A denial that names a side or a lobe
    denies nothing of the others, and so no kind.
    """
    claim, kinds = claim_of(text), kinds_of(text)
    if claim == "denies" and any(places_of(text)):
        claim = None
    sign = {"asserts": 1, "denies": -1, None: 0}[claim]
    return tuple(sign * (kind in kinds) for kind in findings().kinds)


def level_of(text: str) -> str | None:
    """Of an assertion that names one lobe or zone: lower, middle or upper. An upper abdomen is none."""
    if claim_of(text) != "asserts" or swap_lobes(text) is None:
        return None
    levels = places_of(text)[1]
    return next(iter(levels)) if len(levels) == 1 and levels <= set(LEVELS) else None

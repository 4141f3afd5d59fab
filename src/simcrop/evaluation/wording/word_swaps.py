"""Sentences with words exchanged: the other side, another lobe, another finding, the same in other words.

No axes: text in, text out, or None where a rule does not apply. The words are data, see `simcrop.wordings`.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

from simcrop.evaluation.shipped import read_settings
from simcrop.settings import Settings

Words = tuple[str, str]  # one is written for the other


class Sides(Settings):
    """`pairs` both ways; `never`: patterns in which the words are no sides; `one_sided`: what has no other side."""

    pairs: tuple[Words, ...]
    never: tuple[str, ...]
    one_sided: str


class Lobes(Settings):
    """`pairs` both ways, `one_way` with them; `of`: what makes upper and lower lobes; `alone`: one way, where none of
    these is named; `never`: what has an upper and a lower part, too.
    """

    pairs: tuple[Words, ...]
    of: str
    alone: tuple[Words, ...]
    one_way: tuple[Words, ...]
    never: str


class Confusable(Settings):
    """Two kinds of finding, their `words` form by form, and what else the sentence must hold."""

    kinds: Words
    words: tuple[Words, ...]
    where: str = ""


class Wordings(Settings):
    """All that is turned around."""

    sides: Sides
    lobes: Lobes
    diseases: tuple[Confusable, ...]
    paraphrases: tuple[tuple[str, ...], ...]


@cache
def wordings() -> Wordings:
    """Those that are shipped."""
    return read_settings(Wordings, "table of words", "simcrop.wordings", "perturbations")


def swap_sides(text: str) -> str | None:
    """Left for right. None where no side is named, both are named alike, or a lobe that one side alone has."""
    sides = wordings().sides
    if re.search(sides.one_sided, text, re.IGNORECASE):
        return None
    kept = [*spans("|".join(sides.never), text), *alike("left", "right", text)]
    return changed(text, both_ways(sides.pairs), kept)


def swap_lobes(text: str) -> str | None:
    """Upper for lower lobe, segments with them; a middle lobe alone becomes a lower one. None where none is named, or
    upper and lower alike.
    """
    lobes = wordings().lobes
    if re.search(lobes.never, text, re.IGNORECASE):
        return None
    of_lobes = rf"\b(?:upper|lower)\b(?=(?:(?:,| and| or|-|/)+ ?(?:upper|middle|mid|lower))* {lobes.of}\b)"
    no_lobes = [span for span in spans(r"\b(?:upper|lower)\b", text) if span not in spans(of_lobes, text)]
    kept = [*no_lobes, *alike("upper", "lower", text)]
    found = changed(text, both_ways((("upper", "lower"), *lobes.pairs)) | dict(lobes.one_way), kept)
    if found is not None or spans(of_lobes, text):
        return found
    return changed(text, dict(lobes.alone))


def swap_findings(text: str) -> tuple[str, str] | None:
    """Another finding for the one that is named, and its kind. None where no such word is there, or both are."""
    for pair in wordings().diseases:
        if not re.search(pair.where, text, re.IGNORECASE):
            continue
        named = [bool(spans(any_of([words[i] for words in pair.words]), text)) for i in (0, 1)]
        if all(named):
            return None
        if any(named):
            forms = {words[not named[0]]: words[named[0]] for words in pair.words}
            found = changed(text, forms)
            return (with_articles(text, found), pair.kinds[named[0]]) if found else None
    return None


def paraphrase(text: str) -> str | None:
    """The same in other words. None where none of them is known."""
    fronted = re.sub(
        r"^There (is|are|was|were) ((?:(?!\b(?:no|not|in|on|at|with|of)\b)[\w-]+ ?){1,6}?) ((?:in|on|at)\b.*)$",
        lambda found: f"{capital(found[2])} {found[1]} seen {found[3]}",
        text,
    )
    following = {
        word: row[(i + 1) % len(row)] for row in wordings().paraphrases for i, word in enumerate(row)
    }
    if fronted != text:
        del following["seen"]
    found = changed(fronted, following)
    return found or (fronted if fronted != text else None)


def changed(text: str, following: Mapping[str, str], kept: Sequence[tuple[int, int]] = ()) -> str | None:
    """Every word of the map replaced at once, but for those inside the spans that are `kept`; None where none is."""
    here = [span for span in spans(any_of(following), text) if not any(a <= span[0] < b for a, b in kept)]
    parts, at = [], 0
    for start, end in here:
        parts += [text[at:start], as_written(text[start:end], following[text[start:end].casefold()])]
        at = end
    found = "".join([*parts, text[at:]])
    return found if found != text else None


def spans(pattern: str, text: str) -> list[tuple[int, int]]:
    return [found.span() for found in re.finditer(pattern, text, re.IGNORECASE)]


def any_of(words: Sequence[str] | Mapping[str, str]) -> str:
    """A pattern of whole words, the longest first."""
    return rf"\b(?:{'|'.join(map(re.escape, sorted(words, key=len, reverse=True)))})\b"


def both_ways(pairs: Sequence[Words]) -> dict[str, str]:
    return dict(pairs) | {second: first for first, second in pairs}


def alike(first: str, second: str, text: str) -> list[tuple[int, int]]:
    """Where both are named of the same thing: "the right and left lower lobes", "right lung and left lung"."""
    either = f"{first}|{second}"
    joint = r"(?: (?:and|or|and/or|as well as) | ?[/&-] ?)(?:(?:in|on|of|at|the|to|also) ){0,3}"
    same = rf"\b({either})\b(?P<of>(?:[ -][\w-]+){{0,4}}?){joint}(?!\1)(?:{either})\b(?P=of)\b"
    return spans(same, text)


def as_written(word: str, other: str) -> str:
    """The other word with the capitals of the first."""
    if word.isupper() and len(word) > 1:
        return other.upper()
    return capital(other) if word[0].isupper() else other


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


def with_articles(before: str, after: str) -> str:
    """ "A" or "an" before each word that changed, as its first letter asks."""
    old, new = before.split(), after.split()
    for i in range(len(new) - 1):
        fresh = i + 1 >= len(old) or old[i + 1] != new[i + 1]
        if fresh and new[i].casefold() in {"a", "an"}:
            new[i] = as_written(new[i], "an") if new[i + 1][0].casefold() in "aeiou" else new[i][0]
    return " ".join(new)

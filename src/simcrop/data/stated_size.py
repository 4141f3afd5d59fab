"""The length that a sentence states. No axes; text in, mm out."""

import re

_SIZE = re.compile(r"(\d+(?:[.,]\d+)?)(?:\s*[x×]\s*\d+(?:[.,]\d+)?)*\s*(mm|cm)\b", re.IGNORECASE)
_EACH = re.compile(r"\d+(?:[.,]\d+)?")


def stated_size_mm(sentence: str) -> float | None:
    """The largest length that a sentence states, in mm; None when it states none."""
    lengths = [
        float(number.replace(",", ".")) * (10 if found[2].lower() == "cm" else 1)
        for found in _SIZE.finditer(sentence)
        for number in _EACH.findall(found[0])
    ]
    return max(lengths, default=None)

"""Units of length that text headers name, as millimetres.

No axes.
"""

from contextlib import suppress

MM = {
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1000.0),
    **dict.fromkeys(
        ("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"),
        0.001,
    ),
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre", "nanometres"), 1e-6),
    **dict.fromkeys(("in", "inch", "inches"), 25.4),
}
UNKNOWN = "guessed lengths in mm, as the header's unit is none that is known"


def mm_of(unit: str) -> float | None:
    """Millimetres per unit; 1 where there is no word at all, None where the word is unknown."""
    with suppress(UnicodeError):  # headers are read as Latin-1, and many are written in UTF-8
        unit = unit.encode("latin-1").decode()
    word = unit.strip().strip("\"'").strip().lower()
    return 1.0 if word in ("", "?", "???") else MM.get(word)


def scale_note(factor: float) -> str:
    return f"lengths in the header multiplied by {factor:g} to be mm"

"""`--rescale SLOPE,INTERCEPT`: what a user knows of numbers whose file does not say it.

HU are `stored * slope + intercept`.
"""

from math import isfinite

from simcrop.data.hounsfield import GIVEN, Hint
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError
from simcrop.stderr import write_line


def parse_rescale(text: str | None) -> Hint | None:
    """`1,-1024` -> a hint that is asked where a file's own numbers are no CT."""
    if text is None:
        return None
    try:
        slope, intercept = (float(part) for part in text.split(","))
    except ValueError as error:
        raise SimcropError(
            "bad-setting", f"--rescale {text}: expected slope and intercept with a comma, such as 1,-1024"
        ) from error
    if not (isfinite(slope) and isfinite(intercept) and slope > 0):
        raise SimcropError("bad-setting", f"--rescale {text}: expected a slope above 0 and plain numbers")
    return Hint(slope, intercept, source=GIVEN)


def tell_if_unused(volume: Volume, hint: Hint | None) -> None:
    """A line where the file needed no help, so that nobody believes to have changed its numbers."""
    if hint is not None and volume.decision is not None and volume.decision.source != GIVEN:
        write_line("note: --rescale was not needed, the file's own numbers are HU")

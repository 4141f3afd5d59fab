"""Figures with their intervals, as every evaluation writes them, in JSON and on pages. No axes or units."""

import math
from typing import Any

from simcrop.figures.intervals import Bar
from simcrop.metrics.intervals import Interval


def bounds(name: str, found: Interval, draws: bool = False) -> dict[str, float]:
    """With `draws`: in how many drawn cohorts it was defined, too."""
    limits = {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return limits | ({f"{name}_draws": found.draws} if draws else {})


def p_words(p: float) -> str:
    """Of a p-value."""
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def bar_of(found: Interval | None) -> Bar | None:
    """None where there is no figure."""
    return None if found is None or math.isnan(found.value) else Bar(found.value, found.low, found.high)


def without_nan(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {name: without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def written(found: Interval) -> str:
    """`.842 [.80, .88]`, which no table breaks in two lines, or a dash; `[–]` of an interval without width, which says
    nothing: all drawn patients agree, as too few do.
    """
    if math.isnan(found.value):
        return "–"
    spread = f"{found.low:.2f}, {found.high:.2f}" if found.wide else "–"
    return f"{found.value:.3f} [{spread}]".replace("-", "−").replace(" ", "\u00a0")

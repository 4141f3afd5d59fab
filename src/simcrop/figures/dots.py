"""Small panels of dots with intervals: one panel per label, one line per method, all on one scale.

Axes: values to the right, methods downwards. SVG that takes its colours from the page; names are escaped here.
"""

import html
from collections.abc import Mapping, Sequence

from simcrop.figures.curves import WIDTH, panel, ticks, words
from simcrop.figures.intervals import Bar

NAMES, VALUES, TOP, LINE, BOTTOM = 162, 36, 30, 17, 22
OURS, THEIRS = "#3b7dd8", "#8a8f98"


def draw_dots(
    panels: Mapping[str, Mapping[str, Bar | None]], ours: str, chance: float = 50.0, about: str = ""
) -> str:
    """HTML fragment. By panel and method a value with its interval, None where there is none; `ours`: the method in
    the colour that stands out; a broken line where `chance` lies. `about`: what all panels measure.
    """
    bars = [bar for of in panels.values() for bar in of.values() if bar is not None]
    edges = [chance, *(edge for bar in bars for edge in (bar.low, bar.high, bar.value) if edge == edge)]
    low, high = min(edges), max(edges)
    margin = 0.03 * (high - low) or 1.0
    drawn = [draw_panel(name, of, ours, chance, (low - margin, high + margin)) for name, of in panels.items()]
    heading = f'<p class="curves-title">{html.escape(about)}</p>' if about else ""
    return f'{heading}<div class="curves small">{"".join(drawn)}</div>'


def draw_panel(
    name: str, methods: Mapping[str, Bar | None], ours: str, chance: float, scale: tuple[float, float]
) -> str:
    """One label."""
    height = TOP + LINE * len(methods) + BOTTOM
    foot = height - BOTTOM + 4
    parts = [
        f'<path class="rule" d="M{place(tick, scale):.1f} {TOP}V{foot}"/>'
        + words(place(tick, scale), height - 4, f"{tick:g}", "tick", "middle")
        for tick in ticks(*scale, 4)
    ]
    at = place(chance, scale)
    parts.append(
        f'<path class="line" stroke="currentColor" stroke-dasharray="3 4" d="M{at:.1f} {TOP}V{foot}"/>'
    )
    for row, (method, bar) in enumerate(methods.items()):
        parts.append(draw_method(method, bar, TOP + LINE * (row + 0.5), method == ours, scale))
    return panel(height, name, "".join(parts), "")


def draw_method(method: str, bar: Bar | None, y: float, ours: bool, scale: tuple[float, float]) -> str:
    """Name, whisker over the interval, dot at the value, the value itself."""
    colour = OURS if ours else THEIRS
    said = words(NAMES - 8, y + 4, html.escape(method), "of-ours" if ours else "tick", "end")
    if bar is None:
        return said + words(NAMES + 4, y + 4, "no figure", "note")
    value = words(WIDTH, y + 4, f"{bar.value:.1f}", "of-ours" if ours else "tick", "end")
    return (
        f'{said}<path class="line" stroke="{colour}" stroke-width="2" '
        f'd="M{place(bar.low, scale):.1f} {y:.1f}H{place(bar.high, scale):.1f}"/>'
        f'<circle cx="{place(bar.value, scale):.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>{value}'
    )


def place(value: float, scale: Sequence[float]) -> float:
    low, high = scale
    return NAMES + (value - low) / (high - low) * (WIDTH - NAMES - VALUES)

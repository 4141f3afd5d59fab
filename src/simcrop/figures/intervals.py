"""A bar per name with its interval, several series side by side: the per-label chart of Fig. 2 of the paper.

Axes: values to the right, names downwards. SVG that takes its colours from the page; names are escaped here.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from simcrop.figures.curves import Number, words
from simcrop.figures.scaling import COLOURS

NAME_WIDTH, BAR_WIDTH, VALUE_WIDTH, BAR, GAP = 270, 420, 130, 14, 10
LETTER = 6.0  # the width of one, on average and at most, in a name
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Bar:
    """One value in [0, 1] and its interval."""

    value: float
    low: float
    high: float


def draw_intervals(
    rows: Mapping[str, Sequence[Bar | None]], series: Sequence[str], chance: float = 0.5
) -> str:
    """One SVG; a bar for each of `series` at each name, None where there is no figure; a line where chance lies."""
    if not rows:
        return "<p>nothing to show</p>"
    parts, top, left = [], GAP, name_width(rows)
    height = sum(BAR * len(bars) + GAP for bars in rows.values()) + 2 * GAP
    for tick in TICKS:
        x = left + tick * BAR_WIDTH
        kind = (
            'class="line" stroke="currentColor" stroke-dasharray="4 4"' if tick == chance else 'class="rule"'
        )
        parts.append(f'<path {kind} d="M{x:.1f} {GAP}V{height}"/>')
        parts.append(words(x, height + 14, f"{tick:g}", "tick", "middle"))
    for name, bars in rows.items():
        parts.append(words(left - 10, top + BAR * len(bars) / 2 + 4, html.escape(name), "name-of", "end"))
        for n, bar in enumerate(bars):
            parts.append(draw_bar(left, top + BAR * n, bar, COLOURS[n % len(COLOURS)]))
        top += BAR * len(bars) + GAP
    key = "".join(
        f'<circle cx="{left + 6 + 200 * n}" cy="{height + 30}" r="4" fill="{COLOURS[n % len(COLOURS)]}"/>'
        + words(left + 16 + 200 * n, height + 34, html.escape(name), "tick")
        for n, name in enumerate(series)
    )
    width = left + BAR_WIDTH + VALUE_WIDTH
    return (
        f'<div class="curves one"><svg viewBox="0 0 {width} {height + 44}" role="img" '
        f'aria-label="{html.escape(", ".join(series))} by name">{"".join(parts)}{key}</svg></div>'
    )


def name_width(names: Iterable[str]) -> int:
    """Room for the longest name."""
    return max([NAME_WIDTH, *(round(LETTER * len(name)) + 20 for name in names)])


def draw_bar(left: Number, top: Number, bar: Bar | None, colour: str) -> str:
    """From nought to the value, a whisker over the interval, the numbers beside it."""
    if bar is None:
        return words(left + 6, top + BAR - 3, "no figure", "tick")
    spread = f"{bar.low:.2f}, {bar.high:.2f}" if bar.low < bar.high else "–"
    y, low, high = top + BAR / 2, left + bar.low * BAR_WIDTH, left + bar.high * BAR_WIDTH
    return (
        f'<rect x="{left}" y="{top + 1}" width="{bar.value * BAR_WIDTH:.1f}" height="{BAR - 2}" fill="{colour}" '
        f'fill-opacity="0.55"/><path class="line" stroke="{colour}" stroke-width="2" '
        f'd="M{low:.1f} {y:.1f}H{high:.1f}"/>'
        + words(left + BAR_WIDTH + 10, top + BAR - 3, f"{bar.value:.3f} [{spread}]", "tick")
    )

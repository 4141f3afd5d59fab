"""How a figure grows: one panel, a line per method over a logarithmic axis, each point with its interval.

Axes: a count to the right (each tick a doubling or more), the figure upwards. SVG that takes its colours from the page.
"""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simcrop.figures.curves import HEIGHT, LEFT, RIGHT, WIDTH, Frame, panel, ticks, words

COLOURS = ("#3b7dd8", "#d1495b", "#4f9d69", "#b07aa1", "#e08e45", "#8a8f98")
KEY = 16  # a line of the key below the panel


@dataclass(frozen=True)
class Point:
    """One figure and its 95 % interval, at a count."""

    count: int
    value: float
    low: float
    high: float


def draw_scaling(
    name: str, lines: Mapping[str, Sequence[Point]], levels: Mapping[str, float] | None = None
) -> str:
    """One SVG panel. `levels`: heights by name that are the same everywhere, such as a ceiling."""
    levels = levels or {}
    points = [point for line in lines.values() for point in line]
    if not points:
        return panel(HEIGHT, name, words(LEFT, HEIGHT / 2, "nothing measured yet", "note"), "")
    heights = [edge for point in points for edge in (point.low, point.high)] + [*levels.values()]
    counts = sorted({point.count for point in points})
    low, high = math.log2(counts[0]), math.log2(counts[-1])
    margin = (max(heights) - min(heights)) * 0.05 or 0.05
    frame = Frame(HEIGHT, (low - 0.3, high + 0.3), (min(heights) - margin, max(heights) + margin))
    body = [rule(frame, height) for height in ticks(*frame.values, 4)]
    body += [words(frame.x(math.log2(count)), HEIGHT - 8, f"{count:,}", "tick", "middle") for count in counts]
    for level, height in levels.items():
        y = frame.y(height)
        body.append(
            f'<path class="line" stroke="currentColor" stroke-dasharray="4 4" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        )
        body.append(words(WIDTH - RIGHT, y - 4, html.escape(level), "tick", "end"))
    key = []
    for row, (method, line) in enumerate(lines.items()):
        colour = COLOURS[row % len(COLOURS)]
        body.append(draw_line(frame, line, colour))
        key.append(
            f'<circle cx="{LEFT}" cy="{HEIGHT + KEY * row + 8}" r="4" fill="{colour}"/>'
            + words(LEFT + 10, HEIGHT + KEY * row + 12, html.escape(method), "tick")
        )
    return panel(HEIGHT + KEY * len(lines), name, "".join([*body, *key]), "")


def rule(frame: Frame, height: float) -> str:
    y = frame.y(height)
    return f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>' + words(
        LEFT - 7, y + 4, f"{height:.3g}", "tick", "end"
    )


def draw_line(frame: Frame, line: Sequence[Point], colour: str) -> str:
    """Points joined in the order of their counts; a whisker from the lower to the upper bound of each."""
    placed = [(frame.x(math.log2(p.count)), p) for p in sorted(line, key=lambda p: p.count)]
    path = "L".join(f"{x:.1f} {frame.y(p.value):.1f}" for x, p in placed)
    parts = [f'<path class="line" stroke="{colour}" stroke-width="2" d="M{path}"/>']
    for x, p in placed:
        parts.append(
            f'<path class="line" stroke="{colour}" d="M{x:.1f} {frame.y(p.low):.1f}V{frame.y(p.high):.1f}"/>'
        )
        parts.append(f'<circle cx="{x:.1f}" cy="{frame.y(p.value):.1f}" r="3" fill="{colour}"/>')
    return "".join(parts)

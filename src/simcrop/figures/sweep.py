"""A figure over the values of one setting: points joined, whiskers, and the value that a paper chose.

Axes: the setting to the right, evenly or doubling by doubling; the figure upwards. SVG that takes its colours from the
page.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from simcrop.figures.curves import BOTTOM, HEIGHT, TOP, Frame, panel, ticks, words
from simcrop.figures.scaling import COLOURS, rule


@dataclass(frozen=True)
class Swept:
    """`at`: the setting; the figure and its interval."""

    at: float
    value: float
    low: float
    high: float


def draw_sweep(
    name: str, points: Sequence[Swept], chosen: float, doubling: bool = False, unit: str = ""
) -> str:
    """One SVG panel; a broken line at `chosen`, in words the value there."""
    if not points:
        return panel(HEIGHT, name, words(60, HEIGHT / 2, "nothing measured yet", "note"), "")
    across = math.log2 if doubling else float
    points = sorted(points, key=lambda point: point.at)
    ats = [across(value) for value in (*(point.at for point in points), chosen)]
    heights = [edge for point in points for edge in (point.low, point.high, point.value) if edge == edge]
    side, margin = 0.08 * (max(ats) - min(ats)) or 0.5, 0.06 * (max(heights) - min(heights)) or 0.5
    frame = Frame(HEIGHT, (min(ats) - side, max(ats) + side), (min(heights) - margin, max(heights) + margin))
    colour, x = COLOURS[0], frame.x(across(chosen))
    body = [rule(frame, height) for height in ticks(*frame.values, 4)]
    body.append(
        f'<path class="line" stroke="currentColor" stroke-dasharray="4 4" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        + words(x, TOP - 3, "the paper's choice", "tick", "middle")
    )
    path = "L".join(f"{frame.x(across(p.at)):.1f} {frame.y(p.value):.1f}" for p in points)
    body.append(f'<path class="line" stroke="{colour}" stroke-width="2" d="M{path}"/>')
    for p in points:
        x = frame.x(across(p.at))
        body.append(
            f'<path class="line" stroke="{colour}" d="M{x:.1f} {frame.y(p.low):.1f}V{frame.y(p.high):.1f}"/>'
        )
        body.append(f'<circle cx="{x:.1f}" cy="{frame.y(p.value):.1f}" r="3.5" fill="{colour}"/>')
        body.append(words(x, HEIGHT - 8, html.escape(f"{p.at:g}{unit}"), "tick", "middle"))
    there = next((f"{p.value:.1f} there" for p in points if p.at == chosen), "")
    return panel(HEIGHT, name, "".join(body), there)

"""How often: a histogram panel with its usual range behind, and a bar per name.

Axes: the measure's own unit to the right, counts upwards (or bars to the right). SVG that takes its colours from the
page; text from outside is escaped here.
"""

import html
from collections.abc import Sequence

import numpy as np

from simcrop.figures.curves import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Frame, panel, span, ticks, words
from simcrop.figures.page import written

BARS = 30
HEIGHT = 180
LINE, NAME_WIDTH, BAR_WIDTH, COUNT_WIDTH = 24, 250, 330, 130
LONGEST_NAME = 36


def draw_histogram(
    name: str, values: np.ndarray, unit: str, usual: tuple[float, float] | None = None, whole: bool = False
) -> str:
    """One panel of counts, its median in the corner; bars outside `usual` in the colour of alarm.

    `whole`: the values are counts themselves, and no bar may stand for a part of one.
    """
    if not len(values):
        return panel(HEIGHT, name, words(LEFT, HEIGHT / 2, "nothing to show", "note"), "")
    edges = edges_of(values, whole)
    counts = np.histogram(values, edges)[0]
    frame = Frame(HEIGHT, (float(edges[0]), float(edges[-1])), (0.0, float(counts.max())))
    body = draw_axes(frame) + draw_bars(frame, edges, counts, "mark")
    if usual is not None:
        outside = values[(values < usual[0]) | (values > usual[1])]
        body = (
            draw_zone(frame, *usual) + body + draw_bars(frame, edges, np.histogram(outside, edges)[0], "odd")
        )
    middle = f"median {np.median(values):.3g} {html.escape(unit)}".rstrip()
    return panel(HEIGHT, name, body, middle)


def side_by_side(panels: Sequence[str]) -> str:
    """Panels in a row, in three columns where there is room, however many there are."""
    return f'<div class="curves small">{"".join(panels)}</div>'


def edges_of(values: np.ndarray, whole: bool) -> np.ndarray:
    """Borders of at most about `BARS` equal bars around all values."""
    low, high = float(values.min()), float(values.max())
    if not whole:
        return np.linspace(*span(np.array([low, high])), BARS + 1)
    step = max(1, int(np.ceil((high - low + 1) / BARS)))
    return np.arange(low - 0.5, high + step + 0.5, step)


def draw_zone(frame: Frame, low: float, high: float) -> str:
    """The usual range as a pale field, as far as the panel shows it."""
    left, right = (frame.x(min(max(edge, frame.steps[0]), frame.steps[1])) for edge in (low, high))
    return f'<rect class="zone" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{foot(frame) - TOP}"/>'


def draw_bars(frame: Frame, edges: np.ndarray, counts: np.ndarray, kind: str) -> str:
    """A bar per count that is not nought; those of another kind stand before the ones drawn earlier."""
    parts = []
    for low, high, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True):
        if count:
            x, y, width = frame.x(low), frame.y(count), frame.x(high) - frame.x(low)
            size = f'width="{max(width - 1, 1):.1f}" height="{foot(frame) - y:.1f}"'
            parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" {size}/>')
    return "".join(parts)


def draw_axes(frame: Frame) -> str:
    """Counts as hair lines, whole numbers only; the measure below."""
    parts = []
    for count in ticks(*frame.values, 3):
        if count == int(count):
            y = frame.y(count)
            parts.append(f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
            parts.append(words(LEFT - 7, y + 4, f"{count:.0f}", "tick", "end"))
    for value in ticks(*frame.steps, 6):
        parts.append(words(frame.x(value), frame.height - 8, written(value), "tick", "middle"))
    return "".join(parts)


def foot(frame: Frame) -> int:
    """Where the bars stand."""
    return frame.height - BOTTOM


def draw_shares(rows: Sequence[tuple[str, int, int]]) -> str:
    """A bar per name for `part` of `whole`, on one scale, with both numbers."""
    height = LINE * len(rows) + 6
    parts = [draw_share(LINE * row, *entry) for row, entry in enumerate(rows)]
    width = NAME_WIDTH + BAR_WIDTH + COUNT_WIDTH
    return (
        f'<div class="curves one"><svg viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="share by name">{"".join(parts)}</svg></div>'
    )


def draw_share(top: int, name: str, part: int, whole: int) -> str:
    """One line: name, bar on a rail, share and counts."""
    shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    share = part / whole if whole else 0.0
    label = f"{share:.0%}, {part} of {whole}" if whole else "unknown"
    middle = top + LINE / 2
    rail = f'<rect class="zone" x="{NAME_WIDTH}" y="{middle - 6}" width="{BAR_WIDTH}" height="12"/>'
    bar = (
        f'<rect class="mark" x="{NAME_WIDTH}" y="{middle - 6}" width="{share * BAR_WIDTH:.1f}" height="12"/>'
    )
    return (
        f"<g><title>{html.escape(name)}: {label}</title>"
        + words(NAME_WIDTH - 10, middle + 4, html.escape(shown), "name-of", "end")
        + rail
        + bar
        + words(NAME_WIDTH + BAR_WIDTH + 10, middle + 4, label, "tick")
        + "</g>"
    )

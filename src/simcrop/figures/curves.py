"""The curves of a run: one small panel per loss term, raw thin and smoothed thick, the learning rate below.

Axes: steps to the right, the term's own unit upwards. Drawn as SVG that sits inside an HTML page, takes its text
colour from there (light or dark) and lets the panels flow below each other on a narrow screen.
"""

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT, LOW_HEIGHT = 360, 220, 120
LEFT, RIGHT, TOP, BOTTOM = 54, 10, 34, 26
MOST_POINTS = 600
Number = int | float
TERM, RATE, ALARM = "#3b7dd8", "#8a8f98", "#d1495b"


@dataclass(frozen=True, eq=False)
class Curve:
    """One term of the journal: float64 `(n)` steps, rising, and values, NaN where the journal has no finite number."""

    name: str
    steps: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Frame:
    """The plot area of a panel in pixels, and the data range it shows."""

    height: int
    steps: tuple[float, float]
    values: tuple[float, float]

    def x(self, step: Number) -> float:
        low, high = self.steps
        return LEFT + (step - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: Number) -> float:
        low, high = self.values
        return self.height - BOTTOM - (value - low) / (high - low) * (self.height - TOP - BOTTOM)


def draw_curves(journal: Sequence[Mapping[str, object]], terms: Sequence[str], title: str) -> str:
    """HTML fragment (for `Page.drawing`) with one SVG panel per term and one for `lr` if the journal has it."""
    panels = [draw_panel(read_curve(journal, term)) for term in terms]
    rate = read_curve(journal, "lr")
    if np.isfinite(rate.values).any():
        panels.append(draw_rate(rate))
    heading = f'<p class="curves-title">{html.escape(title)}</p>' if title else ""
    return f'{heading}<div class="curves">{"".join(panels)}</div>'


def read_curve(journal: Sequence[Mapping[str, object]], name: str) -> Curve:
    """Values of one term by step. A resumed run may write a step twice: the later row counts."""
    rows = {number(row.get("step", place)): number(row.get(name)) for place, row in enumerate(journal)}
    steps = np.array(sorted(step for step in rows if math.isfinite(step)), dtype=float)
    return Curve(name, steps, np.array([rows[step] for step in steps], dtype=float))


def number(value: object) -> float:
    """A journal entry as a float; NaN for what is absent, not a number, or not finite."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else math.nan


def thinned(curve: Curve) -> Curve:
    """At most `MOST_POINTS` points: means over equal runs of rows, NaN only where a whole run has no number."""
    rows = len(curve.steps)
    if rows <= MOST_POINTS:
        return curve
    cells = np.arange(rows) * MOST_POINTS // rows
    finite = np.isfinite(curve.values)
    counts = np.bincount(cells[finite], minlength=MOST_POINTS)
    sums = np.bincount(cells[finite], curve.values[finite], MOST_POINTS)
    means = np.divide(sums, counts, out=np.full(MOST_POINTS, np.nan), where=counts > 0)
    return Curve(curve.name, np.bincount(cells, curve.steps) / np.bincount(cells), means)


def smoothed(values: np.ndarray) -> np.ndarray:
    """A bell-shaped moving average, a fiftieth of the run wide, over the finite values; ends weigh what they have."""
    width = max(1.0, len(values) / 50)
    reach = min(int(3 * width), len(values) - 1)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    finite = np.isfinite(values)
    weights = np.convolve(finite, bell)[reach : reach + len(values)]
    sums = np.convolve(np.where(finite, values, 0), bell)[reach : reach + len(values)]
    return np.divide(sums, weights, out=np.full(len(values), np.nan), where=weights > 1e-9)


def draw_panel(curve: Curve) -> str:
    """One loss term as SVG: name and last smoothed value above, a few ticks per axis, the curve."""
    thin = thinned(curve)
    finite = np.isfinite(thin.values)
    if not finite.any():
        return panel(
            HEIGHT, curve.name, words(LEFT, HEIGHT / 2, "no values in the journal", "note"), "no values"
        )
    thick = smoothed(thin.values)
    frame = Frame(HEIGHT, span(thin.steps, 1), span(thin.values[finite]))
    parts = [
        axes(frame),
        line(frame, thin.steps, thin.values, TERM, 1, 0.35),
        line(frame, thin.steps, np.where(finite, thick, np.nan), TERM, 2.2, 1),
        *alarms(frame, curve),
    ]
    return panel(HEIGHT, curve.name, "".join(parts), f"{thick[finite][-1]:.3g}")


def draw_rate(curve: Curve) -> str:
    """The learning rate in a low panel that starts at nought, with its peak."""
    thin = thinned(curve)
    peak = float(np.nanmax(curve.values))
    frame = Frame(LOW_HEIGHT, span(thin.steps, 1), (0.0, peak if peak > 0 else 1.0))
    drawn = line(frame, thin.steps, thin.values, RATE, 2.2, 1)
    return panel(LOW_HEIGHT, "learning rate", axes(frame) + drawn, f"peak {peak:.3g}")


def panel(height: int, name: str, body: str, value: str) -> str:
    """An SVG with its name at the upper left and its telling value at the upper right."""
    label = html.escape(name)
    head = words(0, 18, label, "name") + words(WIDTH - RIGHT, 18, value.replace("-", "−"), "last", "end")
    spoken = f'role="img" aria-label="{label}: {value}"'
    return f'<svg viewBox="0 0 {WIDTH} {height}" {spoken}>{head}{body}</svg>'


def words(x: Number, y: Number, text: str, kind: str, anchor: str = "start") -> str:
    """Text that is already escaped."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def span(values: np.ndarray, least: Number = 0) -> tuple[float, float]:
    """Lowest and highest value, apart even for one row or a constant, so that it has a place to stand."""
    low, high = float(values.min()), float(values.max())
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return low, high
    half = max(least, abs(low) * 0.1) or 1.0
    return low - half, high + half


def axes(frame: Frame) -> str:
    """Hair lines with their values, and the steps below."""
    parts = []
    for value in ticks(*frame.values, 4 if frame.height == HEIGHT else 2):
        y = frame.y(value)
        parts.append(f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(words(LEFT - 7, y + 4, f"{value:.4g}".replace("-", "−"), "tick", "end"))
    for step in ticks(*frame.steps, 4):
        if step == int(step):
            parts.append(
                words(frame.x(step), frame.height - 8, f"{step:,.0f}".replace("-", "−"), "tick", "middle")
            )
    return "".join(parts)


def ticks(low: Number, high: Number, most: int) -> list[float]:
    """Round numbers between low and high, about `most` of them."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s for s in (power, 2 * power, 5 * power, 10 * power) if s >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def line(
    frame: Frame, steps: np.ndarray, values: np.ndarray, colour: str, width: Number, opacity: Number
) -> str:
    """A line with gaps where there is no number; a lone point becomes a dot (a line of no length with round ends)."""
    strokes = []
    for piece in pieces(values):
        points = [
            f"{frame.x(s):.1f} {frame.y(v):.1f}" for s, v in zip(steps[piece], values[piece], strict=True)
        ]
        strokes.append("M" + "L".join(points) + ("h0" if len(points) == 1 else ""))
    if not strokes:
        return ""
    thickness = width if len(values) > 1 else 6
    style = f'stroke="{colour}" stroke-width="{thickness}" stroke-opacity="{opacity}"'
    path = "".join(strokes)
    return f'<path class="line" {style} d="{path}"/>'


def pieces(values: np.ndarray) -> Iterator[slice]:
    """Runs of finite values."""
    finite = np.concatenate([[False], np.isfinite(values), [False]])
    edges = np.flatnonzero(finite[1:] != finite[:-1])
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield slice(int(start), int(stop))


def alarms(frame: Frame, curve: Curve) -> Iterator[str]:
    """A red tick at the foot of the panel for every step without a finite value, at most `MOST_POINTS` of them."""
    lost = curve.steps[~np.isfinite(curve.values)]
    for step in lost[:: 1 + len(lost) // MOST_POINTS]:
        yield f'<path stroke="{ALARM}" stroke-width="2" d="M{frame.x(step):.1f} {frame.height - BOTTOM}v-9"/>'

"""The HU histogram of a cohort: median and spread over its scans, the tissues expected, and the scans far off.

Axes: HU to the right; upwards the share of a scan's voxels per bin, on a logarithmic scale.
"""

import math

import numpy as np

from simcrop.data.quality.histograms import AIR, BONE, HIGH_HU, LOW_HU, STEP_HU, TISSUES, Histograms
from simcrop.figures.curves import ALARM, Frame, line, words

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1000, 380, 62, 12, 46, 44
LOWEST, HIGHEST = 1e-5, 1.0
MEDIAN = "var(--accent)"
MOST_OUTLIERS = 5


class Wide(Frame):
    """The plot area of one panel as wide as the page."""

    def x(self, step: float | int) -> float:
        low, high = self.steps
        return LEFT + (step - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float | int) -> float:
        low, high = (math.log10(v) for v in self.values)
        return HEIGHT - BOTTOM - (math.log10(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)


def draw_spectrum(seen: Histograms, outliers: list[str]) -> str:
    """HTML fragment (for `Page.drawing`). `outliers`: ids of scans drawn one by one, the first few of them."""
    frame = Wide(HEIGHT, (float(LOW_HU), float(HIGH_HU)), (LOWEST, HIGHEST))
    middles = np.arange(LOW_HU, HIGH_HU, STEP_HU) + STEP_HU / 2
    low, median, high = np.quantile(seen.shares, (0.05, 0.5, 0.95), axis=0)
    parts = [draw_tissues(frame), draw_axes(frame), draw_spread(frame, middles, low, high)]
    for id in outliers[:MOST_OUTLIERS]:
        parts.append(line(frame, middles, visible(seen.shares[seen.ids.index(id)]), ALARM, 1, 0.8))
    parts.append(line(frame, middles, visible(median), MEDIAN, 2.2, 1))
    spoken = f'role="img" aria-label="HU histogram of {len(seen)} scans"'
    drawing = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" {spoken}>{"".join(parts)}</svg>'
    return f'<div class="curves one">{drawing}</div>'


def visible(shares: np.ndarray) -> np.ndarray:
    """NaN, which leaves a gap in a line, where a share lies below the picture."""
    return np.where(shares >= LOWEST, shares.astype(np.float64), np.nan)


def draw_tissues(frame: Wide) -> str:
    """Where each tissue's commonest value is expected, with its name above."""
    parts = []
    for row, tissue in enumerate((*TISSUES, BONE)):
        left, right = (frame.x(hu) for hu in tissue.peak)
        size = f'width="{right - left:.1f}" height="{HEIGHT - TOP - BOTTOM}"'
        parts.append(f'<rect class="zone" x="{left:.1f}" y="{TOP}" {size}/>')
        # Names of neighbours on two lines, or they would run into each other.
        middle = frame.x((max(tissue.peak[0], LOW_HU) + tissue.peak[1]) / 2)
        parts.append(
            words(middle, TOP - (8 if row % 2 or tissue is BONE else 24), tissue.name, "tick", "middle")
        )
    return "".join(parts)


def draw_axes(frame: Wide) -> str:
    """A line per power of ten, a tick every 200 HU."""
    parts = []
    for power in range(round(math.log10(LOWEST)), 1):
        y = frame.y(10.0**power)
        parts.append(f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(words(LEFT - 7, y + 4, f"{100 * 10.0**power:g} %", "tick", "end"))
    for hu in range(AIR.within[0] + 100, HIGH_HU, 200):
        parts.append(words(frame.x(hu), HEIGHT - BOTTOM + 18, f"{hu}".replace("-", "−"), "tick", "middle"))
    parts.append(words(WIDTH - RIGHT, HEIGHT - 6, "HU", "tick", "end"))
    return "".join(parts)


def draw_spread(frame: Wide, middles: np.ndarray, low: np.ndarray, high: np.ndarray) -> str:
    """The field between two quantiles."""
    low, high = low.clip(LOWEST, HIGHEST), high.clip(LOWEST, HIGHEST)
    there = [f"{frame.x(hu):.1f} {frame.y(v):.1f}" for hu, v in zip(middles, high.tolist(), strict=True)]
    back = [f"{frame.x(hu):.1f} {frame.y(v):.1f}" for hu, v in zip(middles, low.tolist(), strict=True)]
    return f'<path fill="{MEDIAN}" fill-opacity="0.22" d="M{"L".join([*there, *reversed(back)])}Z"/>'

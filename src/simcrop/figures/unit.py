"""Panels of two shares from 0 to 1: receiver operating curve, precision over recall, stated over true frequency.

Axes: k repetition, s scan; shares to the right and upwards. SVG that takes its colours from the page; `panel`
escapes names.
"""

import numpy as np

from simcrop.figures.curves import BOTTOM, LEFT, RIGHT, TERM, WIDTH, Frame, line, panel, words

HEIGHT, BINS = 300, 10
MOST_POINTS = 300
FRAME = Frame(HEIGHT, (0.0, 1.0), (0.0, 1.0))


def draw_roc(name: str, scores: np.ndarray, truth: np.ndarray, value: float) -> str:
    """Sensitivity over false alarms, a line for each repetition of `(k, s)`; `value`: the AUROC that is said beside
    it.
    """
    lines = []
    for of in scores:
        hits, alarms = cumulated(of, truth)
        lines.append(line(FRAME, thin(alarms / alarms[-1]), thin(hits / hits[-1]), TERM, 2, 0.8))
    chance = line(FRAME, np.array([0.0, 1.0]), np.array([0.0, 1.0]), "#8a8f98", 1, 0.6)
    return unit_panel(name, chance + "".join(lines), f"AUROC {value:.3f}", "false alarms")


def draw_precision(name: str, scores: np.ndarray, truth: np.ndarray, value: float) -> str:
    """Precision over recall; the pale line is what chance reaches."""
    lines = []
    for of in scores:
        hits, alarms = cumulated(of, truth)
        found, named = hits[1:], hits[1:] + alarms[1:]
        lines.append(line(FRAME, thin(found / hits[-1]), thin(found / named), TERM, 2, 0.8))
    share = float((truth[~np.isnan(truth)] == 1).mean())
    chance = line(FRAME, np.array([0.0, 1.0]), np.array([share, share]), "#8a8f98", 1, 0.6)
    return unit_panel(name, chance + "".join(lines), f"AP {value:.3f}", "recall")


def draw_calibration(name: str, scores: np.ndarray, truth: np.ndarray, value: float) -> str:
    """How many scans have the label among those given about the same probability; the size of a dot says how many."""
    dots = []
    keep = ~np.isnan(truth)
    for of in scores:
        stated, true = of[keep], truth[keep]
        place = np.clip((stated * BINS).astype(int), 0, BINS - 1)
        for each in np.unique(place):
            here = place == each
            x, y = FRAME.x(float(stated[here].mean())), FRAME.y(float(true[here].mean()))
            size = 2 + 6 * np.sqrt(here.sum() / len(place))
            dots.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" fill="{TERM}" fill-opacity="0.6"/>'
            )
    perfect = line(FRAME, np.array([0.0, 1.0]), np.array([0.0, 1.0]), "#8a8f98", 1, 0.6)
    return unit_panel(name, perfect + "".join(dots), f"error {value:.3f}", "stated probability")


def unit_panel(name: str, body: str, value: str, across: str) -> str:
    """A square field from 0 to 1."""
    return panel(HEIGHT, name, unit_axes(across) + body, value)


def unit_axes(across: str) -> str:
    """Hair lines at 0, a half and 1; what goes to the right below."""
    parts = []
    for share in (0.0, 0.5, 1.0):
        x, y = FRAME.x(share), FRAME.y(share)
        parts.append(f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(words(LEFT - 7, y + 4, f"{share:g}", "tick", "end"))
        if share != 0.5:
            parts.append(words(x, HEIGHT - 8, f"{share:g}", "tick", "end" if share else "start"))
    return "".join(parts) + words((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 18, across, "tick", "middle")


def cumulated(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hits and false alarms from the highest threshold down, beginning with none; scans of equal score at once."""
    keep = ~np.isnan(truth)
    values, positive = scores[keep], truth[keep] == 1
    order = np.argsort(-values, kind="stable")
    last = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    hits = positive[order].cumsum()[last]
    return np.append(0, hits), np.append(0, last + 1 - hits)


def thin(values: np.ndarray) -> np.ndarray:
    """At most about `MOST_POINTS` of them, ends included."""
    if len(values) <= MOST_POINTS:
        return values
    return values[np.linspace(0, len(values) - 1, MOST_POINTS).round().astype(int)]

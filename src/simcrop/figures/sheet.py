"""The sheet that three cuts are drawn on: title, one panel per view at the same scale, a place for the colour bar.

Axes: none of a volume; all lengths are pixels of the PNG, counted from the upper left corner.
"""

import io
import textwrap

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from simcrop.figures.planes import VIEWS, Number, Scene

DPI = 100
MARGIN, GAP, LABEL, BAR = 22, 14, 26, 108
WIDEST, TALLEST, NARROWEST = 1280, 600, 640
TITLE_LINE, SMALL_LINE, MOST_TITLE_LINES = 30, 24, 3
MOST_BYTES = 300_000

PAPER, INK, QUIET = "#101014", "#f2f2f0", "#a3a7ab"
FONT = "DejaVu Sans"  # comes with matplotlib, so the picture looks the same everywhere


def lay_out(scene: Scene, title: str, small: str) -> tuple[Figure, list[Axes], Axes | None]:
    """An empty figure with one panel per view, all at the same mm per pixel, and a place for the colour bar."""
    extents = [scene.extent(view) for view in VIEWS]
    sizes_mm = [(right - left, top - bottom) for left, right, bottom, top in extents]
    bar_width = BAR if scene.heat is not None else 0
    wide_mm, tall_mm = sum(w for w, _ in sizes_mm), max(h for _, h in sizes_mm)
    free = WIDEST - 2 * MARGIN - 2 * GAP - bar_width
    pixels_per_mm = min(free / wide_mm, TALLEST / tall_mm)
    width = max(NARROWEST, round(wide_mm * pixels_per_mm) + WIDEST - free)
    lines = title_lines(title, width)
    head = MARGIN + TITLE_LINE * len(lines) + SMALL_LINE
    height = round(head + LABEL + tall_mm * pixels_per_mm + MARGIN)

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
    write_head(figure, lines, small)
    left, top, panels = float(MARGIN), head + LABEL, []
    for w, h in sizes_mm:
        panels.append(place(figure, left, top, w * pixels_per_mm, h * pixels_per_mm))
        left += w * pixels_per_mm + GAP
    bar = None
    if bar_width:
        bar = place(figure, left + 8, top, 16, sizes_mm[0][1] * pixels_per_mm)
    return figure, panels, bar


def place(figure: Figure, left: Number, top: Number, width: Number, height: Number) -> Axes:
    """Axes at a pixel position counted from the upper left corner."""
    full_width, full_height = figure.get_size_inches() * DPI
    axes = figure.add_axes(
        (left / full_width, 1 - (top + height) / full_height, width / full_width, height / full_height)
    )
    axes.set_facecolor("black")
    axes.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False)
    axes.spines[:].set_visible(False)
    return axes


def title_lines(title: str, width: int) -> list[str]:
    """The sentence in at most three lines; characters that the font lacks become boxes."""
    known = font_manager.get_font(font_manager.findfont(FONT)).get_charmap()
    printable = "".join(c if ord(c) in known else "\u25a1" for c in " ".join(title.split()))
    characters = int((width - 2 * MARGIN) / 9.6)
    return textwrap.wrap(printable, characters, max_lines=MOST_TITLE_LINES, placeholder=" …")


def write_head(figure: Figure, lines: list[str], small: str) -> None:
    """Title and caption at the upper left. `$` in a report is a dollar, never mathematics."""
    width, height = figure.get_size_inches() * DPI
    for number, line in enumerate(lines):
        y = 1 - (MARGIN + number * TITLE_LINE) / height
        figure.text(MARGIN / width, y, line, color=INK, size=12.5, family=FONT, va="top", parse_math=False)
    y = 1 - (MARGIN + len(lines) * TITLE_LINE) / height
    figure.text(MARGIN / width, y, small, color=QUIET, size=8.5, family=FONT, va="top", parse_math=False)


def as_png(figure: Figure) -> bytes:
    """Draw without a display and pack the pixels small."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    png = packed(picture, bits=6)
    return png if len(png) <= MOST_BYTES else packed(picture, bits=5)


def packed(picture: Image.Image, bits: int) -> bytes:
    """PNG with fewer grey levels: scanner noise in the last bits would double the file and nobody sees it."""
    out = io.BytesIO()
    # Level 9 takes four times as long for 5 % less.
    ImageOps.posterize(picture, bits).save(out, "PNG", compress_level=7)
    return out.getvalue()

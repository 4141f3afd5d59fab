"""A scan in three cuts, with a heat map over it: one PNG in radiological convention.

Axes: RAS+ mm; every cut is drawn with the patient's right (or front) on the viewer's left and the head (or front) up.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.patheffects import withStroke

from simcrop.data.volume import Volume
from simcrop.figures.planes import VIEWS, Number, Scene, View, border, make_scene, seen
from simcrop.figures.sheet import FONT, INK, QUIET, as_png, lay_out

BOX, TRUE = "#5ce1e6", "#7dff6a"
FAINTEST, STRONGEST = 0.03, 0.62  # opacity of the lowest and the highest similarity


@dataclass(frozen=True, eq=False)
class Heat:
    """How similarity becomes colour: the scale runs from the lowest to the highest finite value."""

    low: float
    high: float
    colours: Colormap


def draw_cuts(
    volume: Volume,
    heat: np.ndarray | None = None,
    boxes_mm: np.ndarray | None = None,
    title: str = "",
    window_hu: tuple[Number, Number] = (-1350, 150),
    at_mm: np.ndarray | None = None,
    lesion: np.ndarray | None = None,
) -> bytes:
    """PNG of the axial, coronal and sagittal cuts through the maximum of `heat`, or `at_mm`, or the middle.

    `heat` lies on the volume's own grid, NaN where the model did not look (left plain grey); `boxes_mm` are
    `(k, 2, 3)` low and high corners in RAS+ mm; `lesion` is a bool mask on the same grid, drawn as an outline.
    """
    scene = make_scene(volume, heat, at_mm)
    scale = None if scene.heat is None else heat_scale(scene.heat)
    figure, panels, bar = lay_out(scene, title, caption(scene))
    boxes = np.empty((0, 2, 3)) if boxes_mm is None else boxes_mm
    for axes, view in zip(panels, VIEWS, strict=True):
        draw_plane(axes, scene, view, window_hu, scale)
        draw_marks(axes, scene, view, boxes)
        if lesion is not None:
            draw_outline(axes, scene, view, Volume(lesion.astype(np.float32), volume.affine).to_ras().hu)
    draw_ruler(panels[0], scene)
    if bar is not None and scale is not None:
        draw_scale(bar, scale)
    return as_png(figure)


def heat_scale(heat: np.ndarray) -> Heat:
    """Plasma (even steps, safe for the colour-blind), the more opaque the more similar, so anatomy stays visible."""
    finite = heat[np.isfinite(heat)]
    low, high = float(finite.min()), float(finite.max())
    if high - low < 1e-6:
        low, high = low - 0.01, high + 0.01
    table = colormaps["plasma"](np.linspace(0, 1, 256))
    table[:, 3] = FAINTEST + (STRONGEST - FAINTEST) * np.linspace(0, 1, 256) ** 1.5
    return Heat(low, high, ListedColormap(table))


def caption(scene: Scene) -> str:
    """Where the cuts meet, in one line."""
    x, y, z = (f"{mm:.0f}".replace("-", "−") for mm in scene.centre_mm)
    where = f"Cuts meet at x {x}, y {y}, z {z} mm (RAS+)"
    if scene.heat is None or not np.isfinite(scene.heat[scene.centre]):
        return f"{where}; the patient's right is on the left"
    value = f"{scene.heat[scene.centre]:.3f}".replace("-", "−")
    return f"{where}, cosine similarity {value}; the patient's right is on the left"


def draw_plane(
    axes: Axes, scene: Scene, view: View, window_hu: tuple[Number, Number], scale: Heat | None
) -> None:
    """The grey picture and the heat over it."""
    extent = scene.extent(view)
    grey = np.nan_to_num(scene.cut(scene.scan.hu, view), nan=window_hu[0])
    low, high = window_hu
    axes.imshow(
        grey,
        "gray",
        vmin=low,
        vmax=high,
        origin="lower",
        extent=extent,
        aspect="auto",
        interpolation="hanning",
    )
    if scene.heat is not None and scale is not None:
        heat = np.ma.masked_invalid(scene.cut(scene.heat, view))
        # nearest: one patch, one colour. The map shows no finer detail than the model gave.
        over = axes.imshow(
            heat, scale.colours, origin="lower", extent=extent, aspect="auto", interpolation="nearest"
        )
        over.set_clim(scale.low, scale.high)
    axes.set_xlim(extent[1], extent[0])
    axes.set_ylim(extent[2], extent[3])


def draw_outline(axes: Axes, scene: Scene, view: View, lesion: np.ndarray) -> None:
    """The rim of a true lesion, where the cut meets it."""
    cut = scene.cut(lesion, view)
    if cut.any():
        axes.contour(cut, [0.5], colors=TRUE, linewidths=1.2, origin="lower", extent=scene.extent(view))


def draw_marks(axes: Axes, scene: Scene, view: View, boxes_mm: np.ndarray) -> None:
    """Rims of the part seen and of the boxes, cross-hair with an open middle, letters, the name of the cut."""
    axes.add_collection(
        LineCollection(border(seen(scene, view)), colors=QUIET, linewidths=0.8, linestyles=":")
    )
    axes.add_collection(LineCollection(border(scene.crossed(boxes_mm, view)), colors=BOX, linewidths=1.1))
    left, right, bottom, top = scene.extent(view)
    x, y = scene.cross(view)
    gap = 0.05 * max(right - left, top - bottom)
    line = {"color": "white", "lw": 0.6, "alpha": 0.65}
    axes.plot([left, x - gap], [y, y], [x + gap, right], [y, y], **line)
    axes.plot([x, x], [bottom, y - gap], [x, x], [y + gap, top], **line)
    spots = (
        (0, 0.5, "left", "center"),
        (1, 0.5, "right", "center"),
        (0.5, 1, "center", "top"),
        (0.5, 0, "center", "bottom"),
    )
    for letter, (across, up, ha, va) in zip(view.letters, spots, strict=True):
        at = (across + 0.018 * (1 - 2 * across), up + 0.014 * (1 - 2 * up))
        write_on_picture(axes, at, letter, ha, va, 10.5)
    mm = f"{scene.centre_mm[view.through]:.0f}".replace("-", "−")
    name = f"{view.name}, {'xyz'[view.through]} = {mm} mm"
    axes.annotate(name, (0, 1), (0, 6), "axes fraction", "offset points", color=QUIET, size=8.5, family=FONT)


def write_on_picture(
    axes: Axes, at: tuple[Number, Number], text: str, ha: str, va: str, size: Number
) -> None:
    """White letters with a dark rim, legible on bone and on air; `at` is a fraction of the panel."""
    rim = [withStroke(linewidth=2.2, foreground="#000000c0")]
    axes.text(
        *at, text, transform=axes.transAxes, color=INK, size=size, family=FONT, ha=ha, va=va, path_effects=rim
    )


def draw_ruler(axes: Axes, scene: Scene) -> None:
    """A scale bar of a round length, about a fifth of the axial cut; all panels share its scale."""
    left, right, bottom, top = scene.extent(VIEWS[0])
    length = max((n for n in (1, 2, 5, 10, 20, 50, 100, 200) if n <= (right - left) / 4), default=1)
    start, y = right - 0.03 * (right - left), bottom + 0.03 * (top - bottom)
    rim = [withStroke(linewidth=4, foreground="#000000c0")]
    axes.plot([start, start - length], [y, y], color=INK, lw=2, solid_capstyle="butt", path_effects=rim)
    write_on_picture(axes, (0.03 + length / (right - left) / 2, 0.045), f"{length} mm", "center", "bottom", 8)


def draw_scale(axes: Axes, scale: Heat) -> None:
    """The colour bar, over mid-grey as on the scan."""
    axes.set_facecolor("#808080")
    ramp = np.linspace(scale.low, scale.high, 256)[:, None]
    axes.imshow(ramp, scale.colours, origin="lower", extent=(0, 1, scale.low, scale.high), aspect="auto")
    axes.yaxis.set_label_position("right")
    axes.tick_params(right=True, labelright=True, colors=QUIET, labelsize=8.5, length=3, labelfontfamily=FONT)
    axes.locator_params(axis="y", nbins=6)
    axes.set_ylabel("cosine similarity", color=INK, size=9, family=FONT, labelpad=6)

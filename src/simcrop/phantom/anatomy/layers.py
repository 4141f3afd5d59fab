"""What is painted: solids and tubes, each with its density, in an order in which later ones cover earlier ones.

Densities in HU; solids in mm of the patient's frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from simcrop.phantom.anatomy.shapes import Tube
from simcrop.phantom.anatomy.solids import Solid
from simcrop.phantom.grid import Frame
from simcrop.phantom.kernels import brush
from simcrop.phantom.kernels.texture import texture_tile

AIR, FAT, MUSCLE, BONE = -1000.0, -100.0, 45.0, 420.0
CLEAR = -1  # a layer that leaves the label under it


@dataclass(frozen=True, eq=False)
class Layer:
    """A solid of one tissue. `organ` and `airspace` are its values in masks of organs and of lungs."""

    solid: Solid
    hu: float
    uneven_hu: float = 0.0  # how much it varies over centimetres
    grain_hu: float = 0.0  # and over millimetres
    denser_below: float = 0.0  # HU per mm towards the back
    level_y: float = 0.0  # where `hu` holds when it is denser below
    strength: float = 1.0  # how much of what lies under it is replaced
    thin_mm: float = 0.0  # half the thickness of a shell, which must not grow with the voxels
    organ: int = 0
    airspace: int = 0

    def material(self, edge_mm: float) -> tuple[float, ...]:
        thin = min(1.0, 2 * self.thin_mm / edge_mm) if self.thin_mm and edge_mm else 1.0
        return (
            self.hu,
            self.denser_below,
            self.level_y,
            self.uneven_hu,
            self.grain_hu,
            self.strength * thin,
            self.solid.slope,
        )


@dataclass(frozen=True, eq=False)
class Rods:
    """Many tubes as float32 rows `(n, 9)`: start, end, radius at each, HU."""

    rows: np.ndarray
    organ: int = CLEAR
    airspace: int = CLEAR


def rods(
    tubes: Sequence[Tube], hu: float, *, beyond_mm: float = 0.0, organ: int = 0, airspace: int = 0
) -> Rods:
    """Tubes of one density, each as much wider."""
    rows = [
        (*t.start, *t.end, t.radius + beyond_mm, (t.radius if t.tip is None else t.tip) + beyond_mm, hu)
        for t in tubes
    ]
    return Rods(np.array(rows, np.float32).reshape(-1, 9), organ, airspace)


@dataclass(frozen=True, eq=False)
class Painting:
    """Layers and rods in their order; neighbouring layers are painted in one go."""

    steps: tuple[Layer | Rods, ...]
    texture_at: np.ndarray
    crisp: bool = False  # all or nothing, for masks
    packed: list[tuple[np.ndarray, ...]] = field(default_factory=list)

    def onto(self, values: np.ndarray, frame: Frame) -> None:
        """Paint into `(z, y, x)` float32, the voxels of `frame`."""
        edge = np.float32(0 if self.crisp else frame.edge_mm)
        if not self.packed:
            self.packed.extend(pack(self.steps, float(edge)))
        plane, heights, texture = frame.plane, frame.heights, (texture_tile(), self.texture_at)
        for first, *rest in self.packed:
            if rest:
                starts, materials = rest
                brush.paint_solids(values, plane, heights, first, starts, materials, edge, texture)
            else:
                brush.paint_tubes(values, plane, heights, first, frame.to_index, frame.spacing, edge)

    def labels(self, name: str) -> "Painting":
        """The same bodies with their labels instead of densities."""
        steps = tuple(
            labelled(step, getattr(step, name)) for step in self.steps if getattr(step, name) != CLEAR
        )
        return Painting(steps, self.texture_at, crisp=True)


def labelled(step: Layer | Rods, label: int) -> Layer | Rods:
    if isinstance(step, Layer):
        return Layer(step.solid, float(label))
    rows = step.rows.copy()
    rows[:, 8] = label
    return Rods(rows)


def pack(steps: tuple[Layer | Rods, ...], edge_mm: float) -> list[tuple[np.ndarray, ...]]:
    """Arrays for the brush: program, starts and materials of a run of layers, or the rows of rods."""
    packed: list[tuple[np.ndarray, ...]] = []
    run: list[Layer] = []
    for step in (*steps, None):
        if isinstance(step, Layer):
            run.append(step)
            continue
        if run:
            starts = np.cumsum([0, *(len(layer.solid.rows) for layer in run)])
            materials = np.array([layer.material(edge_mm) for layer in run], np.float32)
            packed.append((np.concatenate([layer.solid.rows for layer in run]), starts, materials))
            run = []
        if step is not None:
            packed.append((step.rows,))
    return packed

"""What lies within the ribs: lungs with their fissures, heart, great vessels, gullet, airways.

Lengths in mm of the patient's frame (x right, y front, z up), densities in HU.
"""

from simcrop.phantom.anatomy.body import FAT_AROUND_HEART_MM, Airway, Anatomy, Lung
from simcrop.phantom.anatomy.layers import AIR, CLEAR, FAT, MUSCLE, Layer, Rods, rods
from simcrop.phantom.anatomy.shapes import Tube
from simcrop.phantom.anatomy.solids import Solid, oval

# Values of masks in the way of BTCV, and of LUNA16; how the latter's sides are known says its layout.
ESOPHAGUS, AORTA = 5, 8
LEFT_LUNG, RIGHT_LUNG, TRACHEA = 3, 4, 5
FISSURE_MM = 0.5  # half its thickness
DEPENDENT_HU = 0.35  # per mm: blood sinks to the back of a patient who lies on it


def lungs(anatomy: Anatomy) -> list[Layer | Rods]:
    layers: list[Layer | Rods] = []
    for lung in (anatomy.right, anatomy.left):
        solid = anatomy.lung_solids[lung.side]
        tissue = Layer(
            solid,
            anatomy.lung_hu,
            uneven_hu=28.0,
            denser_below=DEPENDENT_HU,
            level_y=lung.centre[1],
            airspace=RIGHT_LUNG if lung.side == "right" else LEFT_LUNG,
        )
        layers += [tissue, *(fissure(solid & cut, airspace=tissue.airspace) for cut in fissures(lung))]
    return [*layers, Rods(anatomy.branches)]


def fissure(solid: Solid, airspace: int) -> Layer:
    return Layer(solid, -560.0, thin_mm=FISSURE_MM, airspace=airspace)


def fissures(lung: Lung) -> list[Solid]:
    oblique = lung.oblique.shell(FISSURE_MM)
    return (
        [oblique] if lung.side == "left" else [oblique, lung.minor.shell(FISSURE_MM) & lung.oblique.inverse]
    )


def mediastinum(anatomy: Anatomy) -> list[Layer | Rods]:
    heart, blood = anatomy.heart, anatomy.blood_hu
    muscle = MUSCLE + 1.2 * anatomy.organ_hu
    right_blood = blood + 0.3 * max(blood - 60.0, 0.0)
    steps: list[Layer | Rods] = [
        Layer(heart.solid.grown(FAT_AROUND_HEART_MM), FAT + 12.0, uneven_hu=10.0, grain_hu=8.0),
        Layer(heart.solid, muscle, grain_hu=5.0),
        Layer(heart.chamber((-0.32, -0.12, 0.0), (0.42, 0.48, 0.62)), blood),
        Layer(heart.chamber((0.08, 0.42, -0.1), (0.5, 0.3, 0.62)) & heart.solid.grown(-4.0), right_blood),
        Layer(heart.chamber((0.6, 0.1, 0.05), (0.32, 0.45, 0.6)) & heart.solid.grown(-3.0), right_blood),
        Layer(heart.chamber((0.28, -0.55, 0.4), (0.42, 0.36, 0.42)), blood),
    ]
    gullet_y = anatomy.spine_y + 23.0
    gullet = (
        Tube((-2.0, gullet_y, 190.0), (-4.0, gullet_y, 10.0), 7.0),
        Tube((-4.0, gullet_y, 10.0), (-10.0, gullet_y + 4.0, -110.0), 7.5),
        Tube((-10.0, gullet_y + 4.0, -110.0), (-30.0, gullet_y + 14.0, -136.0), 7.5),
    )
    azygos = Tube((9.0, anatomy.spine_y + 19.0, -330.0), (9.0, anatomy.spine_y + 19.0, 34.0), 3.5)
    aorta = (*anatomy.aorta, *belly_aorta(anatomy))
    return [
        *steps,
        Layer(nodes(), 30.0, strength=0.8),
        rods(anatomy.vessels, right_blood),
        rods((azygos,), blood),
        rods(aorta, muscle, organ=AORTA),
        rods(aorta, blood, beyond_mm=-1.2, organ=CLEAR),
        rods(gullet, 38.0, organ=ESOPHAGUS),
        *airways(anatomy.airways),
    ]


def belly_aorta(anatomy: Anatomy) -> tuple[Tube, Tube]:
    """Through the diaphragm and down before the spine."""
    end, radius, y = anatomy.aorta[-1].end, anatomy.aorta[-1].radius, anatomy.spine_y
    middle = (-8.0, y + 26.0, end[2] - 50.0)
    return Tube(end, middle, radius, 0.9 * radius), Tube(
        middle, (-5.0, y + 28.0, -330.0), 0.9 * radius, 0.75 * radius
    )


def nodes() -> Solid:
    """Lymph nodes of normal size."""
    places = (
        (14.0, -2.0, 48.0),
        (-14.0, 4.0, 34.0),
        (2.0, -30.0, 14.0),
        (-6.0, 30.0, 52.0),
        (12.0, 16.0, 62.0),
    )
    first, *others = (oval(place, (4.5, 3.0, 5.0)) for place in places)
    for other in others:
        first = first | other
    return first


def airways(tree: tuple[Airway, ...]) -> list[Layer | Rods]:
    """Walls first, so that no wall closes a branch. Only trachea and main bronchi are marked in masks of lungs."""
    walls = [
        Tube(a.tube.start, a.tube.end, a.tube.radius + a.wall_mm, (a.tube.tip or a.tube.radius) + a.wall_mm)
        for a in tree
    ]
    wide, narrow = [a.tube for a in tree if a.generation < 2], [a.tube for a in tree if a.generation >= 2]
    return [
        rods(walls, -30.0, airspace=CLEAR),
        rods(wide, AIR + 8.0, airspace=TRACHEA),
        rods(narrow, AIR + 40.0, organ=CLEAR, airspace=CLEAR),
    ]

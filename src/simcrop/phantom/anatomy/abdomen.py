"""The organs under the diaphragm, as far down as BTCV's scans reach.

Lengths in mm of the patient's frame (x right, y front, z up), densities in HU. Masks have BTCV's values.
"""

from itertools import pairwise

from simcrop.phantom.anatomy.body import Anatomy
from simcrop.phantom.anatomy.layers import AIR, Layer
from simcrop.phantom.anatomy.solids import Solid, oval, slope, tube
from simcrop.phantom.grid import Point

SPLEEN, RIGHT_KIDNEY, LEFT_KIDNEY, GALLBLADDER, LIVER, STOMACH = 1, 2, 3, 4, 6, 7
VENA_CAVA, PORTAL_VEIN, PANCREAS, RIGHT_ADRENAL, LEFT_ADRENAL = 9, 10, 11, 12, 13
DIAPHRAGM_MM = 3.0


def abdomen(anatomy: Anatomy) -> list[Layer]:
    return [*domed(anatomy), *behind(anatomy), *vessels(anatomy)]


def under(anatomy: Anatomy, dome: Solid) -> Solid:
    """Within the ribs and under one dome of the diaphragm."""
    return anatomy.cage.grown(-4.0) & dome.inverse.grown(-DIAPHRAGM_MM)


def domed(anatomy: Anatomy) -> list[Layer]:
    """Liver, spleen and stomach."""
    right, left, add = anatomy.right, anatomy.left, anatomy.organ_hu
    base, low = right.rim_z, left.rim_z
    space = under(anatomy, left.above_diaphragm)
    liver = under(anatomy, right.above_diaphragm)
    liver = liver & oval((52.0, 6.0, base - 6.0), (112.0, 104.0, 96.0), boxy=0.4)
    liver = liver & slope((-30.0, 0.0, base + 30.0), (-0.75, 0.0, -0.66)) - back_of_room(anatomy)
    stomach = oval((-58.0, 22.0, low + 4.0), (48.0, 52.0, 56.0)).blended(
        oval((-18.0, 44.0, low - 46.0), (44.0, 24.0, 26.0), turn=0.3), 25.0
    )
    gas = slope((0.0, 34.0, 0.0), (0.0, -1.0, 0.0))
    spleen = oval((-98.0, -36.0, low - 4.0), (32.0, 46.0, 56.0), turn=-0.35) - oval(
        (-72.0, -20.0, low - 10.0), (24.0, 40.0, 50.0)
    )
    return [
        Layer(liver, 56.0 + add, uneven_hu=5.0, grain_hu=4.0, organ=LIVER),
        Layer(spleen & space, 48.0 + 1.2 * add, uneven_hu=4.0, organ=SPLEEN),
        Layer(stomach & space, 42.0, uneven_hu=12.0, grain_hu=15.0, organ=STOMACH),
        Layer(stomach.grown(-3.5) & space.grown(-3.5) & gas, AIR + 30.0, organ=STOMACH),
    ]


def back_of_room(anatomy: Anatomy) -> Solid:
    """Room for kidneys and great vessels on both sides of the spine."""
    return oval((14.0, anatomy.spine_y + 6.0, 0.0), (50.0, 34.0, 900.0))


def behind(anatomy: Anatomy) -> list[Layer]:
    """Kidneys, adrenal glands, pancreas and gallbladder."""
    back, base, add = anatomy.spine_y, anatomy.right.rim_z, anatomy.organ_hu

    def sized(x: float, y: float, z: float) -> Point:
        return x * anatomy.organ_scale, y * anatomy.organ_scale, z * anatomy.organ_scale

    pancreas: list[Point] = [
        (26.0, back + 62.0, base - 72.0),
        (0.0, back + 72.0, base - 58.0),
        (-34.0, back + 54.0, base - 46.0),
        (-70.0, back + 36.0, base - 34.0),
    ]
    layers = [
        Layer(
            string(pancreas, 12.0 * anatomy.organ_scale, 8.0 * anatomy.organ_scale),
            40.0 + add,
            uneven_hu=10.0,
            grain_hu=18.0,
            organ=PANCREAS,
        ),
        Layer(oval((42.0, 46.0, base - 44.0), sized(15.0, 14.0, 27.0)), 8.0, organ=GALLBLADDER),
    ]
    for sign, kidney, adrenal in ((1.0, RIGHT_KIDNEY, RIGHT_ADRENAL), (-1.0, LEFT_KIDNEY, LEFT_ADRENAL)):
        x, y, z = sign * 58.0, back + 4.0, base - 70.0 - 6.0 * sign
        body = oval((x, y, z), sized(25.0, 24.0, 54.0), turn=-sign * 0.5)
        sinus = oval((x - sign * 12.0, y + 6.0, z), (15.0, 9.0, 26.0), turn=-sign * 0.5)
        knot: Point = (sign * 34.0, back + 22.0, base - 26.0)
        ends: list[Point] = [
            (sign * 30.0, back + 4.0, base - 34.0),
            knot,
            (sign * 47.0, back + 6.0, base - 38.0),
        ]
        limbs = string(ends, 4.6, 3.6)
        layers += [
            Layer(body, 34.0 + 2.0 * add, organ=kidney),
            Layer(sinus, -60.0, strength=0.8, organ=kidney),
            Layer(limbs, 32.0 + add, organ=adrenal),
        ]
    return layers


def vessels(anatomy: Anatomy) -> list[Layer]:
    """The inferior vena cava up to the heart; the portal vein with that of the spleen."""
    back, base = anatomy.spine_y, anatomy.right.rim_z
    blood = max(anatomy.blood_hu * 0.8, 40.0)
    right_atrium = (22.0, anatomy.heart.centre[1] - 8.0, anatomy.heart.centre[2] - 12.0)
    cava: list[Point] = [
        (18.0, back + 30.0, -330.0),
        (20.0, back + 34.0, base - 20.0),
        (23.0, back + 56.0, base + 44.0),
        right_atrium,
    ]
    portal: list[Point] = [
        (-84.0, back + 34.0, base - 22.0),
        (-36.0, back + 46.0, base - 50.0),
        (6.0, back + 62.0, base - 56.0),
        (40.0, back + 70.0, base - 20.0),
        (66.0, back + 74.0, base - 10.0),
    ]
    return [
        Layer(string(cava, 11.0, 11.0), blood, organ=VENA_CAVA),
        Layer(string(portal, 5.0, 6.5), blood, organ=PORTAL_VEIN),
    ]


def string(path: list[Point], radius: float, tip: float) -> Solid:
    """Tubes from point to point, tapering evenly."""
    widths = [radius + (tip - radius) * n / (len(path) - 1) for n in range(len(path))]
    first, *others = (
        tube(a, b, wide, narrow)
        for (a, b), (wide, narrow) in zip(pairwise(path), pairwise(widths), strict=True)
    )
    for other in others:
        first = first | other
    return first

"""The wall of the chest and what it lies on: table, skin, fat, breasts, muscle, ribs, shoulder girdle, spine.

Lengths in mm of the patient's frame (x right, y front, z up), densities in HU.
"""

from simcrop.phantom.anatomy.body import Anatomy
from simcrop.phantom.anatomy.layers import BONE, FAT, MUSCLE, Layer
from simcrop.phantom.anatomy.solids import ENDLESS, Solid, bent_oval, between, bowl_y, comb, oval, slope, tube

SKIN_MM = 1.8
RIB_PERIOD, VERTEBRA_PERIOD = 27.0, 26.0
MARROW = 170.0


def wall(anatomy: Anatomy) -> list[Layer]:
    """From the outside inwards; parts of one tissue overlap, and the next tissue covers where they do."""
    parts = [trunk(anatomy), neck(), *arms()]
    soft = [trunk_with_breasts(anatomy), *parts[1:]] if anatomy.breast_mm else parts
    layers = [Layer(table(anatomy).shell(7.0), -150.0), Layer(table(anatomy).shell(5.0), -850.0)]
    layers += [Layer(part, 10.0) for part in soft]
    layers += [Layer(part.grown(-SKIN_MM), FAT) for part in soft]
    if anatomy.breast_mm:
        layers += [
            Layer(part.uneven(2.0, 1 / 2.5), 20.0, grain_hu=30.0, strength=0.8)
            for part in breasts(anatomy, 0.5)
        ]
    for part in parts:
        layers.append(Layer(part.grown(-anatomy.fat_mm), MUSCLE + anatomy.organ_hu / 4.0, uneven_hu=14.0))
    between_muscles = trunk(anatomy).grown(-anatomy.fat_mm - 6.0), anatomy.cage.grown(9.5)
    layers += [Layer(sheet.shell(0.8), FAT, strength=0.55, thin_mm=0.8) for sheet in between_muscles]
    layers.append(Layer(anatomy.cage, FAT + 6.0))
    return layers + ribs(anatomy) + girdle(anatomy) + spine(anatomy)


def table(anatomy: Anatomy) -> Solid:
    """The half space under a curved board."""
    return bowl_y(-anatomy.body_half[1] - 14.0, 1 / 1200)


def trunk(anatomy: Anatomy) -> Solid:
    return oval((0.0, 0.0, 96.0), (*anatomy.body_half, 85.0), down=ENDLESS, boxy=0.4)


def neck() -> Solid:
    return oval((0.0, -8.0, 110.0), (66.0, 62.0, ENDLESS), down=60.0)


def arms() -> list[Solid]:
    """Beside the head, as in every scan of a chest."""
    return [
        tube((sign * 112.0, -18.0, 84.0), (sign * 178.0, 10.0, 260.0), 62.0, 48.0) for sign in (-1.0, 1.0)
    ]


def trunk_with_breasts(anatomy: Anatomy) -> Solid:
    right, left = breasts(anatomy, 1.0)
    return trunk(anatomy).blended(right, 30.0).blended(left, 30.0)


def breasts(anatomy: Anatomy, share: float) -> list[Solid]:
    """Both, or the gland that is a share of each."""
    mm, y = anatomy.breast_mm, anatomy.body_half[1] - 22.0 + (1 - share) * (0.6 * anatomy.breast_mm + 10.0)
    radii = share * 66.0, share * (20.0 + mm), share * 64.0
    return [oval((sign * 84.0, y, -8.0), radii, turn=-sign * 0.25) for sign in (1.0, -1.0)]


def ribs(anatomy: Anatomy) -> list[Layer]:
    """Hoops that sink to the front and end in cartilage before the breastbone."""
    plates = comb(anatomy.rib_phase, RIB_PERIOD, 0.35, 0.5)
    hoop, core = anatomy.cage.grown(4.5), anatomy.cage.grown(4.7)
    front = front_of_cage(anatomy)
    bony = slope((0.0, front - 32.0, 0.0), (0.0, 1.0, -0.25))
    room = between(anatomy.right.rim_z - 70.0, anatomy.right.apex_z + 14.0)
    return [
        Layer(hoop.hoops(plates, 3.4, 6.2) & room & bony.grown(-1.0).inverse, 75.0, grain_hu=15.0),
        Layer(hoop.hoops(plates, 3.4, 6.2) & room & bony, BONE + 130.0, uneven_hu=60.0),
        Layer(core.hoops(plates, 1.8, 4.4) & room & bony, MARROW - 40.0, grain_hu=40.0),
    ]


def front_of_cage(anatomy: Anatomy) -> float:
    return anatomy.right.centre[1] + anatomy.right.half[1]


def girdle(anatomy: Anatomy) -> list[Layer]:
    """Breastbone, collar bones, shoulder blades that lie on the ribs, and the bones of the arms."""
    front = front_of_cage(anatomy)
    plate = oval((0.0, front + 4.0, 0.0), (16.0, 5.8, ENDLESS)) & between(-62.0, 58.0)
    top = oval((0.0, front - 2.0, 68.0), (28.0, 6.5, 24.0), boxy=0.5)
    sternum = plate.blended(top, 8.0)
    blade = (
        anatomy.cage.grown(13.0).shell(1.8) & slope((0.0, -34.0, 0.0), (0.0, 1.0, 0.0)) & between(0.0, 112.0)
    )
    layers = [Layer(sternum, BONE - 40.0), Layer(sternum.grown(-1.8), MARROW - 60.0, grain_hu=35.0)]
    for sign in (-1.0, 1.0):
        part = blade & slope((sign * 62.0, 0.0, 0.0), (-sign, 0.0, -0.2 * sign * sign))
        layers.append(Layer(part & slope((0.0, 0.0, 8.0), (-0.4 * sign, 0.0, -1.0)), BONE + 60.0))
        for start, end, radius in (
            ((sign * 16.0, front - 10.0, 90.0), (sign * 70.0, front - 34.0, 104.0), 5.5),
            ((sign * 70.0, front - 34.0, 104.0), (sign * 122.0, -8.0, 128.0), 5.5),
            ((sign * 84.0, -72.0, 76.0), (sign * 124.0, -34.0, 112.0), 6.5),
            ((sign * 132.0, -12.0, 120.0), (sign * 180.0, 8.0, 260.0), 13.0),
        ):
            layers.append(Layer(tube(start, end, radius), BONE + 120.0))
            layers.append(Layer(tube(start, end, 0.6 * radius), MARROW - 60.0, grain_hu=30.0))
        layers.append(
            Layer(
                tube((sign * 134.0, -12.0, 116.0), (sign * 136.0, -10.0, 122.0), 22.0),
                BONE - 160.0,
                grain_hu=30.0,
            )
        )
    return layers


def spine(anatomy: Anatomy) -> list[Layer]:
    """Vertebrae with discs between them, the canal, the arch and its processes."""
    y, bend, phase = anatomy.spine_y, anatomy.spine_bend, anatomy.rib_phase

    def column(back: float, half_x: float, half_y: float) -> Solid:
        return bent_oval((0.0, y - back, 0.0), (half_x, half_y, ENDLESS), ENDLESS, 0.15, 0.0, bend)

    body = column(0.0, 19.0, 15.5)
    gap, plate = (comb(phase, VERTEBRA_PERIOD, 0.0, 0.08, half) for half in (3.0, 4.4))
    level = phase + VERTEBRA_PERIOD / 2.0
    sinking = comb(level - 0.7 * (y - 22.0), VERTEBRA_PERIOD, 0.0, -0.7, 7.5)
    across = comb(level, VERTEBRA_PERIOD, 0.0, 0.0, 6.0)
    lamina = comb(level - 5.0, VERTEBRA_PERIOD, 0.0, -0.3, 9.0)
    arch = column(22.0, 16.0, 13.0) & lamina
    spur, wings = column(41.0, 3.6, 16.0) & sinking, column(25.0, 36.0, 5.0) & across
    return [
        Layer(column(8.0, 27.0, 29.0), MUSCLE, grain_hu=8.0),
        Layer(body, BONE + 40.0),
        Layer(body.grown(-1.6), MARROW, uneven_hu=25.0, grain_hu=40.0),
        Layer(body.grown(-0.8) & plate, BONE - 60.0, grain_hu=25.0),
        Layer(body.grown(0.8) & gap, 85.0, uneven_hu=10.0),
        Layer(wings, BONE - 40.0),
        Layer(wings.grown(-1.8), MARROW, grain_hu=30.0),
        Layer(arch, BONE + 60.0),
        Layer(spur, BONE - 20.0),
        Layer(column(22.0, 10.5, 9.0), -20.0),
        Layer(column(22.0, 9.5, 8.0), 12.0),
        Layer(column(22.0, 5.5, 4.5), 38.0),
    ]

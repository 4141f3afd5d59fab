"""Paints one patient, with or without findings, as Hounsfield units on a grid.

Arrays are `(z, y, x)`, float32 while painting. Later paint covers earlier paint, so the order is from the skin
inwards; findings come last.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.data.phantom.anatomy import FAT_AROUND_HEART_MM, Anatomy, Lung
from simcrop.data.phantom.findings import Finding
from simcrop.data.phantom.grid import Frame, Grid, Points, Pose
from simcrop.data.phantom.shapes import Tube, coverage, disc, ellipsoid, paint, rounded_box, within_z

AIR, FAT, MUSCLE, BONE = -1000.0, -100.0, 45.0, 420.0


@dataclass(frozen=True, eq=False)
class Picture:
    """`hu` int16 without noise and `mask` uint8 (0 nothing, else a finding's mask value), both `(z, y, x)`."""

    hu: np.ndarray
    mask: np.ndarray


def render(anatomy: Anatomy, findings: tuple[Finding, ...], pose: Pose, grid: Grid) -> Picture:
    """The patient on a grid, slab by slab, so that a full-size scan needs little memory."""
    hu = np.empty(grid.shape[::-1], np.float32)
    mask = np.zeros(grid.shape[::-1], np.uint8)
    for slab in grid.slabs():
        frame = Frame(grid, pose, slab)
        paint_anatomy(hu[slab], anatomy, frame)
        for finding in findings:
            finding.paint(hu[slab], mask[slab], anatomy, frame)
    for finding in findings:
        if not (mask == finding.mask_value).any():  # smaller than a voxel, and between voxel centres
            mask[nearest_voxel(grid, pose.to_scanner(np.array([finding.parts[0].centre]))[0])] = (
                finding.mask_value
            )
    return Picture(hu, mask)


def nearest_voxel(grid: Grid, mm: np.ndarray) -> tuple[int, int, int]:
    """Index `(z, y, x)` of the voxel closest to a point of the scanner."""
    ijk = np.linalg.inv(grid.affine)[:3] @ np.append(mm, 1)
    i, j, k = np.rint(ijk).astype(int).clip(0, np.array(grid.shape) - 1).tolist()
    return k, j, i


def paint_anatomy(hu: np.ndarray, anatomy: Anatomy, frame: Frame) -> None:
    points, edge = frame.points, frame.edge_mm
    texture = anatomy.texture(points)
    hu[:] = AIR
    paint(hu, -250.0, coverage(table(points, anatomy), edge))
    paint_wall(hu, anatomy, frame, texture)
    paint_abdomen(hu, anatomy, frame)
    for lung in (anatomy.right, anatomy.left):
        cover = coverage(anatomy.lung(points, lung.side), edge)
        dependent = 0.35 * (lung.centre[1] - points.y)  # blood sinks to the back of a patient who lies on it
        paint(hu, anatomy.lung_hu + dependent + 22 * texture, cover)
    for tube in anatomy.branches:
        tube.paint(hu, frame, anatomy.blood_hu)
    paint_mediastinum(hu, anatomy, frame)


def table(points: Points, anatomy: Anatomy) -> np.ndarray:
    """A thin curved board under the back."""
    top = -anatomy.body_half[1] - 6 + (points.x / 60) ** 2
    board = np.maximum(points.y - top, top - 12 - points.y)
    return np.maximum(board, np.abs(points.x) - 190)


def paint_wall(hu: np.ndarray, anatomy: Anatomy, frame: Frame, texture: np.ndarray) -> None:
    """Skin, fat, muscle, ribs, spine, breastbone, shoulder blades, collar bones."""
    points, edge = frame.points, frame.edge_mm
    half_x, half_y = anatomy.body_half
    body = (rounded_box(points, 0.0, half_x, half_y) - 1) * half_y
    paint(hu, FAT, coverage(body, edge))
    paint(hu, MUSCLE + 8 * texture, coverage(body + anatomy.fat_mm, edge))
    paint_ribs(hu, anatomy, frame)
    paint_spine(hu, anatomy, frame)
    front = anatomy.right.centre[1] + anatomy.right.half[1]
    sternum = within_z(disc(points, (0.0, front + 8), (17.0, 6.0)), points, -65.0, 88.0)
    paint(hu, BONE - 180, coverage(sternum, edge))
    for sign in (-1.0, 1.0):
        back = -anatomy.body_half[1] + anatomy.fat_mm
        blade = Tube((sign * 84, back + 10, 40.0), (sign * 118, back + 34, 60.0), 4.0)
        flat = Tube((*blade.start[:2], 0.0), (*blade.end[:2], 0.0), 4.0).distance(flatten(points))
        paint(hu, BONE, coverage(within_z(flat, points, 5.0, 110.0), edge))
        Tube((sign * 18, front - 4, 96.0), (sign * 120, 10.0, 128.0), 5.5).paint(hu, frame, BONE + 100)


def flatten(points: Points) -> Points:
    """The same points in the plane z = 0, for bodies that are equal in every slice."""
    return Points(points.x, points.y, np.zeros_like(points.z[:1]))


def cage(points: Points, anatomy: Anatomy) -> np.ndarray:
    """Distance to the inner face of the ribs, narrowing towards the neck."""
    lung = anatomy.right
    out = rounded_box(points, lung.centre[1], lung.centre[0] + lung.half[0] + 3, lung.half[1] + 3)
    return (out - lung.narrowing(points.z - 14) ** 0.7) * lung.half[1]


def paint_ribs(hu: np.ndarray, anatomy: Anatomy, frame: Frame) -> None:
    """Oblique hoops on the outside of the cage; fat of the inside under them."""
    points, edge = frame.points, frame.edge_mm
    inner = cage(points, anatomy)
    paint(hu, FAT + 6, coverage(inner + 1, edge))
    hoop = np.sin((points.z + 0.5 * points.y) * np.float32(2 * np.pi / 27) + np.float32(anatomy.rib_phase))
    shell = np.abs(inner - 5) - 4
    paint(hu, BONE, coverage(np.maximum(shell, (0.45 - hoop) * 5), edge))


def paint_spine(hu: np.ndarray, anatomy: Anatomy, frame: Frame) -> None:
    """Vertebral bodies with discs between them, the canal, the arch and its processes."""
    points, edge, y = frame.points, frame.edge_mm, anatomy.spine_y
    paint(hu, MUSCLE, coverage(disc(points, (0.0, y - 10), (27.0, 29.0)), edge))
    body = disc(points, (0.0, y), (20.0, 16.0))
    height = np.cos(points.z * np.float32(2 * np.pi / 26))
    marrow = np.where(height > -0.75, np.float32(190), np.float32(75))
    paint(hu, BONE, coverage(body, edge))
    paint(hu, marrow, coverage(body + 2.5, edge))
    flat = flatten(points)
    for start, end, radius in (
        ((0, -28), (0, -40), 4.5),
        ((-16, -24), (-36, -30), 4.5),
        ((16, -24), (36, -30), 4.5),
    ):
        spur = Tube((float(start[0]), y + start[1], 0.0), (float(end[0]), y + end[1], 0.0), radius)
        paint(hu, BONE - 120, coverage(spur.distance(flat), edge))
    paint(hu, BONE, coverage(disc(points, (0.0, y - 22), (15.0, 12.0)), edge))
    paint(hu, 30.0, coverage(disc(points, (0.0, y - 22), (10.0, 8.0)), edge))


def paint_abdomen(hu: np.ndarray, anatomy: Anatomy, frame: Frame) -> None:
    """Liver under the right dome; spleen and stomach with its bubble under the left one."""
    points, edge, right, left = frame.points, frame.edge_mm, anatomy.right, anatomy.left
    inner = cage(points, anatomy)
    liver = np.maximum(inner + 4, below_dome(right, points))
    paint(hu, 58.0, coverage(np.maximum(liver, -35 - points.x), edge))
    for centre, radii, value in (
        ((-92.0, -34.0, left.rim_z - 2), (30.0, 36.0, 42.0), 50.0),
        ((-58.0, 22.0, left.rim_z + 2), (42.0, 40.0, 40.0), 30.0),
        ((-58.0, 40.0, left.rim_z + 8), (26.0, 16.0, 22.0), AIR + 40),
    ):
        organ = np.maximum(ellipsoid(points, centre, radii), below_dome(left, points))
        paint(hu, value, coverage(np.maximum(organ, inner + 4), edge))


def below_dome(lung: Lung, points: Points) -> np.ndarray:
    return points.z - lung.diaphragm_z(points) + 3


def paint_mediastinum(hu: np.ndarray, anatomy: Anatomy, frame: Frame) -> None:
    """Heart in its fat, great vessels, gullet and airways."""
    points, edge = frame.points, frame.edge_mm
    heart = anatomy.heart.distance(points)
    paint(hu, FAT + 15, coverage(heart - FAT_AROUND_HEART_MM, edge))
    paint(hu, (anatomy.blood_hu + MUSCLE) / 2, coverage(heart, edge))
    paint(hu, anatomy.blood_hu, coverage(heart + 14, edge))
    for tube in (*anatomy.vessels, *anatomy.aorta):
        tube.paint(hu, frame, anatomy.blood_hu)
    gullet_y = anatomy.spine_y + 23
    Tube((-4.0, gullet_y, 190.0), (-8.0, gullet_y, -190.0), 7.0).paint(hu, frame, 35.0)
    for tube in anatomy.airways:
        Tube(tube.start, tube.end, tube.radius + 2).paint(hu, frame, 20.0)
    for tube in anatomy.airways:
        tube.paint(hu, frame, AIR)

# SPDX-License-Identifier: Apache-2.0
"""The chest of the phantom: shapes in mm and tissues in HU, without lesions and noise.

Place: right (x), front (y), head (z) are positive; the origin is between the lungs, the carina at
z = 58. Sizes follow an adult on full breath: lungs 250 mm wide and about 220 mm high.
"""

from dataclasses import dataclass

import numpy as np

from ...spatial import Affine
from .drawing import Canvas, Field, smooth_intersection, smooth_union

# Usual HU without contrast. LUNG is parenchyma alone: with vessels and edges the lungs come to
# about -800, between the -725 and -860 measured in public COVID-19 CTs.
AIR, LUNG, FAT, SKIN, MUSCLE, BLOOD, LIVER = -1000.0, -860.0, -100.0, 30.0, 50.0, 40.0, 58.0
CARTILAGE, DISC, MARROW, CORTEX = 110.0, 90.0, 220.0, 650.0
TABLE_SHELL, TABLE_FOAM = -150.0, -930.0
CHEST_WALL_MM = 13.0  # ribs and the muscle between and outside them
RIB_PERIOD_MM, RIB_DROP_MM = 25.0, 78.0  # from rib to rib; fall of a rib from back to front
VERTEBRA_MM = 24.0  # height of a thoracic vertebra with its disc
HILUM = {"right": (36.0, -10.0, 22.0), "left": (-34.0, -12.0, 28.0)}
CARINA = (2.0, -14.0, 58.0)


@dataclass(frozen=True)
class Person:
    """What differs from person to person.

    Args:
        scale: of the chest along x, y, z; a factor.
        turn_deg: degrees about the long axis; nobody lies quite straight.
        fat_mm: under the skin.
        lung_hu: of healthy parenchyma, vessels apart.
        dome_mm: height of the right and the left diaphragm against the usual.
        heart: size of the heart against the usual; a factor.
        noise_hu: standard deviation of the noise.
    """

    scale: tuple[float, float, float]
    turn_deg: float
    fat_mm: float
    lung_hu: float
    dome_mm: tuple[float, float]
    heart: float
    noise_hu: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Person":
        """Somebody."""
        return cls(
            scale=(rng.uniform(0.94, 1.06), rng.uniform(0.94, 1.06), rng.uniform(0.94, 1.05)),
            turn_deg=rng.uniform(-3, 3),
            fat_mm=rng.uniform(6, 18),
            lung_hu=LUNG + rng.uniform(-15, 25),
            dome_mm=(rng.uniform(-8, 12), rng.uniform(-8, 8)),
            heart=rng.uniform(0.92, 1.08),
            noise_hu=rng.uniform(20, 30),
        )

    def from_world(self) -> Affine:
        """(4, 4) RAS mm to the mm of the chest that all shapes are given in."""
        angle = np.deg2rad(self.turn_deg)
        turn = np.eye(4)
        turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        return turn @ np.diag([*(1 / s for s in self.scale), 1.0])


def spine_y(z: Field) -> Field:
    """Front-back place in mm of the vertebral bodies at height `z`, (X, Y, Z) too."""
    return np.float32(-66) + np.float32(12) * (z / np.float32(140)) ** 2


def chest_wall(canvas: Canvas) -> Field:
    """Signed distance (X, Y, Z) in mm to the inner chest wall, negative inside the rib cage."""
    rise = np.clip((canvas.z + 10) / 135, 0, 1.2)
    half_x = 126 - 46 * rise**1.6
    half_y = 93 - 34 * rise**1.5
    x = canvas.x / half_x
    y = (canvas.y + 16 * rise) / half_y
    level = (np.abs(x) ** 2.2 + np.abs(y) ** 2.2) ** np.float32(1 / 2.2)
    radius = np.sqrt((x * half_x) ** 2 + (y * half_y) ** 2)
    return radius * (1 - 1 / np.maximum(level, np.float32(0.05)))


def diaphragm(canvas: Canvas, person: Person) -> Field:
    """Signed distance (X, Y, Z) in mm to the two domes, negative above them."""
    right = canvas.x > 0
    top = np.where(right, np.float32(-62 + person.dome_mm[0]), np.float32(-74 + person.dome_mm[1]))
    away = ((np.abs(canvas.x) - 64) / 72) ** 2 + ((canvas.y - 10) / 94) ** 2
    return (top - 85 * (1 - np.exp(-1.1 * away**1.4)) - canvas.z) * np.float32(0.75)


def mediastinum(canvas: Canvas, person: Person) -> Field:
    """Signed distance (X, Y, Z) in mm to heart, great vessels, spine and hila together."""
    upper = np.clip((canvas.z - 55) / 70, 0, 1)
    front = np.clip((canvas.y - 25) / 40, 0, 1)
    heart_fat = 12 * np.exp(-(((canvas.y - 48) / 24) ** 2)) * np.clip((40 - canvas.z) / 60, 0, 1)
    plate = np.abs(canvas.x + 3 * front) - (14 + 14 * upper - 9 * front * (1 - upper) + heart_fat)
    spine = np.hypot(canvas.x, canvas.y - spine_y(canvas.z)) - np.float32(22)
    back = np.hypot(canvas.x / 44, (canvas.y - spine_y(canvas.z) + 44) / 21) - 1
    shape = smooth_union(smooth_union(plate, spine, 8), back * np.float32(24), 8)
    parts = [canvas.ellipsoid(*part, margin_mm=24) for part in heart_parts(person)]
    parts += [canvas.tube(*part, margin_mm=24) for part in AORTA]
    for side, hilum in HILUM.items():
        inwards = 8 if side == "left" else -8
        parts.append(canvas.ellipsoid((hilum[0] + inwards, *hilum[1:]), (17, 14, 24), margin_mm=24))
    for distance, box in parts:
        shape[box] = smooth_union(shape[box], distance, 18)
    return shape


def heart_parts(person: Person) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Centre and radii in mm of left heart, right heart and the vessels on top, as ellipsoids."""
    s = person.heart
    return [
        ((-30, 14, -48), (50 * s, 42 * s, 46 * s)),
        ((8, 26, -38), (40 * s, 38 * s, 50 * s)),
        ((-8, 18, 12), (28 * s, 30 * s, 30 * s)),
    ]


AORTA = [
    ((8.0, 14.0, 0.0), (14.0, 14.0, 48.0), (16.0, 15.0)),
    ((14.0, 14.0, 48.0), (2.0, -4.0, 68.0), (15.0, 14.0)),
    ((2.0, -4.0, 68.0), (-19.0, -34.0, 62.0), (14.0, 13.0)),
    ((-19.0, -34.0, 62.0), (-24.0, -46.0, 35.0), (13.0, 12.5)),
    ((-24.0, -46.0, 35.0), (-18.0, -42.0, -160.0), (12.5, 11.0)),
]
GREAT_VESSELS = [
    ((26.0, 6.0, 0.0), (24.0, 6.0, 78.0), (9.0, 8.0)),  # superior vena cava
    ((24.0, 6.0, 78.0), (-30.0, 14.0, 100.0), (7.0, 6.0)),  # left brachiocephalic vein
    ((24.0, 6.0, 78.0), (34.0, 2.0, 130.0), (7.0, 6.0)),
    ((8.0, 0.0, 70.0), (20.0, -6.0, 130.0), (6.0, 5.0)),  # arteries of the arch
    ((-6.0, -10.0, 70.0), (-14.0, -6.0, 130.0), (4.5, 4.0)),
    ((-16.0, -22.0, 68.0), (-30.0, -16.0, 130.0), (5.0, 4.5)),
    ((-12.0, 24.0, 10.0), (-18.0, 4.0, 34.0), (14.0, 12.0)),  # pulmonary trunk
    ((-18.0, 4.0, 34.0), (-34.0, -12.0, 30.0), (11.0, 9.0)),
    ((-14.0, 2.0, 32.0), (36.0, -8.0, 24.0), (11.0, 9.0)),
    ((4.0, -28.0, 140.0), (-4.0, -30.0, -90.0), (7.0, 7.0)),  # oesophagus
]


def lung_field(canvas: Canvas, person: Person) -> Field:
    """Signed distance (X, Y, Z) in mm to both lungs: the cage less what is in and under it."""
    top = 128 - 22 * ((np.abs(canvas.x) - 44) / 34) ** 2 - 13 * ((canvas.y + 10) / 42) ** 2
    lung = smooth_intersection(chest_wall(canvas), (canvas.z - top) * np.float32(0.7), 10)
    lung = smooth_intersection(lung, -mediastinum(canvas, person), 6)
    return smooth_intersection(lung, diaphragm(canvas, person), 4)


def paint_chest(canvas: Canvas, person: Person) -> Field:
    """Paint the healthy chest, all but vessels, airways and texture inside the lungs.

    Returns:
        Signed distance (X, Y, Z) to the lungs in mm, negative inside.
    """
    wall = chest_wall(canvas)
    middle, dome = mediastinum(canvas, person), diaphragm(canvas, person)
    lung = lung_field(canvas, person)
    _paint_table(canvas)
    body = _paint_trunk(canvas, person, wall)
    _paint_belly(canvas, wall, dome)
    canvas.paint(np.maximum(middle, wall), FAT + 10)
    for part in heart_parts(person):
        distance, box = canvas.ellipsoid(*part)
        canvas.paint(distance + 3, BLOOD, box)
    for tube in (*AORTA, *GREAT_VESSELS):
        distance, box = canvas.tube(*tube)
        canvas.paint(distance, BLOOD, box)
    _paint_spine(canvas)
    _paint_ribs(canvas, wall)
    _paint_shoulders(canvas, body)
    canvas.paint(lung, person.lung_hu)  # last: what the truth calls lung is lung
    return lung


def _paint_table(canvas: Canvas) -> None:
    sag = (canvas.x / 30) ** 2
    foam = np.abs(canvas.y + 141 - 1.15 * sag) - 14
    edge = np.abs(canvas.x) - 205
    canvas.paint(np.maximum(foam, edge), TABLE_FOAM)
    canvas.paint(np.maximum(np.abs(foam) - 1.2, edge), TABLE_SHELL)


def _paint_trunk(canvas: Canvas, person: Person, wall: Field) -> Field:
    fat = np.float32(person.fat_mm)
    half_x, half_y = 148 + fat, 110 + fat
    y = np.where(
        canvas.y < 0, canvas.y * half_y / (118 + fat / 3), canvas.y
    )  # the back is pressed flat
    level = (np.abs(canvas.x / half_x) ** 2.4 + np.abs(y / half_y) ** 2.4) ** np.float32(1 / 2.4)
    body = np.hypot(canvas.x, y) * (1 - 1 / np.maximum(level, np.float32(0.05)))
    canvas.paint(body, SKIN)
    canvas.paint(body + 2, FAT)
    shoulder = np.clip((canvas.z - 10) / 70, 0, 1)
    flank = np.abs(canvas.x) / 126 * (0.4 + shoulder)
    thick = CHEST_WALL_MM + 12 * flank + 6 * np.cos(canvas.x / 24) * (canvas.y < -60)
    canvas.paint(np.maximum(wall - thick, body + 4), MUSCLE)
    pectoral = np.abs(canvas.y - 98 + (canvas.x / 30) ** 2 + 10 * shoulder) - 7 * shoulder
    canvas.paint(np.maximum(np.maximum(pectoral, body + 5), 12 - np.abs(canvas.x)), MUSCLE)
    return body


def _paint_belly(canvas: Canvas, wall: Field, dome: Field) -> None:
    below = np.maximum(wall, 2 - dome)
    canvas.paint(np.maximum(wall + 2, -dome), MUSCLE)  # the diaphragm itself
    canvas.paint(below + 2, FAT)
    canvas.paint(np.maximum(below + 3, -45 - canvas.x), LIVER)
    spleen, box = canvas.ellipsoid((-82, -38, -112), (34, 40, 40))
    canvas.paint(np.maximum(spleen, below[box] + 3), LIVER - 8, box)
    stomach, box = canvas.ellipsoid((-62, 28, -112), (44, 38, 34))
    canvas.paint(np.maximum(stomach, below[box] + 3), 35, box)
    bubble = np.maximum(np.maximum(stomach + 4, below[box] + 7), 40 - canvas.y[box])
    canvas.paint(bubble, AIR, box)


def _paint_spine(canvas: Canvas) -> None:
    box = canvas.box((-55, -130, -400), (55, -35, 400))
    x, z = canvas.x[box], canvas.z[box]
    y = canvas.y[box] - spine_y(z)
    level = (z / VERTEBRA_MM - np.round(z / VERTEBRA_MM)) * VERTEBRA_MM  # 0 mid of a vertebra
    body = (np.hypot(x / 17, y / 14.5) - 1) * 15
    canvas.paint(body - 12, MUSCLE - 5, box)
    muscle = np.hypot((np.abs(x) - 24) / 20, (y + 34) / 15) - 1
    canvas.paint(muscle * 15, MUSCLE, box)
    canvas.paint(body, DISC, box)
    bone = np.maximum(body, np.abs(level) - 9.5)
    canvas.paint(bone, 380, box)
    canvas.paint(bone + 2, MARROW, box)
    arch = np.abs(np.hypot(x / 1.15, y + 22) - 11.5) - 3
    arch = np.maximum(arch, np.abs(level) - 8)
    spine = np.maximum(np.abs(x) - 2.8, np.abs(y + 42 + 0.4 * level) - 12)
    spine = np.maximum(spine, np.abs(level) - 6)
    wings = np.hypot(y + 24 + (np.abs(x) / 12) ** 1.5, level) - 5.5
    wings = np.maximum(np.maximum(wings, np.abs(x) - 34), 12 - np.abs(x))
    for part in (arch, spine, wings):
        canvas.paint(part, CORTEX - 150, box)
        canvas.paint(part + 1.8, MARROW + 60, box)


def _paint_ribs(canvas: Canvas, wall: Field) -> None:
    box = canvas.box((-170, -130, -150), (170, 130, 122))
    x, y, z, out = canvas.x[box], canvas.y[box], canvas.z[box], wall[box]
    around = np.arctan2(np.abs(x), -(y + 8))  # 0 at the spine, pi at the sternum
    drop = RIB_DROP_MM * (1 - np.cos(np.minimum(around, 2.6))) / 2
    drop = drop - 40 * np.maximum(around - 2.3, 0)  # cartilage rises again to the sternum
    phase = (z + drop) / RIB_PERIOD_MM
    level = (phase - np.round(phase)) * RIB_PERIOD_MM
    distance = (np.hypot((out - 5.5) / 3.6, level / 6.6) - 1) * np.float32(4)
    distance = np.maximum(distance, 20 - np.abs(x))
    bony = np.where(around < 2.45, np.float32(0), np.float32(1))
    canvas.paint(distance, CORTEX + bony * (CARTILAGE - CORTEX), box)
    canvas.paint(distance + 1.6, MARROW + bony * (CARTILAGE - 30 - MARROW), box)
    plate = np.maximum(np.abs(out - 6) - 5.5, np.abs(x) - 17)  # the sternum
    plate = np.maximum(np.maximum(plate, -y), np.maximum(z - 92, -62 - z))
    canvas.paint(plate, 420, box)
    canvas.paint(plate + 2, 140, box)


def _paint_shoulders(canvas: Canvas, body: Field) -> None:
    for side in (-1, 1):
        clavicle = ((18.0 * side, 52.0, 108.0), (150.0 * side, 20.0, 138.0), (6.0, 6.0))
        distance, box = canvas.tube(*clavicle)
        canvas.paint(np.maximum(distance, body[box] + 6), CORTEX, box)
        canvas.paint(np.maximum(distance, body[box] + 6) + 2, MARROW, box)
        box = canvas.box(
            (min(60 * side, 150 * side), -125, 5), (max(60 * side, 150 * side), -20, 125)
        )
        x, y, z = np.abs(canvas.x[box]), canvas.y[box], canvas.z[box]
        bend = np.abs(y + 96 - 0.62 * (x - 70) - 0.0035 * (x - 70) ** 2) * np.float32(0.8) - 2.4
        outline = np.hypot((x - 104) / 36, (z - 75) / 62) - 1
        blade = np.maximum(bend, outline * 36)
        canvas.paint(np.maximum(blade - 9, body[box] + 4), MUSCLE, box)
        canvas.paint(np.maximum(blade, body[box] + 8), CORTEX - 200, box)

# SPDX-License-Identifier: Apache-2.0
"""Chest CT phantoms with known lesions: made data for demo, tests and first training."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ... import spatial
from ...spatial import AXIS_CODES, Affine
from ..lung_lesions import CONSOLIDATION, GROUND_GLASS, LUNG
from .anatomy import (
    AIR,
    BLOOD,
    CARINA,
    HILUM,
    MUSCLE,
    Person,
    chest_wall,
    diaphragm,
    lung_field,
    paint_chest,
)
from .drawing import Canvas, Field, Points, Segment, grow_tree, lattice_noise

FIELD_OF_VIEW_MM = (360.0, 312.0, 312.0)  # right-left, front-back, foot-head
CENTRE_MM = (0.0, -16.0, -8.0)  # of the field of view; half of the table is in it
SKETCH_MM = 6.0  # voxel size at which lesions and twigs are placed, whatever the final grid
LESIONS_DRAWN = (3, 9)  # fewest and most lesions when their number is not asked for
LESION_DEPTH_MM = 18.0  # COVID-19 lesions lie mostly under the pleura
# Lesions at full density; with soft edges and vessels the means come to about -580 and -200, among
# those measured in public COVID-19 CTs: ground-glass -480 to -670, consolidation -130 to -430.
GROUND_GLASS_HU, CONSOLIDATION_HU = -575.0, -140.0
VOLUME_ML = (4.0, 140.0)  # of one lesion before the pleura cuts it, drawn on a logarithmic scale
SPREAD_HU = (45.0, 70.0)  # from lesion to lesion, ground-glass and consolidation
GRAIN_HU = 170.0  # within a lesion, from lobule to lobule
FADE = 0.3  # of the radius over which a lesion fades into healthy lung
RAGGED = 0.55  # of the radius by which noise pushes the border in and out
CORE_SHARE = 0.45  # of the lesions hold a consolidated core
CORE_RADIUS = (0.35, 0.8)  # of the lesion's radius
ARTERY_TWIGS, VEIN_TWIGS, AIRWAY_TWIGS = 360, 280, 24  # of one lung
TWIG_MM, AIRWAY_TWIG_MM = 0.65, 0.8  # radius of the last twigs
GRAVITY_HU_PER_MM = 0.35  # a lung is denser where it lies: 60 HU from front to back
BLUR_VOXELS = 0.45  # of the scanner and the reconstruction
NOISE_BLUR_VOXELS = 0.6  # CT noise is correlated from voxel to voxel
HU_RANGE = (-1024, 3071)  # of a 12-bit CT


@dataclass(frozen=True)
class Phantom:
    """A made CT and the truth about it.

    Args:
        ct: (X, Y, Z) int16 in HU.
        labels: (X, Y, Z) uint8: 0 background, 1 ground-glass opacity, 2 consolidation, 3 the rest
            of the lung.
        affine: (4, 4) voxel index to RAS mm.
    """

    ct: npt.NDArray[np.int16]
    labels: npt.NDArray[np.uint8]
    affine: Affine


def chest_ct_phantom(
    *,
    spacing_mm: tuple[float, float, float] = (1.6, 1.6, 4.0),
    shape: tuple[int, int, int] | None = None,
    orientation: str = "LPS",
    seed: int = 0,
    lesions: int | None = None,
) -> Phantom:
    """Make a chest CT on a straight grid around the chest.

    Args:
        spacing_mm: voxel size along right-left, front-back and foot-head, in this order whatever
            the orientation.
        shape: voxels along the same three; None takes the whole chest, 360 x 312 x 312 mm.
        orientation: direction of each array axis, such as "LPS" or "SAR".
        seed: the person and the lesions; the same seed is the same person on any grid.
        lesions: how many; None draws a number from 3 to 9, 0 is a healthy chest.

    Raises:
        ValueError: a spacing or size is not positive, or the orientation not a code of three axes.
    """
    if min(spacing_mm) <= 0 or (shape is not None and min(shape) < 1):
        raise ValueError(
            f"spacing_mm {spacing_mm} and shape {shape} must be positive; give mm and voxels"
        )
    size = shape or tuple(
        round(mm / step) for mm, step in zip(FIELD_OF_VIEW_MM, spacing_mm, strict=True)
    )
    grid_shape, affine = _grid(size, spacing_mm, orientation)
    return chest_ct_on_grid(grid_shape, affine, seed=seed, lesions=lesions)


def chest_ct_on_grid(
    shape: tuple[int, int, int], affine: Affine, *, seed: int = 0, lesions: int | None = None
) -> Phantom:
    """Make a chest CT on any grid, an oblique or left-handed one too; the chest is about (0, 0, 0).

    Args:
        shape: voxels along each array axis.
        affine: (4, 4) voxel index to RAS mm.
        seed: the person and the lesions.
        lesions: how many; None draws a number from 3 to 9, 0 is a healthy chest.

    Raises:
        ValueError: `lesions` is negative.
    """
    if lesions is not None and lesions < 0:
        raise ValueError(f"lesions is {lesions}; give 0 or more")
    for_person, for_lesions, for_trees, for_noise = np.random.default_rng(seed).spawn(4)
    person = Person.drawn(for_person)
    edge_mm = float(np.median(spatial.spacing_mm(affine)))
    canvas = Canvas.blank(shape, person.from_world() @ affine, edge_mm, AIR)
    sketch = _sketch()
    lung = paint_chest(canvas, person)
    _paint_parenchyma(canvas, lung, for_person)
    labels = np.where(lung < 0, LUNG, 0).astype(np.uint8)
    count = int(for_lesions.integers(*LESIONS_DRAWN, endpoint=True)) if lesions is None else lesions
    if count:
        centres = _lesion_centres(sketch, person, count, for_lesions)
        marked = paint_lesions(canvas, lung, centres, for_lesions)
        labels[marked > 0] = marked[marked > 0]
    _paint_trees(canvas, sketch, person, for_trees)
    ct = ndimage.gaussian_filter(canvas.ct, BLUR_VOXELS)
    noise = for_noise.standard_normal(shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, NOISE_BLUR_VOXELS)
    ct += noise * (np.where(ct < AIR + 40, np.float32(0.5), 1) * person.noise_hu / noise.std())
    return Phantom(np.clip(np.rint(ct), *HU_RANGE).astype(np.int16), labels, affine)


def _grid(
    size: tuple[int, ...], step_mm: tuple[float, float, float], orientation: str
) -> tuple[tuple[int, int, int], Affine]:
    """Shape and affine of a grid around the chest, from sizes along the body axes."""
    code = orientation.upper()
    body = [next((i for i, pair in enumerate(AXIS_CODES) if c in pair), -1) for c in code]
    if sorted(body) != [0, 1, 2]:
        raise ValueError(
            f"orientation {orientation!r} is not a code; give one letter each of L/R, P/A and I/S"
        )
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (letter, row) in enumerate(zip(code, body, strict=True)):
        affine[row, axis] = step_mm[row] if letter == AXIS_CODES[row][1] else -step_mm[row]
    shape = (size[body[0]], size[body[1]], size[body[2]])
    affine[:3, 3] = CENTRE_MM - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return shape, affine


def _sketch() -> Canvas:
    """A coarse canvas over the chest, the same for every final grid."""
    size = tuple(round(mm / SKETCH_MM) for mm in FIELD_OF_VIEW_MM)
    shape, affine = _grid(size, (SKETCH_MM,) * 3, "RAS")
    return Canvas.blank(shape, affine, SKETCH_MM, AIR)


def _points(sketch: Canvas, weight: Field, count: int, rng: np.random.Generator) -> Points:
    """Draw places (count, 3) in mm by weight, anywhere inside the voxels of the sketch."""
    share = weight.ravel().astype(np.float64)
    picked = rng.choice(share.size, count, p=share / share.sum())
    centres = np.stack([axis.ravel()[picked] for axis in sketch.xyz], axis=-1)
    return centres + rng.uniform(-0.5, 0.5, centres.shape) * SKETCH_MM


def _lesion_centres(sketch: Canvas, person: Person, count: int, rng: np.random.Generator) -> Points:
    """Under the pleura of chest wall and diaphragm, more often low and at the back."""
    shell = np.maximum(chest_wall(sketch), diaphragm(sketch, person))
    weight = (lung_field(sketch, person) < -3) * np.where(shell > -LESION_DEPTH_MM, 1.0, 0.06)
    weight *= np.where(sketch.y < -10, 2.0, 1.0) * np.where(sketch.z < 10, 1.6, 1.0)
    return _points(sketch, weight.astype(np.float32), count, rng)


def paint_lesions(
    canvas: Canvas, lung: Field, centres: Points, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Paint lesions into the lungs and return where they are.

    Args:
        canvas: the chest, lungs painted, vessels not yet.
        lung: (X, Y, Z), signed distance to the lungs in mm, negative inside.
        centres: (N, 3) in mm; the lesions may touch or overlap.
        rng: draws size, shape and density.

    Returns:
        (X, Y, Z) 0 none, 1 ground-glass opacity, 2 consolidation: where a lesion is at least half
        as dense as in its middle.
    """
    labels = np.zeros(canvas.ct.shape, dtype=np.uint8)
    for centre in centres:
        volume_ml = np.exp(rng.uniform(*np.log(VOLUME_ML)))
        radius = float((3000 * volume_ml / (4 * np.pi)) ** (1 / 3))
        radii = radius * rng.uniform(0.8, 1.25, 3)
        glass = GROUND_GLASS_HU + rng.normal(0, SPREAD_HU[0])
        solid = CONSOLIDATION_HU + rng.normal(0, SPREAD_HU[1])
        core = rng.uniform(*CORE_RADIUS) if rng.uniform() < CORE_SHARE else 0.0
        off = centre + rng.uniform(-0.3, 0.3, 3) * radius
        _patch(canvas, lung, labels, (centre, radii, glass, GROUND_GLASS), rng)
        if core:
            _patch(canvas, lung, labels, (off, radii * core, solid, CONSOLIDATION), rng)
    return labels


def _patch(
    canvas: Canvas,
    lung: Field,
    labels: npt.NDArray[np.uint8],
    patch: tuple[Points, Points, float, int],
    rng: np.random.Generator,
) -> None:
    """One ragged ellipsoid: centre, radii, HU, label value; the denser label wins."""
    centre, radii, hu, value = patch
    reach = radii * (1 + RAGGED + FADE)
    box = canvas.box(centre - reach, centre + reach)
    own = np.random.default_rng(rng.integers(2**62))  # the same draws whatever the box holds
    coarse, fine, texture = own.integers(2**62, size=3)
    place = [axis[box] for axis in canvas.xyz]
    if place[0].size == 0:
        return
    radius = float(radii.mean())
    level = np.sqrt(
        sum(((p - c) / r) ** 2 for p, c, r in zip(place, centre, radii, strict=True))
    ).astype(np.float32)
    level += RAGGED * lattice_noise(place, 0.55 * radius + 3, np.random.default_rng(coarse))
    level += 0.4 * RAGGED * lattice_noise(place, 6, np.random.default_rng(fine))
    density = np.clip((1 - level) / FADE + 0.5, 0, 1) * canvas.coverage(lung[box])
    grain = lattice_noise(place, 5, np.random.default_rng(texture))
    part = canvas.ct[box]
    part += density * np.maximum(hu + GRAIN_HU * grain - part, 0)  # a lesion only adds density
    inside = (density > 0.5) & (lung[box] < 0)
    labels[box] = np.where(inside, np.maximum(labels[box], value), labels[box])


def _paint_parenchyma(canvas: Canvas, lung: Field, rng: np.random.Generator) -> None:
    """Give the lungs their gradient from front to back and their mottle."""
    coarse, fine = (np.random.default_rng(s) for s in rng.integers(2**62, size=2))
    texture = 18 * lattice_noise(canvas.xyz, 22, coarse) + 30 * lattice_noise(canvas.xyz, 5, fine)
    texture -= GRAVITY_HU_PER_MM * canvas.y
    np.add(canvas.ct, texture * canvas.coverage(lung), out=canvas.ct)


def _paint_trees(canvas: Canvas, sketch: Canvas, person: Person, rng: np.random.Generator) -> None:
    """Vessels, then airways with their walls, then the windpipe."""
    lung = lung_field(sketch, person)
    airways: list[Segment] = []
    for side, hilum in HILUM.items():
        inside = (lung < -4) & ((sketch.x > 0) == (side == "right"))
        root = np.array(hilum)
        for twigs, shift in ((ARTERY_TWIGS, (0, 2, 6)), (VEIN_TWIGS, (-2, 6, -18))):
            leaves = _points(sketch, inside.astype(np.float32), twigs, rng)
            for tube in grow_tree(root + shift, leaves, TWIG_MM, rng):
                distance, box = canvas.tube(*tube)
                thin = min(1.0, 2 * max(tube.radii_mm) / canvas.edge_mm)
                canvas.paint(distance, BLOOD, box, share=thin)
        bronchus = root + np.array([0.0, -4.0, 4.0])
        deep = _points(sketch, (inside & (lung < -14)).astype(np.float32), AIRWAY_TWIGS, rng)
        airways.append(Segment(np.array(CARINA), bronchus, (6.5, 4.5)))
        airways += grow_tree(bronchus, deep, AIRWAY_TWIG_MM, rng)
    airways.append(Segment(np.array(CARINA), np.array([1.0, -8.0, 180.0]), (8.0, 8.5)))
    for tube in airways:
        distance, box = canvas.tube(*tube)
        thick = 0.3 + 0.15 * max(tube.radii_mm)
        canvas.paint(distance - thick, MUSCLE, box, share=min(1.0, thick / canvas.edge_mm))
    for tube in airways:
        distance, box = canvas.tube(*tube)
        thin = min(1.0, 2 * max(tube.radii_mm) / canvas.edge_mm)
        canvas.paint(distance, AIR + 20, box, share=thin)

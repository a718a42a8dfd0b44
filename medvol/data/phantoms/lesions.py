# SPDX-License-Identifier: Apache-2.0
"""Ground-glass opacities and consolidations of the phantom: ragged patches under the pleura."""

import numpy as np
import numpy.typing as npt

from ..lung_lesions import CONSOLIDATION, GROUND_GLASS
from .fields import Canvas, Field, lattice_noise

# At full density; with soft edges and vessels the means come to about -580 and -200, among those
# measured in public COVID-19 CTs: ground-glass -480 to -670, consolidation -130 to -430.
GROUND_GLASS_HU, CONSOLIDATION_HU = -575.0, -140.0
VOLUME_ML = (4.0, 140.0)  # of one lesion before the pleura cuts it, drawn on a logarithmic scale
SPREAD_HU = (45.0, 70.0)  # from lesion to lesion, ground-glass and consolidation
GRAIN_HU = 170.0  # within a lesion, from lobule to lobule
FADE = 0.3  # of the radius over which a lesion fades into healthy lung
RAGGED = 0.55  # of the radius by which noise pushes the border in and out
CORE_SHARE = 0.45  # of the lesions hold a consolidated core
CORE_RADIUS = (0.35, 0.8)  # of the lesion's radius


def paint_lesions(
    canvas: Canvas, lung: Field, centres: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Paint lesions into the lungs and return where they are.

    Args:
        canvas: the chest, lungs painted, vessels not yet.
        lung: signed distance to the lungs in mm, negative inside.
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
    patch: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float, int],
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

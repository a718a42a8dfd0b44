# SPDX-License-Identifier: Apache-2.0
"""Soft-edged shapes, branching tubes and noise, given in millimetres, drawn on any voxel grid."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ...spatial import Affine

Field = npt.NDArray[np.floating[Any]]  # float32 throughout: half the memory, twice the speed
Box = tuple[slice, slice, slice]
Point = Sequence[float] | npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]
WHOLE: Box = (slice(None), slice(None), slice(None))
NOISE_NODES = 64  # side of the random lattice; it repeats after this many scales
MURRAY = 2.7  # r_parent^k = sum r_child^k; 3 by Murray, 2.7 is measured in lungs
BRANCH_AT = 0.45  # of the way from a branching to the middle of what it supplies


@dataclass(frozen=True)
class Canvas:
    """A volume to paint on, with the place of each voxel.

    Args:
        ct: (X, Y, Z) in HU, painted in place.
        x, y, z: (X, Y, Z) place of each voxel in mm; right, front and head are positive.
        affine: voxel index to these mm.
        edge_mm: width over which a surface fades from one tissue to the next, about one voxel.
    """

    ct: Field
    x: Field
    y: Field
    z: Field
    affine: Affine
    edge_mm: float

    @classmethod
    def blank(cls, shape: Sequence[int], affine: Affine, edge_mm: float, hu: float) -> "Canvas":
        """A canvas of `shape` voxels of one `hu`; `affine` and `edge_mm` as the class has them."""
        index = np.ogrid[tuple(slice(n) for n in shape)]
        rows = [
            sum((affine[r, a] * index[a] for a in range(3)), start=affine[r, 3]) for r in range(3)
        ]
        x, y, z = (np.broadcast_to(row, shape).astype(np.float32) for row in rows)
        return cls(np.full(shape, hu, np.float32), x, y, z, affine, edge_mm)

    def box(self, low: Point, high: Point) -> Box:
        """The part of the grid that holds everything between two corners, (3,) in mm."""
        first, last = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        middle = self._to_index[:3, :3] @ (first + last) / 2 + self._to_index[:3, 3]
        reach = np.abs(self._to_index[:3, :3]) @ (last - first) / 2
        size = self.ct.shape
        start = [min(max(math.floor(i), 0), n) for i, n in zip(middle - reach, size, strict=True)]
        stop = [min(max(math.ceil(i) + 1, 0), n) for i, n in zip(middle + reach, size, strict=True)]
        return slice(start[0], stop[0]), slice(start[1], stop[1]), slice(start[2], stop[2])

    @cached_property
    def _to_index(self) -> Affine:
        inverse: Affine = np.asarray(np.linalg.inv(self.affine), dtype=np.float64)
        return inverse

    def coverage(self, distance: Field) -> Field:
        """Share of a voxel inside, 0 to 1, from the signed distance in mm, (X, Y, Z) both."""
        return np.clip(np.float32(0.5) - distance / np.float32(self.edge_mm), 0, 1)

    def paint(
        self, distance: Field, hu: float | Field, box: Box = WHOLE, *, share: float = 1.0
    ) -> None:
        """Fill the inside of a shape with a tissue.

        Args:
            distance: (X, Y, Z) of the box, signed distance to the surface in mm, negative inside.
            hu: of the tissue, one or (X, Y, Z) of the box.
            box: the part of the grid to paint.
            share: for shapes thinner than a voxel: how much of a voxel they can fill, 0 to 1.
        """
        part = self.ct[box]
        part += self.coverage(distance) * np.float32(share) * (hu - part)

    def ellipsoid(self, centre: Point, radii_mm: Point, margin_mm: float = 4) -> tuple[Field, Box]:
        """Signed distance to an ellipsoid, negative inside, and the box it is given in.

        Args:
            centre: (3,) in mm.
            radii_mm: (3,) along x, y, z.
            margin_mm: of the box around it.

        Returns:
            (X, Y, Z) of the box, in mm; the box.
        """
        reach = np.asarray(radii_mm, dtype=np.float64) + margin_mm
        box = self.box(np.asarray(centre) - reach, np.asarray(centre) + reach)
        near = far = np.zeros(self.ct[box].shape, dtype=np.float32)
        for axis, mid, radius in zip((self.x, self.y, self.z), centre, radii_mm, strict=True):
            step = axis[box] - np.float32(mid)
            near = near + (step / np.float32(radius)) ** 2
            far = far + (step / np.float32(radius**2)) ** 2
        near = np.sqrt(near)
        return near * (near - 1) / np.maximum(np.sqrt(far), np.float32(1e-6)), box

    def tube(
        self, start: Point, end: Point, radii_mm: tuple[float, float], margin_mm: float = 3
    ) -> tuple[Field, Box]:
        """Signed distance to a round-ended tube that tapers, and the box it is given in.

        Args:
            start: (3,) in mm.
            end: (3,) in mm.
            radii_mm: at start and end.
            margin_mm: of the box around it.

        Returns:
            (X, Y, Z) of the box, in mm; the box.
        """
        first, last = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
        reach = max(radii_mm) + margin_mm
        box = self.box(np.minimum(first, last) - reach, np.maximum(first, last) + reach)
        along = last - first
        steps = [axis[box] - np.float32(f) for axis, f in zip(self.xyz, first, strict=True)]
        length2 = np.float32(max(float(along @ along), 1e-6))
        t = sum((s * np.float32(a) for s, a in zip(steps, along, strict=True)), start=np.float32(0))
        t = np.clip(t / length2, 0, 1)
        distance2 = sum(
            ((s - t * np.float32(a)) ** 2 for s, a in zip(steps, along, strict=True)),
            start=np.float32(0),
        )
        radius = np.float32(radii_mm[0]) + t * np.float32(radii_mm[1] - radii_mm[0])
        return np.sqrt(distance2) - radius, box

    @property
    def xyz(self) -> tuple[Field, Field, Field]:
        """The three volumes (X, Y, Z) of coordinates in mm."""
        return self.x, self.y, self.z


def smooth_union(a: Field, b: Field, width_mm: float) -> Field:
    """Signed distance to two shapes together, their seam rounded over `width_mm`, above 0.

    It is in mm as those to each of them, `a` and `b`, and of the same shape.
    """
    blend = np.maximum(np.float32(width_mm) - np.abs(a - b), 0)
    return np.minimum(a, b) - blend**2 * np.float32(0.25 / width_mm)


def smooth_intersection(a: Field, b: Field, width_mm: float) -> Field:
    """Signed distance to what two shapes share; `a`, `b` and `width_mm` as for `smooth_union`."""
    return -smooth_union(-a, -b, width_mm)


def lattice_noise(xyz: Sequence[Field], scale_mm: float, rng: np.random.Generator) -> Field:
    """Smooth random field, about -1 to 1: a function of place only.

    So one seed gives one field in the patient, whatever the voxel size or orientation.

    Args:
        xyz: three volumes (X, Y, Z) of coordinates in mm.
        scale_mm: size of its blobs.
        rng: draws the field.

    Returns:
        (X, Y, Z).
    """
    nodes = rng.uniform(-1, 1, (NOISE_NODES,) * 3).astype(np.float32)
    shift = rng.uniform(0, NOISE_NODES, 3)
    scale = np.float32(scale_mm)
    places = np.stack([a / scale + np.float32(s) for a, s in zip(xyz, shift, strict=True)])
    return ndimage.map_coordinates(nodes, places, order=1, mode="grid-wrap")


class Segment(NamedTuple):
    """A tapered tube from `start` to `end`, (x, y, z) in mm."""

    start: Points
    end: Points
    radii_mm: tuple[float, float]


def grow_tree(
    root: Points, leaves: Points, leaf_radius_mm: float, rng: np.random.Generator
) -> list[Segment]:
    """A tree from `root` that reaches every leaf, by splitting the leaves in halves.

    Each branching halves its leaves across their longest direction and sends one branch towards
    the middle of each half; radii follow Murray's law, so a tube thins as it supplies less.

    Args:
        root: (3,) where the tree enters.
        leaves: (N, 3) points to supply, N >= 1.
        leaf_radius_mm: radius of the last twigs.
        rng: for the bends.
    """
    segments: list[Segment] = []
    pending: list[tuple[Points, Points, float]] = [(root, leaves, _radius(len(leaves), 1.0))]
    while pending:
        start, supplied, before = pending.pop()
        middle = supplied.mean(axis=0)
        share = 1.0 if len(supplied) == 1 else BRANCH_AT
        end = start + share * (middle - start)
        bend = (start + end) / 2 + rng.normal(0, 0.07 * np.linalg.norm(end - start), 3)
        after = _radius(len(supplied), 1.0)
        half = (before + after) / 2
        segments.append(Segment(start, bend, (before * leaf_radius_mm, half * leaf_radius_mm)))
        segments.append(Segment(bend, end, (half * leaf_radius_mm, after * leaf_radius_mm)))
        if len(supplied) > 1:
            across = np.linalg.eigh(np.cov(supplied.T))[1][:, -1]
            order = np.argsort((supplied - middle) @ across)
            cut = len(order) // 2
            pending += [(end, supplied[order[:cut]], after), (end, supplied[order[cut:]], after)]
    return segments


def _radius(leaves: int, leaf_radius: float) -> float:
    return float(leaf_radius * leaves ** (1 / MURRAY))

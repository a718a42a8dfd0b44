# SPDX-License-Identifier: Apache-2.0
"""The surface of what is marked in a volume, as it is seen from one side."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from ..metrics.measurements import Mask, one_of

Field = npt.NDArray[np.float32]
PAD = 4  # cells around what is marked, so that its surface closes
SMOOTHING = 1.0  # standard deviation of the smoothing, over the size of a voxel: hides steps
LEAST_SMOOTHING = 0.7  # the same over the edge of a cube: hides the cubes themselves
TRACE = 1e-3  # share of a cell below which it holds nothing
TOGETHER = 16  # slabs: threads that meet at each one wait long where other work is done beside
BLOCK = 32  # cubes that are computed together: of most voxels they have no share
TAIL = 1e-12  # of a Gaussian, 0 from here on: what follows is lost in rounding, and denormal


@dataclass(frozen=True)
class Cells:
    """Equal cubes over a box of voxels.

    Args:
        shape: voxels of the box along each axis.
        spacing_mm: of its voxels.
        step_mm: edge of a cube.
        smooth_mm: least standard deviation of the smoothing.

    Raises:
        ValueError: the step is not above 0.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    step_mm: float
    smooth_mm: float = 0.0

    def __post_init__(self) -> None:
        if not self.step_mm > 0:
            raise ValueError(f"step_mm is {self.step_mm}; give a length above 0")

    def number(self, axis: int) -> int:
        """How many cubes lie along an axis, the padding of `PAD` on both sides counted."""
        return int(np.ceil(self.shape[axis] * self.spacing_mm[axis] / self.step_mm)) + 2 * PAD

    def shares(self, axis: int) -> Field:
        """(cubes, voxels): the share of each voxel in each cube, smoothed by a Gaussian.

        Along each axis on its own, so that thick slices make no steps. Columns sum to the size of
        a voxel over that of a cube, but for what the padding cuts off.
        """
        least = max(self.smooth_mm, LEAST_SMOOTHING * self.step_mm)
        sigma = max(SMOOTHING * self.spacing_mm[axis], least)
        centres = (np.arange(self.number(axis)) - PAD + 0.5) * self.step_mm
        edges = np.arange(self.shape[axis] + 1) * self.spacing_mm[axis]
        below: Field = ndtr((edges[None] - centres[:, None]) / sigma).astype(np.float32)
        shares: Field = np.diff(below, axis=1)
        shares[shares < TAIL] = 0  # products of denormal numbers take a hundred times as long
        return shares

    def nearest(self, axis: int) -> npt.NDArray[np.intp]:
        """(cubes,): the voxel at the middle of each cube, or the nearest there is."""
        centres = (np.arange(self.number(axis)) - PAD + 0.5) * self.step_mm
        voxels = np.floor(centres / self.spacing_mm[axis]).astype(np.intp)
        return np.clip(voxels, 0, self.shape[axis] - 1)


def smooth_field(labels: Mask, values: Collection[int], cells: Cells) -> Field:
    """How much of each cube has one of the values, 0 to 1, smoothed so that surfaces are.

    Args:
        labels: (X, Y, Z) integers, a view on a larger array is fine.
        values: that count, alike.
        cells: over these voxels.

    Returns:
        (X, Y, Z) in cubes.
    """
    slow, a, b = (int(axis) for axis in np.argsort([-abs(step) for step in labels.strides]))
    of_slow, of_a, of_b = (cells.shares(axis) for axis in (slow, a, b))
    turned = labels.transpose(slow, a, b)
    slabs = np.zeros((len(turned), len(of_a), len(of_b)), np.float32)
    for at in range(0, len(turned), TOGETHER):
        inside = one_of(turned[at : at + TOGETHER], values)
        if inside.any():
            across = _mixed(of_b, inside.transpose(2, 1, 0).astype(np.float32))
            slabs[at : at + TOGETHER] = _mixed(of_a, across.transpose(1, 0, 2)).transpose(2, 0, 1)
    return _mixed(of_slow, slabs).transpose(np.argsort((slow, a, b)))


def _mixed(shares: Field, values: Field) -> Field:
    """(cubes, M, N) of values (voxels, M, N): sums along the first axis, each voxel by its share.

    The same as a product of matrices, of which what is 0 for all of a block is left out.
    """
    flat = values.reshape(len(values), -1)
    mixed = np.empty((len(shares), flat.shape[1]), np.float32)
    for at in range(0, len(shares), BLOCK):
        rows = shares[at : at + BLOCK]
        used = np.flatnonzero(rows.any(axis=0))
        near = slice(used[0], used[-1] + 1) if used.size else slice(0, 0)
        np.matmul(rows[:, near], flat[near], out=mixed[at : at + BLOCK])
    return mixed.reshape(-1, *values.shape[1:])


def level_of(field: Field) -> float:
    """The level whose surface encloses as much as was marked, so that smoothing loses nothing.

    At a fixed level of one half, what is a voxel or two thick would not be seen at all.

    Args:
        field: of `smooth_field`; all 0 gives 1.
    """
    held = field[field > TRACE]
    if not held.size:
        return 1.0
    full = min(max(1, round(float(held.sum(dtype=np.float64)))), held.size)
    return float(np.partition(held, held.size - full)[held.size - full])


@dataclass(frozen=True, eq=False)
class Surface:
    """What is seen of a surface along the first axis of a field, pixel by pixel.

    Args:
        seen: (rows, columns), where the surface is.
        depth: (rows, columns) in cells from the front; NaN where there is none.
        normal: (3, rows, columns), towards the viewer, down and right, of length 1; 0 without one.
    """

    seen: npt.NDArray[np.bool_]
    depth: Field
    normal: Field


def look_along(field: Field, level: float) -> Surface:
    """The first place along the first axis where the field is at or above the level.

    Args:
        field: (depth, rows, columns), seen from its first plane.
        level: of the surface, 0 to 1.

    Example:
        >>> field = np.zeros((4, 1, 2), np.float32)
        >>> field[2:, 0, 0] = 1
        >>> found = look_along(field, 0.5)
        >>> found.seen.tolist(), found.depth[0, 0].item()
        ([[True, False]], 1.5)
    """
    inside = field >= level
    first = inside.argmax(axis=0)
    seen: npt.NDArray[np.bool_] = np.any(inside, axis=0)
    rows, columns = np.nonzero(seen)
    hit = first[rows, columns]

    def at(depth: Any, row: Any, column: Any) -> Field:
        places = (depth, row, column)
        clipped = [np.clip(x, 0, n - 1) for x, n in zip(places, field.shape, strict=True)]
        return field[tuple(clipped)]

    here, before = at(hit, rows, columns), at(hit - 1, rows, columns)
    behind = (here - level) / np.where(here > before, here - before, np.inf)
    slope = np.stack(
        [
            at(hit + 1, rows, columns) - before,
            at(hit, rows + 1, columns) - at(hit, rows - 1, columns),
            at(hit, rows, columns + 1) - at(hit, rows, columns - 1),
        ]
    )
    slope *= np.array([[1], [-1], [-1]], np.float32)  # the field falls outwards
    length = np.linalg.norm(slope, axis=0)
    depth = np.full(seen.shape, np.nan, np.float32)
    normal = np.zeros((3, *seen.shape), np.float32)
    depth[seen] = hit - behind
    normal[:, seen] = slope / np.where(length > 0, length, 1)
    return Surface(seen, depth, normal)

# SPDX-License-Identifier: Apache-2.0
"""Right and left lung: which of the two each voxel of a lung mask belongs to, on any grid."""

from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .spatial import Affine, box_of, nothing_like, spacing_mm

BODY_ABOVE_HU = -300.0  # fat is about -100, clothes and table foam are below
COARSE_MM = 4.0  # largest voxels in which both lungs are told apart: a lung is 50 mm wide or more
SMALLEST_SHARE = 0.05  # of the larger lung; a smaller part is an island, not the other lung
THICKEST_CONTACT_MM = 40.0  # where lungs touch, before or behind the heart, they are thinner
RIGHT, LEFT = 1, 2

Mask = npt.NDArray[np.bool_]


def body_middle_mm(volume_hu: npt.NDArray[Any], affine: Affine) -> float:
    """Where the middle of the body lies between right and left: the mean of its dense voxels.

    Args:
        volume_hu: (X, Y, Z) in HU.
        affine: (4, 4), voxel indices to RAS mm.

    Returns:
        x in mm (RAS); the middle of the volume when nothing is denser than `BODY_ABOVE_HU`.
    """
    steps = _steps(affine)
    dense = volume_hu[tuple(slice(None, None, step) for step in steps)] > BODY_ABOVE_HU
    x = np.broadcast_to(_x_mm(dense.shape, affine @ np.diag([*steps, 1.0])), dense.shape)
    return float(np.mean(x, where=dense if dense.any() else True))


def right_and_left(lung: Mask, affine: Affine, middle_mm: float) -> tuple[Mask, Mask]:
    """Part a mask of the lungs into right and left, also where they touch.

    Two parts that lie on both sides of the body's middle are the lungs. Where they touch, as at the
    anterior junction, the mask is thin: it is worn off until two parts are left, and they grow back
    to where they meet. An island belongs to the lung that is nearer; where there is only one lung,
    to the side of the body on which it lies.

    Args:
        lung: (X, Y, Z), everything inside the lungs, lesions included.
        affine: (4, 4), voxel indices to RAS mm; any orientation, also oblique.
        middle_mm: x of the body's middle, as `body_middle_mm` finds it.

    Returns:
        (right, left), each (X, Y, Z); together they are `lung`, and no voxel is in both.

    Example:
        >>> lung = np.zeros((30, 12, 12), bool)
        >>> lung[2:12, 2:10, 2:10] = lung[18:28, 2:10, 2:10] = True
        >>> right, left = right_and_left(lung, np.diag([10.0, 10, 10, 1]), 145.0)
        >>> [int(np.argwhere(side)[:, 0].min()) for side in (right, left)]
        [18, 2]
    """
    right, left = nothing_like(lung), nothing_like(lung)
    if (box := box_of(lung)) is None:
        return right, left
    # where the coarse grid of the whole volume has voxels, and one more, so that none is nearer
    steps = _steps(affine)
    box = tuple(
        slice(side.start // step * step, side.stop + step)
        for side, step in zip(box, steps, strict=True)
    )
    moved = np.eye(4)
    moved[:3, 3] = [side.start for side in box]
    right[box] = _right(lung[box], affine @ moved, steps, middle_mm)
    left[box] = lung[box] & ~right[box]
    return right, left


def _right(lung: Mask, affine: Affine, steps: tuple[int, ...], middle_mm: float) -> Mask:
    """The right lung: each voxel on the side of the nearest one of the coarse grid."""
    coarse = lung[tuple(slice(None, None, step) for step in steps)]
    side = _sides(coarse, affine @ np.diag([*steps, 1.0]), middle_mm)
    order = sorted(range(3), key=lambda axis: -abs(lung.strides[axis]))  # as the lung's in memory
    side = side.transpose(order)
    for place in (2, 1, 0):  # the nearest in memory first, while there is little of it
        size, step = lung.shape[order[place]], steps[order[place]]
        nearest = np.minimum((np.arange(size) + step // 2) // step, side.shape[place] - 1)
        side = side.take(nearest, axis=place)
    right: Mask = side.transpose(np.argsort(order)) & lung
    return right


def _sides(lung: Mask, affine: Affine, middle_mm: float) -> Mask:
    """Of every voxel of a coarse grid, whether the right lung is nearer than the left one."""
    x = np.broadcast_to(_x_mm(lung.shape, affine), lung.shape)
    spacing = spacing_mm(affine)
    depth = ndimage.distance_transform_edt(np.pad(lung, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    step = min(spacing)
    shells = [n * step for n in range(int(THICKEST_CONTACT_MM / 2 / step) + 1)]  # worn off, in mm
    for number, worn in enumerate(shells):
        if (side := _two_parts(depth > worn, x, middle_mm)) is not None:
            for shell in reversed(shells[:number]):
                side = np.where(depth > shell, _nearest(side, spacing), 0)
            return _nearest(side, spacing) == RIGHT
    return _one_side(lung, x, middle_mm)


def _nearest(
    labels: npt.NDArray[np.int8], spacing: tuple[float, float, float]
) -> npt.NDArray[np.int8]:
    """The label that is nearest to each voxel, its own where it has one."""
    at = ndimage.distance_transform_edt(
        labels == 0, sampling=spacing, return_distances=False, return_indices=True
    )
    return labels[tuple(at)]


def _two_parts(
    lung: Mask, x: npt.NDArray[np.float64], middle_mm: float
) -> npt.NDArray[np.int8] | None:
    """The largest part on each side of the middle, 0 elsewhere; None without two lungs."""
    parts, count = cc3d.connected_components(lung, connectivity=6, return_N=True)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    if count < 2:
        return None
    at = ndimage.mean(x, parts, np.arange(1, count + 1)) > middle_mm
    if at.all() or not at.any():
        return None
    largest = [1 + int(np.where(on, sizes, 0).argmax()) for on in (at, ~at)]
    smaller, larger = sorted(sizes[part - 1] for part in largest)
    if smaller < SMALLEST_SHARE * larger:
        return None
    found = np.zeros(parts.shape, np.int8)
    for part, side in zip(largest, (RIGHT, LEFT), strict=True):
        found[parts == part] = side
    return found


def _one_side(lung: Mask, x: npt.NDArray[np.float64], middle_mm: float) -> Mask:
    """One lung is all on its side; what lies elsewhere, on its own."""
    largest = cc3d.largest_k(lung, k=1, connectivity=6) > 0
    right: Mask = np.where(largest, np.mean(x, where=largest) > middle_mm, x > middle_mm)
    return right


def _steps(affine: Affine) -> tuple[int, ...]:
    return tuple(max(1, int(COARSE_MM / size)) for size in spacing_mm(affine))


def _x_mm(shape: tuple[int, ...], affine: Affine) -> npt.NDArray[np.float64]:
    """x in mm (RAS) of each voxel, (X, Y, Z) or what broadcasts to it."""
    i, j, k = np.ogrid[tuple(slice(n) for n in shape)]
    x: npt.NDArray[np.float64] = affine[0, 0] * i + affine[0, 1] * j + affine[0, 2] * k
    return x + affine[0, 3]

# SPDX-License-Identifier: Apache-2.0
"""A mask that was saved cropped, flipped or turned by right angles, back on its image's grid."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..spatial import Affine
from .image import Image

OFF_GRID = 0.05  # of a voxel, that a corner may lie beside the image's voxels; files round to 1e-6
SAME_GEOMETRY = (
    "In 3D Slicer's Segment Editor choose the image as source geometry, or resample the mask to "
    "the image's grid (nearest neighbour)."
)


def on_grid_of(
    image: Image, labels: npt.NDArray[Any], affine: Affine, path: Path
) -> npt.NDArray[Any]:
    """A mask on the grid of its image, by its affine alone.

    3D Slicer saves a segmentation cropped to what is marked when it knows no image of it; other
    programs turn the axes round. Where the mask says nothing it is 0.

    Args:
        image: whose grid it is laid on.
        labels: (X, Y, Z) integers, 0 for background.
        affine: (4, 4), its voxel index to RAS mm.
        path: of its file, for the message.

    Returns:
        (X, Y, Z) of the image, the type of `labels`.

    Raises:
        InputError: E_GEOMETRY, its voxels are not voxels of the image, or a marked one lies
            outside of it.
    """
    steps = np.linalg.inv(image.affine) @ affine  # index in the mask to index in the image
    turn = np.rint(steps[:3, :3]).astype(int)
    corners = np.array(np.meshgrid(*[[0, n - 1] for n in labels.shape])).reshape(3, -1)
    at = steps[:3, :3] @ corners + steps[:3, 3:]
    start = np.rint(steps[:3, 3]).astype(int)
    off = np.abs(at - (turn @ corners + start[:, None])).max()
    if (np.abs(turn).sum(axis=0) != 1).any() or (np.abs(turn).sum(axis=1) != 1).any():
        raise _elsewhere(path, image, "its voxels have another size or direction")
    if off > OFF_GRID:
        raise _elsewhere(path, image, f"its voxels lie up to {off:.2g} voxels beside the image's")
    order = [int(np.flatnonzero(row)[0]) for row in turn]
    turned = labels.transpose(order)
    low = start.copy()
    for axis, from_axis in enumerate(order):
        if turn[axis, from_axis] < 0:
            turned = np.flip(turned, axis)
            low[axis] -= labels.shape[from_axis] - 1
    high = low + turned.shape
    first, last = np.maximum(low, 0), np.maximum(np.minimum(high, image.array.shape), 0)
    own = tuple(map(slice, first - low, np.maximum(last - low, first - low)))
    inside = turned[own]
    if np.count_nonzero(inside) < np.count_nonzero(turned):
        raise _elsewhere(path, image, "a part of what it marks lies outside of the image")
    placed = np.zeros(image.array.shape, labels.dtype)
    placed[tuple(map(slice, first, np.maximum(last, first)))] = inside
    return placed


def _elsewhere(path: Path, image: Image, reason: str) -> InputError:
    whole = f"the mask does not lie on the grid of {image.path.name}: {reason}."
    return InputError("E_GEOMETRY", path, whole, SAME_GEOMETRY)

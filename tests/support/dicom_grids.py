# SPDX-License-Identifier: Apache-2.0
"""Grids that scanners make: 60 ways in which DICOM slices lie, and marks on them."""

from itertools import product

import numpy as np
import numpy.typing as npt

Affine = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]
SHAPE = (14, 11, 9)  # columns, rows, slices; no two the same
LARGE, SMALL, EMPTY = 1, 2, 3  # labels
ORIGIN_LPS_MM = (-35.25, -41.5, 112.75)
_TURN = np.array([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])  # 3-4-5 about z
_TILT = np.array([[1.0, 0.0, 0.0], [0.0, 0.96, -0.28], [0.0, 0.28, 0.96]])  # 7-24-25 about x
_PLANES = {  # directions in LPS of growing column, and of growing row
    "axial": np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "coronal": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]),
    "sagittal": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0]]),
}
_PLANES["oblique"] = _PLANES["axial"] @ _TURN.T
_PLANES["double oblique"] = _PLANES["coronal"] @ (_TURN @ _TILT).T
_SPACINGS_MM = {  # between columns, rows and slices
    "isotropic": (1.5, 1.5, 1.5), "thick": (0.75, 0.75, 5.0), "anisotropic": (0.7, 1.3, 2.5)
}  # fmt: skip


def _grid(plane: Affine, spacing_mm: tuple[float, ...], *, mirrored: bool, down: bool) -> Affine:
    row, column = plane * np.array([[-1.0 if mirrored else 1.0], [1.0]])
    across = np.cross(row, column) * (-1.0 if down else 1.0)
    to_lps = np.eye(4)
    to_lps[:3, :3] = np.stack([row, column, across], axis=1) * spacing_mm
    to_lps[:3, 3] = ORIGIN_LPS_MM
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ to_lps


# voxel index (column, row, file) to RAS mm; with "down" files run against the normal
GRIDS60 = {
    " ".join([name, spacing, *(["mirrored"] if mirrored else []), *(["down"] if down else [])]):
    _grid(plane, _SPACINGS_MM[spacing], mirrored=mirrored, down=down)
    for (name, plane), spacing, mirrored, down in product(
        _PLANES.items(), _SPACINGS_MM, (False, True), (False, True)
    )
}  # fmt: skip
assert len(GRIDS60) == 60


def marks() -> npt.NDArray[np.uint8]:
    """A mask of no symmetry: an L of `LARGE`, `SMALL` in two slices with none between them."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:9, 2, 2] = mask[8, 3:6, 2] = mask[8, 5, 3:7] = LARGE
    mask[1, 8, 1], mask[11:13, 9, 6] = SMALL, SMALL
    return mask


def hounsfield() -> npt.NDArray[np.int16]:
    """An image in which every voxel has a value of its own."""
    return (np.arange(np.prod(SHAPE)).reshape(SHAPE) - 500).astype(np.int16)


def voxels_at(points_mm: Points, affine: Affine) -> npt.NDArray[np.int64]:
    """The voxels (N, 3) whose middles lie at points (N, 3) in RAS mm, in order; none lies between.

    Raises:
        AssertionError: a point is not the middle of a voxel.
    """
    places = (points_mm - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    voxels = np.rint(places)
    assert np.abs(places - voxels).max(initial=0.0) < 0.01
    found = voxels.astype(np.int64)
    return found[np.lexsort(found.T[::-1])]

# SPDX-License-Identifier: Apache-2.0
"""Grids of every orientation, and where the voxels of the L-shaped phantom lie on them."""

from itertools import permutations, product

import numpy as np
import numpy.typing as npt
import pytest

Affine = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]
L_VOXELS = np.array(
    [(x, 2, 2) for x in range(2, 8)] + [(7, y, 2) for y in (3, 4, 5)] + [(7, 5, z) for z in (3, 4)]
)  # of phantoms.l_shape, written out by hand
ORIGIN_MM = (31.25, -47.5, 112.75)
OBLIQUE = np.array([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])  # 3-4-5 turn about z
TILT = np.array([[1.0, 0.0, 0.0], [0.0, 0.96, -0.28], [0.0, 0.28, 0.96]])  # 7-24-25 about x


def _affine(directions: npt.NDArray[np.float64]) -> Affine:
    affine = np.eye(4)
    affine[:3, :3] = directions @ np.diag([1.5, 2.0, 3.0])  # mm, another one for each axis
    affine[:3, 3] = ORIGIN_MM
    return np.asarray(affine, np.float32).astype(np.float64)  # as a NIfTI file holds it


def _grids() -> dict[str, Affine]:
    letters = (("L", "R"), ("P", "A"), ("I", "S"))
    grids = {}
    for order, signs in product(permutations(range(3)), product((0, 1), repeat=3)):
        directions = np.zeros((3, 3))
        for axis, (row, sign) in enumerate(zip(order, signs, strict=True)):
            directions[row, axis] = 1.0 if sign else -1.0
        name = "".join(letters[row][sign] for row, sign in zip(order, signs, strict=True))
        grids[name] = _affine(directions)
    grids["oblique"] = _affine(OBLIQUE @ TILT)
    grids["oblique-left-handed"] = _affine(OBLIQUE @ TILT @ np.diag([-1.0, 1.0, 1.0]))
    return grids


GRIDS = _grids()  # all 48 axis orientations, and two that lie askew
assert len(GRIDS) == 50
each_grid = pytest.mark.parametrize("affine", GRIDS.values(), ids=GRIDS)


def places_mm(voxels: npt.NDArray[np.integer], affine: Affine) -> Points:
    """RAS millimetres of voxel indices (N, 3)."""
    return voxels @ affine[:3, :3].T + affine[:3, 3]


def assert_same_places(found: Points, expected: Points, *, tolerance_mm: float = 1e-3) -> None:
    """Both sets have the same points, in any order."""
    assert len(found) == len(expected)
    distance = np.linalg.norm(found[:, None] - expected[None], axis=-1)
    assert distance.min(axis=0).max() < tolerance_mm
    assert distance.min(axis=1).max() < tolerance_mm

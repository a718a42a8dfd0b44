# SPDX-License-Identifier: Apache-2.0
"""Affines, spacing, orientation and boxes: where a voxel grid lies in the patient.

An affine is a (4, 4) array that takes voxel indices (i, j, k, 1) to millimetres in RAS, the
directions of NIfTI: x grows towards the patient's right, y towards the front (anterior), z towards
the head (superior).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Affine = npt.NDArray[np.float64]
RAS_TO_LPS: Affine = np.diag([-1.0, -1.0, 1.0, 1.0])
AXIS_CODES = (("L", "R"), ("P", "A"), ("I", "S"))  # per RAS axis: towards less, towards more


def spacing_mm(affine: Affine) -> tuple[float, float, float]:
    """Distance between neighbouring voxel centres along each array axis, in mm: column norms.

    Example:
        >>> spacing_mm(np.array([[0, 0, 3, 9], [-2, 0, 0, 9], [0, 2, 0, 9], [0, 0, 0, 1.0]]))
        (2.0, 2.0, 3.0)
    """
    norms = np.linalg.norm(affine[:3, :3], axis=0)
    return float(norms[0]), float(norms[1]), float(norms[2])


def lps_grid(affine: Affine) -> tuple[Affine, Affine, Affine]:
    """A grid as both ITKs keep it: direction (3, 3), spacing (3,) in mm and origin (3,) in LPS mm.

    Example:
        >>> lps_grid(np.diag([-2.0, -2.0, 3.0, 1.0]))[0].tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    place, spacing = RAS_TO_LPS @ affine, np.array(spacing_mm(affine))
    return place[:3, :3] / spacing, spacing, place[:3, 3]


def voxel_volume_ml(affine: Affine) -> float:
    """Volume of one voxel in millilitres: the determinant in mm^3, over 1000; shear counted."""
    return float(abs(np.linalg.det(affine[:3, :3]))) / 1000.0


def orientation(affine: Affine) -> str:
    """Anatomical direction of growing index per axis, such as "LPS": nibabel's nearest axes.

    Example:
        >>> orientation(np.diag([-1.0, -1.0, 1.0, 1.0]))
        'LPS'

    Raises:
        ValueError: the affine is singular, or not finite.
    """
    return _orientation(np.asarray(affine, np.float64).tobytes())


@lru_cache(maxsize=64)  # asked again and again of one image
def _orientation(values: bytes) -> str:
    from nibabel.orientations import aff2axcodes  # here: not every user of this module needs it

    affine = np.frombuffer(values).reshape(4, 4)
    axes = affine[:3, :3]
    if not np.isfinite(axes).all() or np.linalg.matrix_rank(axes) < 3:
        raise ValueError("the affine has no three independent axes, so no orientation")
    return "".join(aff2axcodes(affine))


def feet_head_axis(affine: Affine) -> int:
    """The array axis that runs nearest to the body's own between feet and head.

    Raises:
        ValueError: as `orientation`.
    """
    return next(axis for axis, code in enumerate(orientation(affine)) if code in "IS")


def slice_z_mm(shape: Sequence[int], affine: Affine) -> npt.NDArray[np.float64]:
    """z in mm (RAS, growing to the head) of the middle of every slice between feet and head.

    Args:
        shape: (X, Y, Z) of the grid.
        affine: (4, 4).

    Returns:
        (N,) in the order of the array, N along `feet_head_axis`.

    Example:
        >>> slice_z_mm((3, 3, 2), np.diag([1.0, 1.0, 5.0, 1.0])).tolist()
        [0.0, 5.0]
    """
    axis = feet_head_axis(affine)
    at = np.tile([*((n - 1) / 2 for n in shape), 1.0], (shape[axis], 1))
    at[:, axis] = np.arange(shape[axis])
    z_mm: npt.NDArray[np.float64] = at @ affine[2]
    return z_mm


def box_of(mask: npt.NDArray[Any]) -> tuple[slice, ...] | None:
    """Where a mask (X, Y, Z), or of fewer axes, is not 0; None where it is nowhere.

    Example:
        >>> box_of(np.array([[0, 0, 0], [0, 1, 1]]))
        (slice(1, 2, None), slice(1, 3, None))
    """
    found = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        places = np.flatnonzero(mask.any(axis=others))
        if not len(places):
            return None
        found.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(found)


def nothing_like(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """A mask of the same shape and order without any voxel; memory is taken where it is written.

    Unlike NumPy's `zeros_like`, which writes all of it at once.

    Args:
        mask: (X, Y, Z), or of other axes.
    """
    return np.zeros(mask.shape, bool, order="F" if mask.flags.f_contiguous else "C")


def shear_cosine(affine: Affine) -> float:
    """Largest |cosine| between two array axes, 0 to 1; 0 for a rectangular grid."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(directions.T @ directions - np.eye(3)).max())


def same_grid(
    shape_a: Sequence[int],
    affine_a: Affine,
    shape_b: Sequence[int],
    affine_b: Affine,
    *,
    tolerance_mm: float = 0.01,
) -> bool:
    """Whether two grids have one shape and every voxel centre within `tolerance_mm`.

    The corners of the grid are compared: an affine difference is largest in a corner.

    Args:
        shape_a, shape_b: (X, Y, Z) of each grid.
        affine_a, affine_b: (4, 4) of each grid.
        tolerance_mm: largest distance that counts as none.
    """
    if tuple(shape_a) != tuple(shape_b):
        return False
    steps = np.stack(np.meshgrid(*[[0, n - 1] for n in shape_a], indexing="ij"), -1).reshape(-1, 3)
    corners = np.c_[steps, np.ones(len(steps))]
    distance = np.linalg.norm((corners @ (affine_a - affine_b).T)[:, :3], axis=1)
    return bool(distance.max() <= tolerance_mm)

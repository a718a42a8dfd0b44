# SPDX-License-Identifier: Apache-2.0
"""How far the surfaces of a predicted and a true region lie apart, in mm.

Empty cases: when truth and prediction are both empty, nothing is defined (NaN); when one of them is
empty, surface Dice is 0 and the distance is not defined, since there is no surface to measure to.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from monai.metrics import get_mask_edges, get_surface_distance

PERCENTILE = 95  # of the distances: a single stray voxel does not decide


class SurfaceAgreement(NamedTuple):
    """Surface Dice, 0 to 1, and the 95th percentile Hausdorff distance in mm; NaN: not defined."""

    surface_dice: float
    hd95_mm: float


def surface_agreement(
    predicted: npt.NDArray[np.bool_],
    true: npt.NDArray[np.bool_],
    spacing_mm: Sequence[float],
    *,
    tolerance_mm: float,
) -> SurfaceAgreement:
    """Both figures from one table of distances, as MONAI's metrics define them by default.

    A surface is the voxels of a region that have a face neighbour outside of it; the border of the
    array counts as outside. Equal to `monai.metrics.compute_surface_dice` and to
    `compute_hausdorff_distance(percentile=95)`, which would each measure all distances anew.

    Args:
        predicted: the region, (X, Y) or (X, Y, Z).
        true: the same of the truth, same shape.
        spacing_mm: along each axis.
        tolerance_mm: surface voxels this near to the other surface agree, 0 or more.

    Raises:
        ValueError: shapes differ, or a negative tolerance.

    Example:
        >>> dot = np.array([[0, 1, 0, 0], [0, 0, 0, 0]], bool)
        >>> surface_agreement(np.roll(dot, 2), dot, (1.0, 2.0), tolerance_mm=3.0)
        SurfaceAgreement(surface_dice=0.0, hd95_mm=4.0)
    """
    if predicted.shape != true.shape:
        raise ValueError(f"the regions have shapes {predicted.shape} and {true.shape}")
    if not tolerance_mm >= 0:
        raise ValueError(f"tolerance_mm is {tolerance_mm}; give 0 or more")
    if not (predicted.any() and true.any()):
        return SurfaceAgreement(0.0 if predicted.any() or true.any() else np.nan, np.nan)
    edges, true_edges = get_mask_edges(predicted, true)
    there = get_surface_distance(edges, true_edges, spacing=list(spacing_mm))
    back = get_surface_distance(true_edges, edges, spacing=list(spacing_mm))
    near = int((there <= tolerance_mm).sum()) + int((back <= tolerance_mm).sum())
    farthest = max(float(np.percentile(distances, PERCENTILE)) for distances in (there, back))
    return SurfaceAgreement(near / (there.size + back.size), farthest)

# SPDX-License-Identifier: Apache-2.0
"""How far the surfaces of a predicted and a true region lie apart, in mm.

A surface is made of elements with an area, one at each corner of voxels of which some are in the
region and some are not, as marching cubes lays it there (Nikolov et al. 2021, doi 10.2196/26151).
Counting surface voxels instead would give a slice 5 mm thick the weight of one of 1 mm.

Empty cases: when truth and prediction are both empty, nothing is defined (NaN); when one of them is
empty, surface Dice is 0 and the distance is not defined, since there is no surface to measure to.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from monai.metrics.utils import ENCODING_KERNEL, get_code_to_measure_table, get_surface_distance

PERCENTILE = 95  # of the surface: a single stray voxel does not decide
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]


class SurfaceAgreement(NamedTuple):
    """Surface Dice, 0 to 1, and the 95th percentile Hausdorff distance in mm; NaN: not defined."""

    surface_dice: float
    hd95_mm: float


def surface_agreement(
    predicted: Mask, true: Mask, spacing_mm: Sequence[float], *, tolerance_mm: float
) -> SurfaceAgreement:
    """Both figures from one table of distances, each element weighted by its area.

    Outside the array is outside the region. Surface Dice is that of
    `monai.metrics.compute_surface_dice(use_subvoxels=True)`; both are those of the package
    surface-distance of Nikolov et al. Of images the length of the outline takes the area's place.

    Args:
        predicted: the region, (X, Y) or (X, Y, Z).
        true: the same of the truth, same shape.
        spacing_mm: along each axis.
        tolerance_mm: elements this near to the other surface agree, 0 or more.

    Raises:
        ValueError: shapes differ, or a negative tolerance.

    Example:
        >>> dot = np.array([[0, 1, 0, 0], [0, 0, 0, 0]], bool)
        >>> surface_agreement(np.roll(dot, 2), dot, (1.0, 2.0), tolerance_mm=1.0)
        SurfaceAgreement(surface_dice=0.0, hd95_mm=4.0)
    """
    if predicted.shape != true.shape:
        raise ValueError(f"the regions have shapes {predicted.shape} and {true.shape}")
    if not tolerance_mm >= 0:
        raise ValueError(f"tolerance_mm is {tolerance_mm}; give 0 or more")
    if not (predicted.any() and true.any()):
        return SurfaceAgreement(0.0 if predicted.any() or true.any() else np.nan, np.nan)
    areas = get_code_to_measure_table(spacing_mm)[0].numpy().astype(np.float64)
    codes = [corner_codes(mask) for mask in (predicted, true)]
    edges = [(code > 0) & (code < len(areas) - 1) for code in codes]
    near = whole = farthest = 0.0
    for code, edge, other in zip(codes, edges, edges[::-1], strict=True):
        area, distance = areas[code[edge]], _distances(edge, other, spacing_mm)
        near += float(area[distance <= tolerance_mm].sum())
        whole += float(area.sum())
        farthest = max(farthest, _percentile(distance, area))
    return SurfaceAgreement(near / whole, farthest)


def corner_codes(mask: Mask) -> npt.NDArray[np.uint8]:
    """Which of the voxels around each corner are in a region, in the bits of MONAI's kernel.

    Args:
        mask: (X, Y) or (X, Y, Z).

    Returns:
        (X + 1, Y + 1, Z + 1), or of two axes; 0 outside the region, all bits set inside it.

    Example:
        >>> corner_codes(np.ones((1, 1), bool)).tolist()
        [[1, 2], [4, 8]]
    """
    padded = np.pad(mask, 1).view(np.uint8)
    codes = np.zeros([size + 1 for size in mask.shape], np.uint8)
    for corner, bit in np.ndenumerate(np.array(ENCODING_KERNEL[mask.ndim], np.uint8)):
        shifted = tuple(slice(c, c + size) for c, size in zip(corner, codes.shape, strict=True))
        codes += padded[shifted] * bit
    return codes


def _distances(edge: Mask, other: Mask, spacing_mm: Sequence[float]) -> Numbers:
    """Of each element of a surface from the nearest one of another; those of both are 0 from it."""
    apart = ~other[edge]
    found = np.zeros(len(apart))
    if apart.any():
        found[apart] = get_surface_distance(edge & ~other, other, spacing=list(spacing_mm))
    return found


def _percentile(distance: Numbers, area: Numbers) -> float:
    """The distance that this share of the area does not exceed."""
    order = np.argsort(distance)
    share = np.cumsum(area[order]) / area.sum()
    at = int(np.searchsorted(share, PERCENTILE / 100))
    return float(distance[order][min(at, len(order) - 1)])

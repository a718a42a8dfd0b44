# SPDX-License-Identifier: Apache-2.0
"""The single lesions of a mask, largest first: where each lies, and how large it is."""

from collections.abc import Callable
from dataclasses import dataclass

import cc3d
import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist

from ..spatial import Affine, box_of, feet_head_axis, voxel_volume_ml
from .lung_regions import Mask, head_first

MOST_LISTED = 10
Place = Callable[[npt.NDArray[np.int64]], str]


@dataclass(frozen=True)
class Lesion:
    """A connected part of what is marked.

    Args:
        place: where it lies, such as "right lung, lower third"; empty where nothing tells.
        volume_ml: of its voxels.
        longest_mm: longest diameter in the axial slice where it is largest, of equal ones the
            lowest, between the outer corners of its voxels.
        slice_number: of that slice, counted from the feet, 1 to the number of slices.
        centre_mm: middle of its voxels (x, y, z) in RAS.
    """

    place: str
    volume_ml: float
    longest_mm: float
    slice_number: int
    centre_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Lesions:
    """The lesions of a mask.

    Args:
        number: of all.
        largest: at most `MOST_LISTED` of them, the largest first.
        rest_ml: volume of the others together.
    """

    number: int
    largest: tuple[Lesion, ...] = ()
    rest_ml: float = 0.0


def find_lesions(marked: Mask, affine: Affine, place: Place = lambda _: "") -> Lesions:
    """Voxels that touch, by a face, an edge or a corner, are one lesion.

    Args:
        marked: (X, Y, Z), of all lesions.
        affine: (4, 4), voxel index to RAS mm.
        place: names the place of voxels (N, 3), given by their indices.

    Example:
        >>> marked = np.zeros((9, 9, 9), bool)
        >>> marked[2:5, 2:6, 3] = marked[8, 8, 8] = True
        >>> found = find_lesions(marked, np.eye(4))
        >>> found.number, found.largest[0].volume_ml, found.largest[0].longest_mm
        (2, 0.012, 5.0)
    """
    if (box := box_of(marked)) is None:
        return Lesions(0)
    padded = np.pad(marked[box], 1)  # cc3d fails on some boxes one voxel thick
    parts, number = cc3d.connected_components(padded, connectivity=26, return_N=True)
    statistics = cc3d.statistics(parts)
    voxels, boxes = statistics["voxel_counts"], statistics["bounding_boxes"]
    order = 1 + np.argsort(-voxels[1:].astype(np.int64), kind="stable")
    start, one_ml = [side.start - 1 for side in box], voxel_volume_ml(affine)
    largest = []
    for part in order[:MOST_LISTED]:
        corner = [side.start for side in boxes[part]]
        inside = np.argwhere(parts[boxes[part]] == part) + corner + start
        largest.append(_lesion(inside, marked.shape, affine, place))
    rest = int(voxels[order[MOST_LISTED:]].sum()) * one_ml
    return Lesions(int(number), tuple(largest), rest)


def _lesion(
    voxels: npt.NDArray[np.int64], shape: tuple[int, ...], affine: Affine, place: Place
) -> Lesion:
    """Measure a lesion.

    Args:
        voxels: (N, 3) its indices.
        shape: (X, Y, Z) of the grid.
        affine: of the grid.
        place: as for `find_lesions`.
    """
    axis = feet_head_axis(affine)
    sizes = np.bincount(voxels[:, axis], minlength=shape[axis])
    from_feet = int((sizes[::-1] if head_first(shape, affine) else sizes).argmax())
    fullest = shape[axis] - 1 - from_feet if head_first(shape, affine) else from_feet
    across = [other for other in range(3) if other != axis]
    pixels = voxels[voxels[:, axis] == fullest][:, across]
    centre = affine @ [*voxels.mean(axis=0), 1.0]
    return Lesion(
        place(voxels), len(voxels) * voxel_volume_ml(affine),
        longest_mm(pixels, affine[:3, across]), from_feet + 1,
        (float(centre[0]), float(centre[1]), float(centre[2])),
    )  # fmt: skip


def longest_mm(
    pixels: npt.NDArray[np.int64], steps_mm: npt.NDArray[np.float64]
) -> float:  # fmt: skip
    """Longest distance between outer corners of pixels, in mm.

    Args:
        pixels: (N, 2) their indices.
        steps_mm: (3, 2), mm from a pixel to the next along either index.

    Example:
        >>> longest_mm(np.array([[0, 0], [1, 0], [2, 0]]), np.eye(3)[:, :2])  # 3 mm by 1 mm
        3.1622776601683795
    """
    rows, where = np.unique(pixels[:, 0], return_inverse=True)  # the ends of a row are outermost
    low, high = np.full(len(rows), np.inf), np.full(len(rows), -np.inf)
    np.minimum.at(low, where, pixels[:, 1])
    np.maximum.at(high, where, pixels[:, 1])
    corners = np.concatenate(
        [np.c_[rows + half, end] for half in (-0.5, 0.5) for end in (low - 0.5, high + 0.5)]
    )
    return float(pdist(corners @ steps_mm.T).max())

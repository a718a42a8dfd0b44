# SPDX-License-Identifier: Apache-2.0
"""Lesions counted one by one: how many were found, and how many are none."""

from typing import NamedTuple

import cc3d
import numpy as np
import numpy.typing as npt

SHARED_CORNER = 26  # connectivity: voxels that share a corner are one lesion


class LesionCounts(NamedTuple):
    """Lesions of a case.

    Args:
        true: in the truth.
        found: of these, with at least one voxel marked.
        predicted: in the prediction.
        false: of these, without a single voxel of any true lesion.
    """

    true: int
    found: int
    predicted: int
    false: int


def count_lesions(
    predicted: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_], *, smallest_voxels: int = 1
) -> LesionCounts:
    """Count the connected components of both masks, and those that touch the other mask.

    One voxel in common is enough, as in the challenge on lesions of multiple sclerosis (Carass et
    al. 2017, doi 10.1016/j.neuroimage.2016.12.064). Components below `smallest_voxels` are not
    counted, but still find, and are still found.

    Args:
        predicted: the region in 2 or 3 axes.
        true: the same of the truth, same shape.
        smallest_voxels: of a lesion that counts, 1 or more.

    Example:
        >>> true = np.array([[1, 1, 0, 0, 0, 1]], bool)
        >>> count_lesions(np.array([[0, 1, 0, 1, 0, 0]], bool), true)
        LesionCounts(true=2, found=1, predicted=2, false=1)
    """
    lesions, found = _touched(true, predicted, smallest_voxels)
    marks, right = _touched(predicted, true, smallest_voxels)
    return LesionCounts(lesions, found, marks, marks - right)


def _touched(
    mask: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_], smallest: int
) -> tuple[int, int]:
    """Components of `mask`, and those of them that share a voxel with `other`."""
    # padded to a volume, since cc3d 4.1.1 errs on images with 8 neighbours, and on rows of voxels
    padded, at = np.pad(np.atleast_3d(mask), 1), np.pad(np.atleast_3d(other), 1)
    components, count = cc3d.connected_components(padded, connectivity=SHARED_CORNER, return_N=True)
    counted = np.bincount(components.ravel(), minlength=count + 1) >= smallest
    counted[0] = False
    touched = np.zeros_like(counted)
    touched[components[at]] = True
    return int(counted.sum()), int((counted & touched).sum())

# SPDX-License-Identifier: Apache-2.0
"""Where the lesions of the lungs lie: region by region, the CT score, and lesion by lesion."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..lungs import body_middle_mm, right_and_left
from ..spatial import Affine, feet_head_axis
from . import measurements
from .lesions import Lesions, Place, find_lesions
from .lung_regions import (
    THIRDS,
    Mask,
    Region,
    ct_score,
    head_first,
    lung_regions,
    per_slice,
    thirds,
)

OUTSIDE = "outside the lungs"


class Burden(NamedTuple):
    """What the lungs bear.

    Args:
        regions: both lungs and their thirds.
        lesions: the single ones.
    """

    regions: Sequence[Region]
    lesions: Lesions

    @property
    def score(self) -> int | None:
        """CT score of both lungs, see `lung_regions.ct_score`."""
        return ct_score(self.regions)


def lung_burden(
    labels: measurements.Mask,
    volume_hu: measurements.Volume,
    affine: Affine,
    *,
    organ: Sequence[int],
    focus: Sequence[int],
    whole: bool = True,
) -> Burden:
    """Measure the lesions of a mask by lung and by third.

    Args:
        labels: (X, Y, Z) integers, 0 for background.
        volume_hu: (X, Y, Z) in HU on the same grid; it says where the middle of the body is.
        affine: (4, 4), voxel index to RAS mm.
        organ: values of the lungs, lesions included.
        focus: values of the lesions.
        whole: the lungs are shown from end to end; a part of a lung has no thirds.
    """
    right, left = right_and_left(
        measurements.marked(labels, organ), affine, middle_mm=body_middle_mm(volume_hu, affine)
    )
    lesion = measurements.marked(labels, focus)
    regions = lung_regions(right, left, lesion, affine, whole=whole)
    place = lung_place(right, left, affine, whole=whole)
    return Burden(regions, find_lesions(lesion, affine, place))


def lung_place(right: Mask, left: Mask, affine: Affine, *, whole: bool = True) -> Place:
    """What names the lung, and the third of it, that most voxels of a lesion lie in.

    Args:
        right, left: (X, Y, Z), the patient's lungs, lesions included.
        affine: (4, 4), voxel index to RAS mm.
        whole: as for `lung_burden`; else only the lung is named.
    """
    lungs = {"right": right, "left": left}
    third = {side: thirds(per_slice(lung, affine)) for side, lung in lungs.items()}
    axis, downwards = feet_head_axis(affine), head_first(right.shape, affine)
    names = list(THIRDS)

    def place(voxels: npt.NDArray[np.int64]) -> str:
        inside = {side: lung[tuple(voxels.T)] for side, lung in lungs.items()}
        side = max(inside, key=lambda name: int(inside[name].sum()))
        if not inside[side].any():
            return OUTSIDE
        if not whole:
            return f"{side} lung"
        slices = voxels[inside[side], axis]
        from_feet = right.shape[axis] - 1 - slices if downwards else slices
        most = int(np.bincount(third[side][from_feet]).argmax())
        return f"{side} lung, {names[most]} third"

    return place

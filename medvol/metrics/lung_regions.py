# SPDX-License-Identifier: Apache-2.0
"""How much of each lung, and of its upper, middle and lower third, is lesion; and the CT score."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..labels import Code
from ..spatial import Affine, box_of, feet_head_axis, nothing_like, slice_z_mm, voxel_volume_ml
from .measurements import Counts

Mask = npt.NDArray[np.bool_]
SIDES = {  # as CID 244 (Laterality) of DICOM has them
    "right": Code("SCT", "24028007", "Right"),
    "left": Code("SCT", "7771000", "Left"),
}
LUNG = Code("SCT", "39607008", "Lung")
THIRDS = {  # from the feet to the head
    "lower": Code("SCT", "281394001", "Lower zone of lung"),
    "middle": Code("SCT", "281393007", "Middle zone of lung"),
    "upper": Code("SCT", "281392002", "Upper zone of lung"),
}
THIN_SHARE = 0.01  # of a lung's largest area: thinner slices at its ends do not move the thirds
SCORE_STEPS = (25.0, 50.0, 75.0)  # percent of a zone, from which it scores 2, 3 and 4
PRESENT_PERCENT = 0.5  # of a zone: less is what the shipped network marks in a healthy lung
HIGHEST_SCORE = 24
SCORE_SOURCE = (
    "six zones, 0 to 4 each: Ooi et al. 2004, doi 10.1148/radiol.2303030853; here the zones are "
    "thirds of each lung's height"
)


class Region(NamedTuple):
    """A lung, or a third of it by height.

    Args:
        side: "right" or "left".
        third: "upper", "middle" or "lower"; empty for the whole lung.
        organ_voxels: of the lung there, lesions included.
        lesion_voxels: of lesion there.
        voxel_ml: volume of a voxel in ml.
    """

    side: str
    third: str
    organ_voxels: int
    lesion_voxels: int
    voxel_ml: float

    @property
    def name(self) -> str:
        """Such as "right lung", or "right lung, upper third"."""
        return f"{self.side} lung" + (f", {self.third} third" if self.third else "")

    @property
    def site(self) -> Code:
        """What it is of: the lung, or a zone of it; the side is `laterality`."""
        return THIRDS[self.third] if self.third else LUNG

    @property
    def laterality(self) -> Code:
        """Which side, as a coded term."""
        return SIDES[self.side]

    @property
    def organ_ml(self) -> float:
        """Volume of the lung there, in ml."""
        return self.organ_voxels * self.voxel_ml

    @property
    def lesion_ml(self) -> float:
        """Volume of lesion there, in ml."""
        return self.lesion_voxels * self.voxel_ml

    @property
    def share_percent(self) -> float | None:
        """Of the lung there that is lesion, 0 to 100; None where no lung is."""
        return 100.0 * self.lesion_voxels / self.organ_voxels if self.organ_voxels else None

    @property
    def score(self) -> int | None:
        """Of a third, 0 to 4, see `zone_score`; None of a whole lung, or where no lung is."""
        share = self.share_percent
        return None if share is None or not self.third else zone_score(share)


def zone_score(share_percent: float) -> int:
    """How much of a zone is involved: 0 none, 1 less than 25 %, 2 less than 50 %, 3 less than 75 %,
    4 the rest (Ooi et al. 2004, doi 10.1148/radiol.2303030853).

    Args:
        share_percent: of the zone that is lesion; less than `PRESENT_PERCENT` counts as none.

    Example:
        >>> [zone_score(percent) for percent in (0.1, 3, 25, 50, 75)]
        [0, 1, 2, 3, 4]
    """
    if share_percent < PRESENT_PERCENT:
        return 0
    return 1 + sum(share_percent >= step for step in SCORE_STEPS)


def lung_regions(
    right: Mask, left: Mask, lesion: Mask, affine: Affine, *, whole: bool = True
) -> list[Region]:
    """Both lungs and the thirds of each, from the patient's right and the head.

    The thirds are of each lung's own height, between its lowest and its highest slice. A lung that
    is not there gives regions without voxels.

    Args:
        right, left: (X, Y, Z), the patient's lungs, lesions included.
        lesion: (X, Y, Z).
        affine: (4, 4), voxel index to RAS mm.
        whole: the lungs are shown from end to end; a part of a lung has no thirds of its height.

    Returns:
        The right lung, its upper, middle and lower third, and the same of the left; only both lungs
        where they are not whole.
    """
    one_ml, regions = voxel_volume_ml(affine), []
    found = box_of(lesion) or (slice(0, 0),) * 3
    for side, lung in (("right", right), ("left", left)):
        both = nothing_like(lung)
        both[found] = lung[found] & lesion[found]
        organ, marked = per_slice(lung, affine), per_slice(both, affine)
        regions.append(Region(side, "", int(organ.sum()), int(marked.sum()), one_ml))
        third = thirds(organ)
        for k, name in reversed(list(enumerate(THIRDS if whole else ()))):
            inside = third == k
            regions.append(
                Region(side, name, int(organ[inside].sum()), int(marked[inside].sum()), one_ml)
            )
    return regions


def ct_score(regions: Sequence[Region]) -> int | None:
    """The CT score of both lungs, 0 to `HIGHEST_SCORE`: the sum over six zones.

    Returns:
        None where a zone has no lung, or there are no zones: the sum would not be of both lungs.
    """
    scores = [region.score for region in regions if region.third]
    known = [score for score in scores if score is not None]
    return sum(known) if known and len(known) == len(scores) else None


def per_slice(mask: Mask, affine: Affine) -> Counts:
    """Voxels of a mask (X, Y, Z) in each slice between feet and head, from the feet, (N,)."""
    axis = feet_head_axis(affine)
    counts = np.array([np.count_nonzero(x) for x in np.moveaxis(mask, axis, 0)], np.int64)
    return counts[::-1] if head_first(mask.shape, affine) else counts


def head_first(shape: Sequence[int], affine: Affine) -> bool:
    """Whether the first slice of a grid (X, Y, Z) is that nearest to the head."""
    z_mm = slice_z_mm(shape, affine)
    return bool(z_mm[0] > z_mm[-1])


def thirds(areas: Counts) -> npt.NDArray[np.int64]:
    """Which third of a lung each slice belongs to: 0 lower, 1 middle, 2 upper.

    Args:
        areas: voxels of the lung in each slice, from the feet, (N,).

    Returns:
        (N,); slices beyond the lung belong to the third next to them.

    Example:
        >>> thirds(np.array([0, 9, 9, 9, 9, 9, 9])).tolist()
        [0, 0, 0, 1, 1, 2, 2]
    """
    inside = np.flatnonzero(areas > THIN_SHARE * areas.max(initial=0))
    if not inside.size:
        return np.zeros(len(areas), np.int64)
    first, number = int(inside[0]), int(inside[-1]) - int(inside[0]) + 1
    place = np.floor(3 * (np.arange(len(areas)) - first + 0.5) / number)
    return place.clip(0, 2).astype(np.int64)

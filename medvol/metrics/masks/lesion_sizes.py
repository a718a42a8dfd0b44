# SPDX-License-Identifier: Apache-2.0
"""Lesions found, missed and false by their size: small ones are missed most, and Dice hides it.

A true lesion belongs to the group of its own volume, a marked one to that of its own. All are in
some group, also those that are too small to be counted as lesions elsewhere.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..intervals import Estimate, LeftOut, Scale, ratio_estimate
from .lesion_matching import LesionCounts, MatchedLesion, count_lesions

EDGES_ML = (0.1, 1.0, 10.0)  # between the groups; balls of 6, 12 and 27 mm
SIZES = ("< 0.1 ml", "0.1 to 1 ml", "1 to 10 ml", "≥ 10 ml")
_ROUNDING = 1e-9  # a lesion of ten voxels of 0.01 ml has 0.1 ml


class SizeFigures(NamedTuple):
    """Lesions of one size in all cases.

    Args:
        size: one of `SIZES`.
        counts: of all cases together.
        sensitivity: found over true, 0 to 1, of the cases that have one.
        false_per_case: false marks of this size in the mean over cases.
    """

    size: str
    counts: LesionCounts
    sensitivity: Estimate
    false_per_case: Estimate

    def record(self) -> dict[str, Any]:
        """By name, for JSON."""
        return {
            "size": self.size,
            **self.counts._asdict(),
            "sensitivity": self.sensitivity.record(),
            "false_per_case": self.false_per_case.record(),
        }


def size_of(volume_ml: float) -> int:
    """Which of `SIZES` a volume has; one at an edge has the larger.

    Example:
        >>> [SIZES[size_of(ml)] for ml in (0.02, 0.1, 9.9, 3000.0)]
        ['< 0.1 ml', '0.1 to 1 ml', '1 to 10 ml', '≥ 10 ml']
    """
    return bisect_right(EDGES_ML, volume_ml * (1 + _ROUNDING))


def count_sizes(lesions: Sequence[MatchedLesion], voxel_ml: float) -> list[LesionCounts]:
    """Counts of one case for each of `SIZES`.

    Args:
        lesions: of both masks.
        voxel_ml: volume of a voxel.
    """
    groups: list[list[MatchedLesion]] = [[] for _ in SIZES]
    for lesion in lesions:
        groups[size_of(lesion.voxels * voxel_ml)].append(lesion)
    return [count_lesions(group) for group in groups]


def summarise_sizes(
    cases: Sequence[Sequence[LesionCounts]], left_out: LeftOut
) -> list[SizeFigures]:
    """Figures of each size over cases.

    Args:
        cases: `count_sizes` of each.
        left_out: of `intervals.leave_out` for the same cases.
    """
    table = np.array(cases, np.float64)  # (cases, sizes, true found predicted false)
    totals, rows = table.sum(axis=0).astype(int).tolist(), []
    for size, name in enumerate(SIZES):
        true, found, _, false = table[:, size].T
        sensitivity = ratio_estimate(np.where(true > 0, found, np.nan), true, left_out)
        false_per_case = ratio_estimate(false, np.ones(len(false)), left_out, scale=Scale.AMOUNT)
        rows.append(SizeFigures(name, LesionCounts(*totals[size]), sensitivity, false_per_case))
    return rows

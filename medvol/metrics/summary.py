# SPDX-License-Identifier: Apache-2.0
"""The figures of a region over all cases, each with its interval."""

from collections.abc import Callable, Sequence

import numpy as np

from .bootstrap import Draws, Estimate, Numbers, median_estimate, ratio_estimate
from .comparison import RegionFigures

Part = Callable[[RegionFigures], float]


def _if_true(figure: Part) -> Part:
    """A figure that means take only of the cases whose truth has the region."""
    return lambda case: figure(case) if case.voxels_true else np.nan


def _lesions(name: str) -> Part:
    return lambda case: getattr(case.lesions, name) if case.lesions else np.nan


def _one(_: RegionFigures) -> float:
    return 1.0


# each is a sum over the cases above the line, divided by one below it
RATIOS: dict[str, tuple[Part, Part]] = {
    "dice_pooled": (lambda x: 2 * x.voxels_both, lambda x: x.voxels_predicted + x.voxels_true),
    "dice_mean": (_if_true(lambda x: x.dice), _one),
    "surface_dice_mean": (_if_true(lambda x: x.surface_dice), _one),
    "hd95_mm_mean": (lambda x: x.hd95_mm, _one),
    "lesion_sensitivity": (_lesions("found"), _lesions("true")),
    "false_lesions_per_case": (_lesions("false"), _one),
    "volume_error_ml_mean": (lambda x: x.volume_error_ml, _one),
    "absolute_volume_error_ml_mean": (lambda x: abs(x.volume_error_ml), _one),
}
MEDIANS: dict[str, Part] = {"dice_median": _if_true(lambda x: x.dice)}


def summarise_region(cases: Sequence[RegionFigures], draws: Draws) -> dict[str, Estimate]:
    """Every figure of `RATIOS` and of `MEDIANS` over the cases of one region.

    `dice_pooled` and `dice_mean` are those of `segmentation.summarise`.

    Args:
        cases: one region of each case.
        draws: of `bootstrap.draw_patients` for the same cases.
    """

    def of(part: Part) -> Numbers:
        return np.array([part(case) for case in cases], dtype=np.float64)

    ratios = {
        name: ratio_estimate(of(above), of(below), draws) for name, (above, below) in RATIOS.items()
    }
    return ratios | {name: median_estimate(of(part), draws) for name, part in MEDIANS.items()}

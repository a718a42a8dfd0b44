# SPDX-License-Identifier: Apache-2.0
"""Figures over cases, by hand, and equal to those of the training-time evaluation."""

import math

import numpy as np
import pytest
import torch

from medvol.metrics.bootstrap import draw_patients
from medvol.metrics.comparison import RegionFigures
from medvol.metrics.lesions import LesionCounts
from medvol.metrics.segmentation import summarise
from medvol.metrics.summary import MEDIANS, RATIOS, summarise_region

NAN = math.nan
CASES = [  # found in part; false marks where nothing is; nothing at all; missed as a whole
    RegionFigures(40, 50, 60, 0.1, 0.75, 4.0, LesionCounts(4, 3, 5, 2)),
    RegionFigures(0, 10, 0, 0.1, 0.0, NAN, LesionCounts(0, 0, 2, 2)),
    RegionFigures(0, 0, 0, 0.1, NAN, NAN, LesionCounts(0, 0, 0, 0)),
    RegionFigures(0, 0, 30, 0.1, 0.0, NAN, LesionCounts(1, 0, 0, 0)),
]
DRAWS = draw_patients(["a", "a", "b", "c"])


def test_each_figure_by_hand() -> None:
    found = summarise_region(CASES, DRAWS)
    assert list(found) == [*RATIOS, *MEDIANS]
    expected = {
        "dice_pooled": (80 / 150, 4),  # 2 * 40 / (60 + 90)
        "dice_mean": ((80 / 110 + 0) / 2, 2),  # of the cases with truth
        "surface_dice_mean": (0.75 / 2, 2),
        "hd95_mm_mean": (4.0, 1),
        "lesion_sensitivity": (3 / 5, 4),
        "false_lesions_per_case": (4 / 4, 4),
        "volume_error_ml_mean": ((-1 + 1 + 0 - 3) / 4, 4),
        "absolute_volume_error_ml_mean": ((1 + 1 + 0 + 3) / 4, 4),
        "dice_median": (40 / 110, 2),  # between 80 / 110 and 0
    }
    for name, (value, cases) in expected.items():
        assert found[name].value == pytest.approx(value), name
        assert found[name].cases == cases, name
    assert found["dice_mean"].low == pytest.approx(0)
    assert found["dice_mean"].high == pytest.approx(80 / 110)
    assert math.isnan(found["hd95_mm_mean"].low)  # of one patient


def test_dice_is_that_of_the_training_time_evaluation() -> None:
    counts = [[c.voxels_both, c.voxels_predicted, c.voxels_true] for c in CASES]
    pooled, mean = summarise(torch.tensor(counts, dtype=torch.float64)[:, None])
    found = summarise_region(CASES, DRAWS)
    assert found["dice_pooled"].value == pytest.approx(float(pooled))
    assert found["dice_mean"].value == pytest.approx(float(mean))


def test_an_organ_has_no_lesion_figures() -> None:
    organ = [RegionFigures(9, 10, 10, 0.1, 1.0, 1.0, None)] * 2
    found = summarise_region(organ, draw_patients(["a", "b"]))
    assert found["lesion_sensitivity"].cases == found["false_lesions_per_case"].cases == 0
    assert np.isnan(found["lesion_sensitivity"].value)
    assert found["dice_pooled"][:3] == pytest.approx((0.9, 0.9, 0.9))

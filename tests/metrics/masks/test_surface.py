# SPDX-License-Identifier: Apache-2.0
"""Distances between surfaces, worked out by hand and beside MONAI's own metrics."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice

from medvol.metrics.masks.surface import SurfaceAgreement, surface_agreement

SPACING = (1.0, 2.0, 5.0)
NOTHING = np.zeros((6, 5, 4), bool)


def box(*sides: slice) -> np.ndarray:
    mask = NOTHING.copy()
    mask[sides] = True
    return mask


def test_two_voxels_four_apart_along_the_second_axis() -> None:
    one, other = box(np.s_[1:2], np.s_[1:2], np.s_[1:2]), box(np.s_[1:2], np.s_[3:4], np.s_[1:2])
    assert surface_agreement(one, other, SPACING, tolerance_mm=3.9) == (0.0, 4.0)
    assert surface_agreement(one, other, SPACING, tolerance_mm=4.0) == (1.0, 4.0)


def test_a_row_that_is_one_voxel_too_long() -> None:
    true, long = box(np.s_[0:4], np.s_[2:3], np.s_[2:3]), box(np.s_[0:5], np.s_[2:3], np.s_[2:3])
    found = surface_agreement(long, true, SPACING, tolerance_mm=0.5)
    assert found.surface_dice == pytest.approx(8 / 9)  # 4 of 5 and 4 of 4 surface voxels agree
    assert found.hd95_mm == pytest.approx(0.8)  # 95 % of the way from the first to the last of
    # the distances 0, 0, 0, 0, 1 lies at place 3.8 of 0..4


def test_voxels_inside_are_no_surface() -> None:
    full, hollow = box(np.s_[1:4], np.s_[1:4], np.s_[0:3]), box(np.s_[1:4], np.s_[1:4], np.s_[0:3])
    hollow[2, 2, 1] = False
    found = surface_agreement(full, hollow, SPACING, tolerance_mm=0.0)
    # the hollow's surface has 26 voxels: all but the hole touch it or the outside; so has the full
    assert found == (1.0, 0.0)


# MONAI's own metrics call its own function with an argument that it calls old
@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("tolerance_mm", [0.0, 1.0, 2.5])
def test_equal_to_the_metrics_of_monai(axes: int, tolerance_mm: float) -> None:
    random = np.random.default_rng(axes)
    masks = [random.random((9, 8, 7)[:axes]) > limit for limit in (0.8, 0.7)]
    spacing = SPACING[:axes]
    predicted, true = (torch.from_numpy(mask)[None, None] for mask in masks)
    found = surface_agreement(*masks, spacing, tolerance_mm=tolerance_mm)
    options = {"include_background": True, "spacing": list(spacing)}
    dice = compute_surface_dice(predicted, true, [tolerance_mm], **options)
    hd95 = compute_hausdorff_distance(predicted, true, percentile=95, **options)
    assert found.surface_dice == pytest.approx(float(dice))
    assert found.hd95_mm == pytest.approx(float(hd95))
    assert 0 < found.hd95_mm < 20


def test_both_empty_is_not_defined() -> None:
    found = surface_agreement(NOTHING, NOTHING, SPACING, tolerance_mm=1)
    assert math.isnan(found.surface_dice)
    assert math.isnan(found.hd95_mm)


@pytest.mark.parametrize("empty", ["prediction", "truth"])
def test_one_empty_is_zero_without_a_distance(empty: str) -> None:
    full = box(np.s_[1:3], np.s_[1:3], np.s_[1:3])
    masks = (NOTHING, full) if empty == "prediction" else (full, NOTHING)
    found = surface_agreement(*masks, SPACING, tolerance_mm=1)
    assert found.surface_dice == 0
    assert math.isnan(found.hd95_mm)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match=r"shapes \(6, 5, 4\) and \(2, 2, 2\)"):
        surface_agreement(NOTHING, np.ones((2, 2, 2), bool), SPACING, tolerance_mm=1)
    with pytest.raises(ValueError, match="tolerance_mm is -1; give 0 or more"):
        surface_agreement(NOTHING, NOTHING, SPACING, tolerance_mm=-1)


def test_the_fields_are_named() -> None:
    assert SurfaceAgreement._fields == ("surface_dice", "hd95_mm")

# SPDX-License-Identifier: Apache-2.0
"""Distances between surfaces, worked out by hand and beside the metrics of others."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_surface_dice

from medvol.metrics.masks.surface import SurfaceAgreement, surface_agreement

SPACING = (1.0, 2.0, 5.0)
NOTHING = np.zeros((6, 5, 4), bool)


def box(*sides: slice) -> np.ndarray:
    mask = NOTHING.copy()
    mask[sides] = True
    return mask


def test_two_voxels_four_apart_along_the_second_axis() -> None:
    one, other = box(np.s_[1:2], np.s_[1:2], np.s_[1:2]), box(np.s_[1:2], np.s_[3:4], np.s_[1:2])
    # a side of either is 2 mm from the nearer one of the other, the other side 4 mm
    assert surface_agreement(one, other, SPACING, tolerance_mm=1.9) == (0.0, 4.0)
    assert surface_agreement(one, other, SPACING, tolerance_mm=2.0).surface_dice == 0.5
    assert surface_agreement(one, other, SPACING, tolerance_mm=4.0) == (1.0, 4.0)


def test_a_rectangle_that_is_one_pixel_too_long() -> None:
    """3 x 2 pixels of 1 x 2 mm, marked 4 x 2; the outline is cut across at each corner.

    A corner has half of a diagonal, 4 have 2 sqrt 5. The straight elements between have 4 * 1 and
    2 * 2 mm in the truth, 6 * 1 and 2 * 2 mm in the mark. Missed is the 2 mm in the middle of the
    side that lies inside the mark; false are the two corners and the middle of the mark's side.
    """
    true, long = np.zeros((2, 6, 4), bool)
    true[1:4, 1:3] = long[1:5, 1:3] = True
    found = surface_agreement(long, true, SPACING[:2], tolerance_mm=0.5)
    root = math.sqrt(5)
    assert found.surface_dice == pytest.approx((18 + 4 * root - 2 - (2 + root)) / (18 + 4 * root))
    assert found.hd95_mm == 1.0  # 29 % of the mark's outline are 1 mm off
    assert surface_agreement(long, true, SPACING[:2], tolerance_mm=1.0).surface_dice == 1.0


def corner_mm2(x: float, y: float, z: float) -> float:
    """Area cut across a corner: between the middles of the three edges that meet there."""
    return math.sqrt((y * z) ** 2 + (x * z) ** 2 + (x * y) ** 2) / 8


def box_mm2(voxels: tuple[int, int, int], spacing: tuple[float, float, float]) -> float:
    """Area of a box: its faces up to half a voxel from the edges, what cuts these, the corners."""
    area = 8 * corner_mm2(*spacing)
    for axis in range(3):
        (m, p), (n, q) = ((voxels[i] - 1, spacing[i]) for i in range(3) if i != axis)
        area += 2 * m * p * n * q
        area += 4 * (voxels[axis] - 1) * spacing[axis] * math.hypot(p, q) / 2
    return area


@pytest.mark.parametrize("z_mm", [1.0, 5.0])
def test_a_box_whose_lowest_slice_is_missed(z_mm: float) -> None:
    """The thicker the slices, the less the two lowest faces weigh beside the sides."""
    true, mark = np.zeros((2, 12, 12, 12), bool)
    true[1:11, 1:11, 1:11] = mark[1:11, 1:11, 2:11] = True
    spacing = (1.0, 1.0, z_mm)
    missed = 81 + 36 * math.hypot(1, z_mm) / 2 + 4 * corner_mm2(*spacing)  # face, edges, corners
    false = 81  # the rest of the mark's lowest face lies on the sides of the truth
    whole = box_mm2((10, 10, 10), spacing) + box_mm2((10, 10, 9), spacing)
    found = surface_agreement(mark, true, spacing, tolerance_mm=0.0)
    assert found.surface_dice == pytest.approx(1 - (missed + false) / whole)


def test_voxels_inside_are_no_surface() -> None:
    full, hollow = box(np.s_[1:4], np.s_[1:4], np.s_[0:3]), box(np.s_[1:4], np.s_[1:4], np.s_[0:3])
    hollow[2, 2, 1] = False
    found = surface_agreement(full, hollow, SPACING, tolerance_mm=0.0)
    both, hole = 2 * box_mm2((3, 3, 3), SPACING), 8 * corner_mm2(*SPACING)
    assert found.surface_dice == pytest.approx(both / (both + hole))
    assert found.hd95_mm == 0.0  # the hole has 4 % of its surface


# MONAI's own metrics call its own function with an argument that it calls old
@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("tolerance_mm", [0.0, 1.0, 2.5])
def test_surface_dice_is_that_of_monai_with_subvoxels(axes: int, tolerance_mm: float) -> None:
    random = np.random.default_rng(axes)
    masks = [random.random((9, 8, 7)[:axes]) > limit for limit in (0.8, 0.7)]
    spacing = SPACING[:axes]
    predicted, true = (torch.from_numpy(mask)[None, None] for mask in masks)
    dice = compute_surface_dice(
        predicted, true, [tolerance_mm], include_background=True, spacing=list(spacing),
        use_subvoxels=True,
    )  # fmt: skip
    found = surface_agreement(*masks, spacing, tolerance_mm=tolerance_mm)
    assert 0 < found.surface_dice == pytest.approx(float(dice))


@pytest.mark.parametrize(
    ("spacing", "dice", "hd95_mm"),
    [
        ((0.8, 0.8, 5.0), {0: 0.4754674549, 1: 0.5641357389, 3: 0.6723430114}, 10.0),
        ((1.0, 2.0, 3.0), {0: 0.4134014429, 1: 0.5475872697, 3: 0.9319545665}, 3.6055512755),
    ],
)
def test_both_are_those_of_the_package_surface_distance(
    spacing: tuple[float, ...], dice: dict[int, float], hd95_mm: float
) -> None:
    """Two balls and a stray voxel; the figures are those that surface-distance 0.1 gives."""
    places = np.moveaxis(np.indices((14, 12, 8)), 0, -1) * spacing

    def ball(*centre: float, radius: float) -> np.ndarray:
        return ((places - np.multiply(centre, spacing)) ** 2).sum(-1) <= radius**2

    true, mark = ball(6, 5, 3, radius=6.0), ball(7, 5.5, 4, radius=5.0)
    mark[12, 10, 6] = True
    for tolerance_mm, expected in dice.items():
        found = surface_agreement(true, mark, spacing, tolerance_mm=tolerance_mm)
        assert found.surface_dice == pytest.approx(expected)
        assert found.hd95_mm == pytest.approx(hd95_mm)


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

# SPDX-License-Identifier: Apache-2.0
"""Affines: spacing, volume, orientation, shear and equal grids, by numbers worked out by hand."""

import numpy as np
import pytest
from grids import GRIDS, each_grid

from medvol.spatial import (
    RAS_TO_LPS,
    box_of,
    feet_head_axis,
    lps_grid,
    nothing_like,
    orientation,
    same_grid,
    shear_cosine,
    slice_z_mm,
    spacing_mm,
    voxel_volume_ml,
)

SHEARED = np.array([[1.0, 0, 0, 5], [0, 1.0, 1.5, 6], [0, 0, 2.0, 7], [0, 0, 0, 1]])
CUBE_DIAGONAL = np.array([[2, -1, 2], [2, 2, -1], [-1, 2, 2]]) / 3  # 60 degrees about (1, 1, 1)


def affine(axes: np.ndarray, origin: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = axes, origin
    return made


@each_grid
def test_spacing_and_volume_do_not_depend_on_orientation(affine: np.ndarray) -> None:
    assert spacing_mm(affine) == pytest.approx((1.5, 2.0, 3.0), abs=1e-6)
    assert voxel_volume_ml(affine) == pytest.approx(0.009, abs=1e-8)
    assert shear_cosine(affine) < 1e-6


def test_a_sheared_grid() -> None:
    """The third axis is (0, 1.5, 2): 2.5 mm long, cosine 1.5 / 2.5 with the second; height 2."""
    assert spacing_mm(SHEARED) == (1.0, 1.0, 2.5)
    assert voxel_volume_ml(SHEARED) == pytest.approx(0.002)
    assert shear_cosine(SHEARED) == pytest.approx(0.6)
    assert orientation(SHEARED) == "RAS"


@pytest.mark.parametrize("name", [name for name in GRIDS if len(name) == 3])
def test_all_48_orientations_have_their_letters(name: str) -> None:
    assert orientation(GRIDS[name]) == name


def test_an_oblique_grid_has_its_nearest_axes() -> None:
    assert orientation(GRIDS["oblique"]) == "RAS"
    assert orientation(GRIDS["oblique-left-handed"]) == "LAS"


@pytest.mark.parametrize("degrees", [44.9, 45.0, 45.1, 135.0])
def test_half_way_between_two_axes_there_still_is_an_orientation(degrees: float) -> None:
    """A turn about z by half a right angle: x and y lie on a diagonal, but not on one axis."""
    turn = np.radians(degrees)
    cos, sin = np.cos(turn), np.sin(turn)
    letters = orientation(affine(np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])))
    assert letters in ("RAS", "ALS", "LPS", "PRS", "APS")
    assert letters[2] == "S"


def test_two_axes_nearest_to_one_body_axis_still_have_two_letters() -> None:
    letters = orientation(affine(CUBE_DIAGONAL))
    assert len({next(p for p in ("LR", "AP", "IS") if x in p) for x in letters}) == 3


@pytest.mark.parametrize(
    "axes",
    [np.zeros((3, 3)), np.array([[1.0, 1, 0], [0, 0, 0], [0, 0, 1]]), np.full((3, 3), np.nan)],
    ids=["zero", "two alike", "NaN"],
)
def test_no_three_axes_no_orientation(axes: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"^the affine has no three independent axes, so"):
        orientation(affine(axes))


def test_ras_to_lps_turns_x_and_y_and_undoes_itself() -> None:
    assert (RAS_TO_LPS @ [10.0, 20.0, 30.0, 1.0]).tolist() == [-10, -20, 30, 1]
    assert np.array_equal(RAS_TO_LPS @ RAS_TO_LPS, np.eye(4))


def test_equal_grids() -> None:
    grid = GRIDS["LPS"]
    assert same_grid((10, 20, 30), grid, [10, 20, 30], grid.copy())
    assert not same_grid((10, 20, 30), grid, (10, 20, 31), grid)
    assert not same_grid((10, 20, 30), grid, (10, 20), grid)


@pytest.mark.parametrize(("shift_mm", "same"), [(0.009, True), (0.011, False)])
def test_a_shift_counts_as_it_is(shift_mm: float, same: bool) -> None:
    other = GRIDS["LPS"] + affine(np.zeros((3, 3)), (0, shift_mm, 0)) - np.diag([0, 0, 0, 1])
    assert same_grid((9, 9, 9), GRIDS["LPS"], (9, 9, 9), other) is same


@pytest.mark.parametrize(("error_mm", "same"), [(0.00009, True), (0.00011, False)])
def test_a_wrong_spacing_counts_in_the_far_corner(error_mm: float, same: bool) -> None:
    """100 steps of error: 0.009 or 0.011 mm in the last of 101 voxels."""
    other = GRIDS["RAS"].copy()
    other[0, 0] += error_mm
    assert same_grid((101, 9, 9), GRIDS["RAS"], (101, 9, 9), other) is same
    assert same_grid((11, 9, 9), GRIDS["RAS"], (11, 9, 9), other)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("error_mm", "same"), [(0.0099, True), (0.0101, False)])
def test_a_wrong_spacing_counts_along_its_own_axis(axis: int, error_mm: float, same: bool) -> None:
    shape = (3, 5, 9)
    other = GRIDS["RAS"].copy()
    other[axis, axis] += error_mm / (shape[axis] - 1)
    assert same_grid(shape, GRIDS["RAS"], shape, other) is same


@pytest.mark.parametrize(("shift_mm", "same"), [(0.0099, True), (0.0101, False)])
def test_the_first_voxel_counts_too(shift_mm: float, same: bool) -> None:
    """A wrong spacing takes the shift back until the last voxel."""
    other = GRIDS["RAS"].copy()
    other[0, 3] += shift_mm
    other[0, 0] -= shift_mm / 9
    assert same_grid((10, 4, 4), GRIDS["RAS"], (10, 4, 4), other) is same


def test_the_tolerance_can_be_chosen() -> None:
    other = GRIDS["RAS"] + affine(np.zeros((3, 3)), (0.4, 0, 0)) - np.diag([0, 0, 0, 1])
    assert same_grid((9, 9, 9), GRIDS["RAS"], (9, 9, 9), other, tolerance_mm=0.5)
    assert not same_grid((9, 9, 9), GRIDS["RAS"], (9, 9, 9), other, tolerance_mm=0.3)
    whole = np.eye(4)
    whole[0, 3] = 2.0
    assert same_grid((9, 9, 9), np.eye(4), (9, 9, 9), whole, tolerance_mm=2.0)


@each_grid
def test_height_of_slices_is_that_of_their_middle_voxel(affine: np.ndarray) -> None:
    shape = (5, 7, 3)
    axis = feet_head_axis(affine)
    found = slice_z_mm(shape, affine)
    assert len(found) == shape[axis]
    middle = [2, 3, 1]
    for k in range(shape[axis]):
        middle[axis] = k
        assert found[k] == pytest.approx((affine @ [*middle, 1])[2])


def test_the_axis_between_feet_and_head() -> None:
    assert [feet_head_axis(GRIDS[name]) for name in ("RAS", "SLP", "AIR", "oblique")] == [
        2,
        0,
        1,
        2,
    ]


@each_grid
def test_the_grid_of_itk_gives_the_affine_back(affine: np.ndarray) -> None:
    direction, spacing, origin = lps_grid(affine)
    np.testing.assert_allclose(np.linalg.norm(direction, axis=0), 1)
    back = np.eye(4)
    back[:3, :3], back[:3, 3] = direction * spacing, origin
    np.testing.assert_allclose(RAS_TO_LPS @ back, affine)


def test_the_box_of_what_is_marked() -> None:
    mask = np.zeros((5, 6, 7), np.uint16)
    assert box_of(mask) is None
    mask[1, 2, 6] = mask[3, 4, 0] = 300
    assert box_of(mask) == (slice(1, 4), slice(2, 5), slice(0, 7))


@pytest.mark.parametrize("order", ["C", "F"])
def test_nothing_has_the_shape_and_the_order_of_a_mask(order: str) -> None:
    mask = np.ones((3, 4, 5), bool, order=order)  # type: ignore[call-overload]
    nothing = nothing_like(mask)
    assert nothing.shape == mask.shape
    assert nothing.strides == mask.strides
    assert not nothing.any()

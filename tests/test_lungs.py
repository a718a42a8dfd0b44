# SPDX-License-Identifier: Apache-2.0
"""Right and left lung, told apart in boxes that were counted by hand."""

from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest

from medvol.lungs import COARSE_MM, SMALLEST_SHARE, body_middle_mm, right_and_left

Mask = npt.NDArray[np.bool_]
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])  # x grows to the right
MIDDLE_MM = 4.0 * 14.5
LEFT, RIGHT = np.s_[2:13, 4:20, 3:21], np.s_[17:28, 4:20, 3:21]  # 11 x 16 x 18 voxels each
EACH = 11 * 16 * 18


def boxes(*more: tuple[slice, ...]) -> Mask:
    lung = np.zeros((30, 24, 24), bool)
    for box in more:
        lung[box] = True
    return lung


def parted(lung: Mask) -> tuple[Mask, Mask]:
    right, left = right_and_left(lung, AFFINE, MIDDLE_MM)
    assert np.array_equal(right | left, lung)
    assert not (right & left).any()
    return right, left


def test_two_lungs_apart() -> None:
    right, left = parted(boxes(LEFT, RIGHT))
    assert right[RIGHT].all()
    assert left[LEFT].all()


@pytest.mark.parametrize("thick", [1, 5, 9])
def test_lungs_that_touch_are_parted_in_the_middle_of_the_contact(thick: int) -> None:
    """A bridge of 4 voxels between them, 4 to 36 mm thick, as at the anterior junction."""
    bridge = np.s_[13:17, 4 : 4 + thick, 5:19]
    right, left = parted(boxes(LEFT, RIGHT, bridge))
    assert (int(right.sum()), int(left.sum())) == (EACH + 28 * thick, EACH + 28 * thick)
    assert right[RIGHT].all()
    assert left[LEFT].all()


def test_a_contact_thicker_than_40_mm_is_one_lung() -> None:
    """12 voxels are 48 mm: nothing says that these are two; the whole is where its middle is."""
    right, left = parted(boxes(LEFT, np.s_[15:28, 4:20, 3:21], np.s_[13:15, 4:16, 3:21]))
    assert (right.any(), left.any()) == (True, False)


@pytest.mark.parametrize(("box", "side"), [(RIGHT, 0), (LEFT, 1)])
def test_one_lung_is_all_on_its_side(box: tuple[slice, ...], side: int) -> None:
    sides = parted(boxes(box))
    assert sides[side].sum() == EACH
    assert not sides[1 - side].any()


def test_one_lung_that_reaches_over_the_middle_stays_one() -> None:
    """After the other was removed, the lung that is left grows to the other side."""
    right, left = parted(boxes(np.s_[10:28, 4:20, 3:21]))
    assert (int(right.sum()), int(left.sum())) == (18 * 16 * 18, 0)


def test_beside_one_lung_an_island_counts_to_the_side_on_which_it_lies() -> None:
    """A white lung, in which a network sees an island of consolidation only."""
    island = np.s_[5:7, 8:10, 8:10]
    right, left = parted(boxes(RIGHT, island))
    assert (int(right.sum()), int(left.sum())) == (EACH, 8)


def test_beside_two_lungs_an_island_counts_to_the_nearer_one() -> None:
    """One voxel beyond the middle of the body, but 1 from the left lung and 3 from the right."""
    right, left = parted(boxes(LEFT, np.s_[18:28, 4:20, 3:21], np.s_[14:15, 10:12, 10:12]))
    assert (int(right.sum()), int(left.sum())) == (10 * 16 * 18, EACH + 4)


@pytest.mark.parametrize(("slices", "lungs"), [(7, 1), (8, 2)])
def test_a_twentieth_of_a_lung_is_another_lung_less_is_an_island(slices: int, lungs: int) -> None:
    """5 % of 8 x 16 x 18 = 2304 voxels are 115.2: 7 slices of 16 voxels are too few, 8 are enough.

    An island shows it, beyond the middle, 4 voxels from the part and 5 from the lung.
    """
    assert SMALLEST_SHARE == 0.05
    part, island = np.s_[8:12, 4:8, 3 : 3 + slices], np.s_[15:16, 5:6, 5:6]
    right, left = parted(boxes(part, np.s_[20:28, 4:20, 3:21], island))
    assert left[part].all()
    assert (left if lungs == 2 else right)[island].all()


def test_no_lung() -> None:
    right, left = parted(boxes())
    assert not right.any()
    assert not left.any()


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("mirrored", [False, True])
def test_any_orientation(order: tuple[int, ...], mirrored: bool) -> None:
    lung = boxes(LEFT, RIGHT, np.s_[13:17, 4:8, 5:19])
    expected = [side.transpose(order) for side in parted(lung)]
    given, affine = lung.transpose(order), AFFINE[:, [*order, 3]]
    if mirrored:
        affine = affine @ np.diag([-1.0, -1, -1, 1])
        affine[:3, 3] += AFFINE[:3, :3] @ (np.array(lung.shape) - 1)
        given, expected = given[::-1, ::-1, ::-1], [x[::-1, ::-1, ::-1] for x in expected]
    for side, known in zip(right_and_left(given, affine, MIDDLE_MM), expected, strict=True):
        assert np.array_equal(side, known)


def test_a_grid_finer_than_4_mm_keeps_all_of_its_voxels() -> None:
    """The same two boxes in voxels of 1 x 2 x 4 mm: 8 times as many of them."""
    assert COARSE_MM == 4
    lung = boxes(LEFT, RIGHT).repeat(4, axis=0).repeat(2, axis=1)
    affine = np.diag([1.0, 2.0, 4.0, 1.0])
    affine[:2, 3] = -1.5, -1.0
    right, left = right_and_left(lung, affine, MIDDLE_MM)
    assert (int(right.sum()), int(left.sum())) == (8 * EACH, 8 * EACH)
    assert right[68:112].any()
    assert not right[:68].any()


def test_the_body_s_middle_is_that_of_its_dense_voxels() -> None:
    """A body of columns 4 to 13 of 30, 4 mm each, in air: its middle is column 8.5."""
    ct = np.full((30, 24, 24), -1000.0)
    ct[4:14, 4:20] = 40
    assert body_middle_mm(ct, AFFINE) == pytest.approx(34.0)
    ct[20:22] = -301  # foam
    assert body_middle_mm(ct, AFFINE) == pytest.approx(34.0)
    ct[20:22] = -299
    assert body_middle_mm(ct, AFFINE) > 34.0


def test_the_middle_of_air_is_that_of_the_volume() -> None:
    assert body_middle_mm(np.full((30, 24, 24), -1000.0), AFFINE) == pytest.approx(58.0)


def test_air_around_the_lungs_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    lung = boxes(LEFT, RIGHT, np.s_[13:17, 4:9, 3:21])
    lung &= rng.random(lung.shape) > 0.02
    wide = np.zeros(tuple(n + 24 for n in lung.shape), bool)
    wide[12:-12, 12:-12, 12:-12] = lung
    fine = np.diag([1.5, 2.0, 1.0, 1.0])  # every second, second and fourth voxel is looked at
    moved = fine.copy()
    moved[:3, 3] = fine[:3, :3] @ [-12, -12, -12]
    middle_mm = 1.5 * (lung.shape[0] - 1) / 2
    for small, large in zip(
        right_and_left(lung, fine, middle_mm), right_and_left(wide, moved, middle_mm), strict=True
    ):
        assert small.any()
        assert np.array_equal(large[12:-12, 12:-12, 12:-12], small)
        assert large.sum() == small.sum()

# SPDX-License-Identifier: Apache-2.0
"""Lesions of two masks matched one by one: found, missed, correct, false; counts by hand."""

import numpy as np
import pytest
from scipy import ndimage

from medvol.metrics.masks.lesion_matching import LesionCounts, count_lesions, match_lesions

AFFINE = np.array([[-2.0, 0, 0, 10], [0, 0, 3, 20], [0, 1, 0, 30], [0, 0, 0, 1]])


def counted(predicted: np.ndarray, true: np.ndarray, smallest_voxels: int = 1) -> LesionCounts:
    lesions = match_lesions(predicted, true, np.eye(4))
    return count_lesions(lesions, smallest_voxels=smallest_voxels)


def marks(text: str) -> np.ndarray:
    """One row of voxels, x for a lesion."""
    return np.array([[c == "x" for c in text]])


@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [
        ("xx..xx..x", "xx..xx..x", LesionCounts(3, 3, 3, 0)),
        ("xx..xx..x", "x........", LesionCounts(3, 1, 1, 0)),
        ("xx..xx...", ".......xx", LesionCounts(2, 0, 1, 1)),
        ("xx..xx...", "xxxxxx..x", LesionCounts(2, 2, 2, 1)),  # one mark finds two lesions
        ("xxxxxx...", "x.x.x...x", LesionCounts(1, 1, 4, 1)),  # three marks find one
        (".........", "x..x.....", LesionCounts(0, 0, 2, 2)),
        ("x..x.....", ".........", LesionCounts(2, 0, 0, 0)),
        (".........", ".........", LesionCounts(0, 0, 0, 0)),
    ],
)
def test_counts(true: str, predicted: str, expected: LesionCounts) -> None:
    assert counted(marks(predicted), marks(true)) == expected


def test_small_ones_are_not_counted_but_find_and_are_found() -> None:
    # the true lesion of one voxel is not counted, so the mark on it is neither missed nor false;
    # the single voxel that finds the lesion of two is enough
    true, predicted = marks("x....xx...."), marks("xx...x...x.")
    assert counted(predicted, true) == (2, 2, 3, 1)
    assert counted(predicted, true, 2) == LesionCounts(1, 1, 1, 0)


def test_voxels_that_share_a_corner_are_one_lesion() -> None:
    flat, solid = np.eye(3, dtype=bool), np.zeros((3, 3, 3), bool)
    solid[[0, 1, 2], [0, 1, 2], [0, 1, 2]] = True
    assert counted(flat, flat).true == 1
    assert counted(solid, solid).true == 1


@pytest.mark.parametrize("axes", [2, 3])
def test_counts_are_those_of_scipy(axes: int) -> None:
    random = np.random.default_rng(axes)
    for _ in range(200):  # cc3d errs on some shapes of images
        mask = random.random(random.integers(1, 9, axes)) > 0.7
        expected = ndimage.label(mask, np.ones((3,) * axes))[1]
        assert counted(mask, mask) == (expected, expected, expected, 0)


def test_any_order_in_memory() -> None:
    mask = np.zeros((4, 5, 6), bool)
    mask[0, 0, 0] = mask[3, 4, 5] = True
    turned = np.asfortranarray(mask)[::-1]
    assert counted(turned, turned) == LesionCounts(2, 2, 2, 0)


def test_nothing_at_all() -> None:
    nothing = np.zeros((0, 0, 0), bool)
    assert counted(nothing, nothing) == LesionCounts(0, 0, 0, 0)


def test_one_mark_over_three_lesions_and_half_of_a_fourth() -> None:
    true, predicted = marks("x.x.xx..xxxx.xxx"), marks("xxxxxx..xx......")
    found = match_lesions(predicted, true, np.eye(4))
    assert [lesion[:4] for lesion in found] == [
        (True, 4, 2, 1), (True, 3, 0, 0), (True, 2, 2, 1), (True, 1, 1, 1), (True, 1, 1, 1),
        (False, 6, 4, 3), (False, 2, 2, 1),
    ]  # fmt: skip
    outcomes = [lesion.outcome for lesion in found]
    assert outcomes == ["found", "missed", "found", "found", "found", "correct", "correct"]


def test_the_centre_is_in_mm() -> None:
    true = np.zeros((4, 5, 6), bool)
    true[1:3, 2, 4] = True  # middle at 1.5, 2, 4
    (lesion,) = match_lesions(np.zeros_like(true), true, AFFINE)
    assert lesion.centre_mm == (10 - 2 * 1.5, 20 + 3 * 4, 30 + 2)

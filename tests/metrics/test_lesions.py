# SPDX-License-Identifier: Apache-2.0
"""Lesions counted one by one, on rows of voxels that can be read."""

import numpy as np
import pytest
from scipy import ndimage

from medvol.metrics.lesions import LesionCounts, count_lesions


def row(text: str) -> np.ndarray:
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
    assert count_lesions(row(predicted), row(true)) == expected


def test_small_ones_are_not_counted_but_find_and_are_found() -> None:
    # the true lesion of one voxel is not counted, so the mark on it is neither missed nor false;
    # the single voxel that finds the lesion of two is enough
    true, predicted = row("x....xx...."), row("xx...x...x.")
    assert count_lesions(predicted, true) == (2, 2, 3, 1)
    assert count_lesions(predicted, true, smallest_voxels=2) == LesionCounts(1, 1, 1, 0)


def test_voxels_that_share_a_corner_are_one_lesion() -> None:
    flat, solid = np.eye(3, dtype=bool), np.zeros((3, 3, 3), bool)
    solid[[0, 1, 2], [0, 1, 2], [0, 1, 2]] = True
    assert count_lesions(flat, flat).true == 1
    assert count_lesions(solid, solid).true == 1


@pytest.mark.parametrize("axes", [2, 3])
def test_counts_are_those_of_scipy(axes: int) -> None:
    random = np.random.default_rng(axes)
    for _ in range(200):  # cc3d errs on some shapes of images
        mask = random.random(random.integers(1, 9, axes)) > 0.7
        expected = ndimage.label(mask, np.ones((3,) * axes))[1]
        assert count_lesions(mask, mask) == (expected, expected, expected, 0)


def test_any_order_in_memory() -> None:
    mask = np.zeros((4, 5, 6), bool)
    mask[0, 0, 0] = mask[3, 4, 5] = True
    turned = np.asfortranarray(mask)[::-1]
    assert count_lesions(turned, turned) == LesionCounts(2, 2, 2, 0)


def test_nothing_at_all() -> None:
    nothing = np.zeros((0, 0, 0), bool)
    assert count_lesions(nothing, nothing) == LesionCounts(0, 0, 0, 0)

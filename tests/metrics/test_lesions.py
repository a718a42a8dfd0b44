# SPDX-License-Identifier: Apache-2.0
"""Single lesions: how many, how large, where, on any grid."""

import numpy as np
import pytest

from medvol.metrics.lesions import MOST_LISTED, find_lesions, longest_mm

AFFINE = np.array([[-2.0, 0, 0, 30], [0, -1.0, 0, 40], [0, 0, 4.0, -20], [0, 0, 0, 1.0]])  # LPS


def marked() -> np.ndarray:
    """A box of 4 x 3 voxels in slice 3 with one voxel above it, and a voxel that stands alone."""
    mask = np.zeros((20, 20, 10), bool)
    mask[2:6, 5:8, 3] = mask[6, 8, 4] = True  # they touch by a corner
    mask[15, 15, 9] = True
    return mask


def test_largest_first() -> None:
    found = find_lesions(marked(), AFFINE)
    assert (found.number, found.rest_ml) == (2, 0.0)
    first, second = found.largest
    assert first.volume_ml == pytest.approx(13 * 0.008)
    assert first.longest_mm == pytest.approx(np.hypot(4 * 2, 3 * 1))
    assert first.slice_number == 4
    # middles: (2+3+4+5)*3/13 + 6/13, (5+6+7)*4/13 + 8/13, 3*12/13 + 4/13
    x, y, z = 48 / 13, 80 / 13, 40 / 13
    assert first.centre_mm == pytest.approx((30 - 2 * x, 40 - y, 4 * z - 20))
    assert (second.slice_number, second.volume_ml) == (10, pytest.approx(0.008))
    assert second.longest_mm == pytest.approx(np.hypot(2, 1))


def test_slices_are_counted_from_the_feet_whatever_the_grid() -> None:
    turned = AFFINE.copy()
    turned[:, 3] += turned[:, 2] * 9
    turned[:, 2] *= -1
    found, same = (find_lesions(marked()[:, :, ::-1], turned), find_lesions(marked(), AFFINE))
    for one, other in zip(found.largest, same.largest, strict=True):
        assert one.slice_number == other.slice_number
        assert one.centre_mm == pytest.approx(other.centre_mm)
        assert one.longest_mm == pytest.approx(other.longest_mm)


def test_of_equal_slices_the_lowest_counts_whatever_the_grid() -> None:
    mask = np.zeros((8, 8, 6), bool)
    mask[2:4, 2, 1] = mask[2, 2:4, 2] = True  # 2 voxels each; 4 mm by 1 mm, and 2 mm by 2 mm
    turned = AFFINE @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 5], [0, 0, 0, 1.0]])
    for marks, affine in ((mask, AFFINE), (mask[:, :, ::-1], turned)):
        (lesion,) = find_lesions(marks, affine).largest
        assert lesion.slice_number == 2
        assert lesion.longest_mm == pytest.approx(np.hypot(4, 1))


def test_the_place_is_asked_for_with_the_voxels_of_the_lesion() -> None:
    given = []
    find_lesions(marked(), AFFINE, lambda voxels: given.append(voxels.tolist()) or "here")
    assert given[1] == [[15, 15, 9]]
    assert len(given[0]) == 13
    assert find_lesions(marked(), AFFINE, lambda _: "here").largest[0].place == "here"


def test_many_are_counted_and_the_rest_is_summed() -> None:
    mask = np.zeros((40, 4, 4), bool)
    mask[: 2 * (MOST_LISTED + 3) : 2, 0, 0] = True
    found = find_lesions(mask, np.eye(4))
    assert (found.number, len(found.largest)) == (MOST_LISTED + 3, MOST_LISTED)
    assert found.rest_ml == pytest.approx(0.003)


def test_nothing_marked() -> None:
    found = find_lesions(np.zeros((4, 4, 4), bool), np.eye(4))
    assert (found.number, found.largest, found.rest_ml) == (0, (), 0.0)


def test_longest_diameter_of_an_l() -> None:
    pixels = np.array([[0, 0], [0, 1], [0, 2], [0, 3], [1, 0], [2, 0]])
    # the outer corners (-0.5, 3.5) and (2.5, -0.5); in steps of 2 mm and 1 mm
    steps = np.array([[2.0, 0], [0, 1.0], [0, 0]])
    assert longest_mm(pixels, steps) == pytest.approx(np.hypot(3 * 2, 4 * 1))

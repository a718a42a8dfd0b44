# SPDX-License-Identifier: Apache-2.0
"""Lungs by side and third, counted by hand, on any grid; and the CT score at each of its steps."""

from itertools import permutations, product

import numpy as np
import pytest
from pydicom.sr.codedict import codes

from medvol.metrics.lung_regions import (
    HIGHEST_SCORE,
    LUNG,
    PRESENT_PERCENT,
    SIDES,
    THIRDS,
    Region,
    ct_score,
    lung_regions,
    per_slice,
    thirds,
    zone_score,
)

SHAPE = (8, 4, 12)  # RAS of 2 x 2 x 5 mm: 0.02 ml a voxel
AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])


def lungs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right lung: 2 x 2 x 9 voxels, slices 2 to 10; left lung 2 x 2 x 6, slices 3 to 8; lesion."""
    right, left, lesion = (np.zeros(SHAPE, bool) for _ in range(3))
    right[5:7, 1:3, 2:11] = True
    left[1:3, 1:3, 3:9] = True
    lesion[5:7, 1:3, 2] = lesion[1, 1, 8] = lesion[0, 0, 0] = True  # 4 voxels, 1 voxel, 1 outside
    return right, left, lesion


def test_regions_counted_by_hand() -> None:
    found = lung_regions(*lungs(), AFFINE)
    assert [(x.name, x.organ_voxels, x.lesion_voxels) for x in found] == [
        ("right lung", 36, 4),
        ("right lung, upper third", 12, 0),
        ("right lung, middle third", 12, 0),
        ("right lung, lower third", 12, 4),
        ("left lung", 24, 1),
        ("left lung, upper third", 8, 1),
        ("left lung, middle third", 8, 0),
        ("left lung, lower third", 8, 0),
    ]
    right = found[0]
    assert (right.organ_ml, right.lesion_ml) == (pytest.approx(0.72), pytest.approx(0.08))
    assert right.share_percent == pytest.approx(100 * 4 / 36)
    assert [x.score for x in found] == [None, 0, 0, 2, None, 1, 0, 0]  # 33 % and 12.5 %
    assert ct_score(found) == 3


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_grid_does_not_matter(order: tuple[int, int, int]) -> None:
    expected = lung_regions(*lungs(), AFFINE)
    for flips in product((False, True), repeat=3):
        affine = AFFINE[:, [*order, 3]].copy()
        arrays = [array.transpose(order) for array in lungs()]
        for axis, flip in enumerate(flips):
            if flip:
                arrays = [np.flip(array, axis) for array in arrays]
                affine[:, 3] += affine[:, axis] * (arrays[0].shape[axis] - 1)
                affine[:, axis] *= -1
        assert lung_regions(*arrays, affine) == expected


def test_a_lung_that_is_not_there() -> None:
    right, left, lesion = lungs()
    found = lung_regions(right, np.zeros_like(left), lesion, AFFINE)
    assert [(x.organ_voxels, x.share_percent, x.score) for x in found[4:]] == [(0, None, None)] * 4
    assert ct_score(found) is None
    assert ct_score(lung_regions(*[np.zeros_like(right)] * 3, AFFINE)) is None


def test_thin_slices_at_the_ends_do_not_move_the_thirds() -> None:
    areas = np.array([1, 100, 100, 100, 0])
    assert thirds(areas).tolist() == [0, 0, 1, 2, 2]
    assert thirds(np.array([2, 100, 100, 100, 0])).tolist() == [0, 1, 1, 2, 2]
    assert thirds(np.array([2, 100, 100, 100, 100, 2])).tolist() == [0, 0, 1, 1, 2, 2]
    assert thirds(np.zeros(2, np.int64)).tolist() == [0, 0]


def test_slices_are_counted_from_the_feet() -> None:
    right, _, _ = lungs()
    assert per_slice(right, AFFINE).tolist() == [0, 0, *[4] * 9, 0]
    assert per_slice(right, AFFINE @ np.diag([1, 1, -1.0, 1])).tolist() == [0, *[4] * 9, 0, 0]


@pytest.mark.parametrize(
    ("percent", "score"),
    [(0, 0), (PRESENT_PERCENT - 0.01, 0), (PRESENT_PERCENT, 1), (24.9, 1), (25, 2), (49.9, 2),
     (50, 3), (74.9, 3), (75, 4), (100, 4)],
)  # fmt: skip
def test_steps_of_the_score(percent: float, score: int) -> None:
    assert zone_score(percent) == score


def test_the_highest_score() -> None:
    full = [Region(side, third, 10, 10, 1.0) for side in SIDES for third in THIRDS]
    assert ct_score(full) == HIGHEST_SCORE


def test_codes_are_those_of_dicom() -> None:
    known = {
        codes.SCT.Right: SIDES["right"],
        codes.SCT.Left: SIDES["left"],
        codes.SCT.Lung: LUNG,
        codes.SCT.UpperZoneOfLung: THIRDS["upper"],
        codes.SCT.MiddleZoneOfLung: THIRDS["middle"],
        codes.SCT.LowerZoneOfLung: THIRDS["lower"],
    }
    for code, own in known.items():
        assert (code.scheme_designator, code.value, code.meaning) == (
            own.scheme, own.value, own.meaning,
        )  # fmt: skip
    region = Region("left", "upper", 1, 0, 1.0)
    assert (region.site, region.laterality) == (THIRDS["upper"], SIDES["left"])

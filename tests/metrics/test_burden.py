# SPDX-License-Identifier: Apache-2.0
"""Lesions of the lungs by side, third and place, in a phantom that was counted by hand."""

import numpy as np
import pytest
from phantoms import CONSOLIDATION, GROUND_GLASS, LUNG, tiny_chest

from medvol.metrics.burden import OUTSIDE, lung_burden, lung_place

CHEST = tiny_chest()  # 0.016 ml a voxel; lungs of 8 slices, thirds of 3, 2 and 3 of them
VALUES = {"organ": (GROUND_GLASS, CONSOLIDATION, LUNG), "focus": (GROUND_GLASS, CONSOLIDATION)}


def test_ground_glass_in_the_right_lung_and_consolidation_in_the_left() -> None:
    found = lung_burden(CHEST.labels, CHEST.ct, CHEST.affine, **VALUES)
    by_name = {x.name: (x.organ_voxels, x.lesion_voxels) for x in found.regions}
    slice_ = 8 * 12
    assert by_name == {
        "right lung": (8 * slice_, 64),
        "right lung, upper third": (3 * slice_, 0),
        "right lung, middle third": (2 * slice_, 32),
        "right lung, lower third": (3 * slice_, 32),
        "left lung": (8 * slice_, 32),
        "left lung, upper third": (3 * slice_, 0),
        "left lung, middle third": (2 * slice_, 16),
        "left lung, lower third": (3 * slice_, 16),
    }
    assert found.score == 4  # one each, in four zones
    assert [(x.place, x.volume_ml) for x in found.lesions.largest] == [
        ("right lung, lower third", pytest.approx(1.024)),
        ("left lung, lower third", pytest.approx(0.512)),
    ]


def test_an_array_that_runs_from_head_to_feet() -> None:
    turned = CHEST.affine.copy()
    turned[:, 3] += turned[:, 2] * (CHEST.ct.shape[2] - 1)
    turned[:, 2] *= -1
    found = lung_burden(CHEST.labels[..., ::-1], CHEST.ct[..., ::-1], turned, **VALUES)
    assert found.regions == lung_burden(CHEST.labels, CHEST.ct, CHEST.affine, **VALUES).regions
    assert found.lesions.largest[0].place == "right lung, lower third"


def test_one_lung_and_none() -> None:
    one = CHEST.labels.copy()
    one[16:] = 0
    found = lung_burden(one, CHEST.ct, CHEST.affine, **VALUES)
    assert [x.organ_voxels for x in found.regions if not x.third] == [768, 0]
    assert found.score is None
    none = lung_burden(np.zeros_like(one), CHEST.ct, CHEST.affine, **VALUES)
    assert not any(x.organ_voxels for x in none.regions)
    assert (none.score, none.lesions.number) == (None, 0)


def test_a_place_outside_both_lungs_and_one_across_a_border() -> None:
    right, left = (np.zeros((10, 4, 9), bool) for _ in range(2))
    right[6:9], left[1:4] = True, True
    place = lung_place(right, left, np.eye(4))
    assert place(np.array([[0, 0, 0]])) == OUTSIDE
    assert place(np.array([[2, 0, 5], [2, 0, 6], [2, 0, 7], [7, 0, 0]])) == "left lung, upper third"

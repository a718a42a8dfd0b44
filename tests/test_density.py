# SPDX-License-Identifier: Apache-2.0
"""Consolidation by density: means by hand, what lies beside does not count, any spacing."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from medvol.density import AROUND_MM, is_dense


def test_what_is_not_lesion_does_not_count() -> None:
    """A lesion of one voxel keeps its own HU whatever lies around it."""
    hu = np.full((9, 9, 9), -900.0)
    hu[4, 4, 4] = -300
    lesion = hu == -300
    assert is_dense(hu, lesion, (1, 1, 1)).sum() == 1
    hu[~lesion], hu[4, 4, 4] = 40.0, -400
    assert is_dense(hu, lesion, (1, 1, 1)).sum() == 0
    assert is_dense(hu, lesion, (1, 1, 1), from_hu=-400).sum() == 1  # the threshold itself is dense


def test_a_dense_voxel_within_thin_lesion_is_thin_and_the_spacing_says_how_near() -> None:
    """At 2 mm a voxel weighs 0.4 of its line: -700 + 0.4 * 700 HU; at 20 mm it is alone."""
    hu, lesion = np.full((21, 1, 1), -700.0), np.ones((21, 1, 1), bool)
    hu[10] = 0
    assert not is_dense(hu, lesion, (2, 2, 2)).any()
    assert is_dense(hu, lesion, (20, 2, 2))[:, 0, 0].nonzero()[0].tolist() == [10]


@pytest.mark.parametrize("place", [slice(3, 30), slice(0, 9), slice(40, 50)])
def test_a_box_around_the_lesion_is_as_good_as_the_whole(place: slice) -> None:
    rng = np.random.default_rng(0)
    hu, lesion = rng.normal(-350, 300, (50, 20, 12)), np.zeros((50, 20, 12), bool)
    lesion[place, 8:11, :5] = True
    spacing = (0.7, 1.0, 3.0)
    sigma = [AROUND_MM / mm for mm in spacing]
    weight = gaussian_filter(lesion.astype(np.float32), sigma)
    around = gaussian_filter(np.float32(hu) * lesion, sigma)
    assert np.array_equal(is_dense(hu, lesion, spacing), lesion & (around >= -350 * weight))


def test_no_lesion_is_nowhere_dense() -> None:
    assert not is_dense(np.zeros((3, 3, 3)), np.zeros((3, 3, 3), bool), (1, 1, 1)).any()

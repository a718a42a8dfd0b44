# SPDX-License-Identifier: Apache-2.0
"""Which slices and which part of a volume come on the page."""

import numpy as np
import pytest

from medvol.report.views import bright_box, choose_slices, oblique_degrees, spread


@pytest.mark.parametrize(
    ("areas", "number", "chosen"),
    [
        pytest.param([0, 9, 8, 7, 0, 0, 3, 4, 0], 2, [1, 7], id="two peaks, not two neighbours"),
        pytest.param([0, 5, 0, 0, 5, 0], 2, [1, 4], id="all that there is"),
        pytest.param([1, 1, 50, 60, 50, 60, 1, 1, 1, 1], 2, [3, 5], id="no thin ends"),
        pytest.param([2] * 5, 2, [0, 2], id="apart by half of the range"),
        pytest.param([3, 3, 3, 3], 4, [0, 1, 2, 3], id="every slice"),
        pytest.param([0, 2, 1], 5, [0, 1, 2], id="fewer slices than wanted"),
        pytest.param([0] * 100, 4, [20, 40, 60, 80], id="nothing: spread"),
        pytest.param([0] * 9 + [7] + [0] * 10, 2, [9, 17], id="one slice and one far from it"),
    ],
)
def test_choose_slices(areas: list[int], number: int, chosen: list[int]) -> None:
    assert choose_slices(np.array(areas), number) == chosen


@pytest.mark.parametrize(("length", "number"), [(1, 1), (4, 4), (5, 4), (45, 4), (600, 4)])
def test_spread_gives_distinct_slices_inside(length: int, number: int) -> None:
    slices = spread(length, number)
    assert len(set(slices)) == number
    assert 0 <= slices[0] <= slices[-1] < length


def test_bright_box_holds_the_body_and_a_margin() -> None:
    volume = np.full((80, 64, 8), -1000.0)
    volume[20:60, 16:48] = 0
    box = bright_box(volume, threshold=-600.0, spacing=(2.0, 3.0, 5.0))
    assert [(part.start, part.stop) for part in box] == [(13, 64), (10, 51), (0, 8)]
    nothing = bright_box(volume, threshold=500.0, spacing=(2.0, 3.0, 5.0))
    assert [(part.start, part.stop) for part in nothing] == [(0, 80), (0, 64), (0, 8)]


def test_a_plane_is_body_from_two_hundredths_of_bright_voxels_on() -> None:
    volume = np.full((40, 10, 10), -1000.0)
    volume[20] = -600.0  # as bright as the threshold, not brighter
    volume[8:32:4, 0, 0] = volume[12:28:4, 1, 1] = 0  # one in 100 at the ends, two between
    box = bright_box(volume, threshold=-600.0, spacing=(6.0, 6.0, 6.0))
    assert box[0] == slice(12 - 1 - 4, 24 + 1 + 4 + 1)


def test_oblique_degrees() -> None:
    angle = np.radians(30)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert oblique_degrees(turn @ np.diag([-2.0, -3.0, 5.0, 1.0])) == pytest.approx(30)
    assert oblique_degrees(np.diag([-2.0, -3.0, 5.0, 1.0])) == 0

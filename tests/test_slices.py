# SPDX-License-Identifier: Apache-2.0
"""Slabs by hand: which slices, in which order, and what stands beyond the ends."""

import pytest
import torch
from torch import Tensor

from medvol.slices import check_slices, middle_slices, read_slices, stack_slices


def levels(channels: int = 1) -> Tensor:
    """(channels, 1, 1, 4): slice z of channel c is 10 c + z."""
    return (10 * torch.arange(channels)[:, None] + torch.arange(4)).reshape(channels, 1, 1, 4)


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [(1, 3, [1, 2]), (-2, 2, [0, 0, 0, 1]), (3, 6, [3, 3, 3]), (4, 5, [3]), (2, 2, [])],
)
def test_beyond_the_ends_the_last_slice_is_repeated(
    start: int, stop: int, expected: list[int]
) -> None:
    sliced = read_slices(levels(), start, stop)
    assert sliced.shape == (len(expected), 1, 1, 1)
    assert sliced.flatten().tolist() == expected


def test_reading_keeps_x_and_y_and_gives_a_copy() -> None:
    volume = torch.arange(2 * 3 * 4).reshape(1, 2, 3, 4)
    sliced = read_slices(volume, 2, 3)
    assert sliced[0, 0].tolist() == [[2, 6, 10], [14, 18, 22]]
    sliced += 1
    assert volume[0, 0, 0, 2] == 2


def test_slabs_run_from_low_z_to_high_channel_by_channel() -> None:
    sliced = read_slices(levels(2), -1, 5)
    slabs = stack_slices(sliced, 3).squeeze()
    assert slabs.tolist() == [
        [0, 0, 1, 10, 10, 11],
        [0, 1, 2, 10, 11, 12],
        [1, 2, 3, 11, 12, 13],
        [2, 3, 3, 12, 13, 13],
    ]


@pytest.mark.parametrize("slices", [1, 3, 5])
def test_the_middle_slices_are_the_volume(slices: int) -> None:
    reach = slices // 2
    slabs = stack_slices(read_slices(levels(2), -reach, 4 + reach), slices)
    assert torch.equal(middle_slices(slabs, slices), levels(2))


@pytest.mark.parametrize("slices", [0, 2, -1])
def test_a_slab_without_a_middle_is_refused(slices: int) -> None:
    with pytest.raises(ValueError, match=f"slices is {slices}; give an odd number"):
        check_slices(slices)

# SPDX-License-Identifier: Apache-2.0
"""Slabs and runs by hand: which slices, in which order, and what stands beyond the ends."""

import numpy as np
import pytest
import torch
from torch import Tensor

from medvol.slices import (
    check_slices,
    evenly,
    longest_run_mm,
    passing_slices,
    positive,
    read_slices,
    runs,
    stack_slices,
)


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


def test_a_slab_keeps_rows_and_columns() -> None:
    sliced = torch.arange(3 * 2 * 3).reshape(3, 1, 2, 3)
    slabs = stack_slices(sliced, 3)
    assert slabs.shape == (1, 3, 2, 3)
    assert torch.equal(slabs[0], sliced[:, 0])


def test_a_slab_with_a_middle_is_taken() -> None:
    assert [check_slices(n) for n in (1, 3)] == [1, 3]


@pytest.mark.parametrize("slices", [0, 2, -1])
def test_a_slab_without_a_middle_is_refused(slices: int) -> None:
    with pytest.raises(ValueError, match=f"slices is {slices}; give an odd number"):
        check_slices(slices)


@pytest.mark.parametrize(
    ("most", "taken"),
    [(1, [0]), (3, [0, 3, 6]), (4, [0, 2, 5, 7]), (10, list(range(10))), (99, list(range(10)))],
)
def test_evenly_from_the_first_on(most: int, taken: list[int]) -> None:
    assert evenly(range(10), most) == taken


#                       0    1    2    3    4    5    6    7    8    9
PROBABILITY = np.array([0.1, 0.5, 0.2, 0.8, 0.1, 0.1, 0.1, 0.6, 0.1, 0.1])


@pytest.mark.parametrize(
    ("threshold", "margin", "gap", "expected"),
    [
        (0.5, 0, 0, [1, 3, 7]),  # at the threshold passes
        (0.51, 0, 0, [3, 7]),
        (0.5, 0, 1, [1, 2, 3, 7]),
        (0.5, 0, 2, [1, 2, 3, 7]),
        (0.5, 0, 3, [1, 2, 3, 4, 5, 6, 7]),
        (0.5, 1, 0, [0, 1, 2, 3, 4, 6, 7, 8]),
        (0.5, 1, 1, [0, 1, 2, 3, 4, 6, 7, 8]),  # closed first: the margin does not reach 5
        (0.5, 4, 0, list(range(10))),
        (0.0, 0, 0, list(range(10))),
        (0.9, 3, 3, []),
    ],
)
def test_threshold_then_gaps_then_margin(
    threshold: float, margin: int, gap: int, expected: list[int]
) -> None:
    passing = passing_slices(PROBABILITY, threshold, margin=margin, gap=gap)
    assert np.flatnonzero(passing).tolist() == expected
    assert passing.dtype == np.bool_


def test_without_more_said_only_the_slices_themselves_pass() -> None:
    assert np.flatnonzero(passing_slices(PROBABILITY, 0.5)).tolist() == [1, 3, 7]


def test_the_probabilities_are_left_as_they_are() -> None:
    before = PROBABILITY.copy()
    passing_slices(PROBABILITY, 0.5, margin=2, gap=2)
    assert np.array_equal(PROBABILITY, before)


@pytest.mark.parametrize(
    ("passing", "expected"),
    [
        ([0, 1, 1, 0, 1], [(1, 3), (4, 5)]),
        ([1, 1, 1], [(0, 3)]),
        ([0, 0], []),
        ([], []),
    ],
)
def test_runs(passing: list[int], expected: list[tuple[int, int]]) -> None:
    assert runs(np.array(passing, bool)) == expected


def test_a_run_is_as_long_in_thin_slices_as_in_thick_ones() -> None:
    assert longest_run_mm(PROBABILITY, 0.5, 5.0) == 5.0
    assert longest_run_mm(np.repeat(PROBABILITY, 5), 0.5, 1.0) == 5.0
    assert longest_run_mm(np.array([0.9, 0.9, 0.1, 0.9]), 0.5, 2.5) == 5.0
    assert longest_run_mm(PROBABILITY, 0.9, 5.0) == 0.0
    assert longest_run_mm(np.array([0.5, 0.5, 0.4]), 0.5, 2.0) == 4.0  # at the threshold counts


def test_a_finding_of_one_score_or_of_classes() -> None:
    assert positive(np.array([[0.25, 1.0]])).tolist() == [0.25, 1.0]
    assert positive(np.array([[0.5, 0.0], [0.25, 0.5], [0.25, 0.5]])).tolist() == [0.5, 1.0]

# SPDX-License-Identifier: Apache-2.0
"""Which slices pass, worked out by hand."""

import numpy as np
import pytest

from medvol.metrics.slice_runs import longest_run_mm, passing_slices, positive, runs

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


def test_a_finding_of_one_score_or_of_classes() -> None:
    assert positive(np.array([[0.25, 1.0]])).tolist() == [0.25, 1.0]
    assert positive(np.array([[0.5, 0.0], [0.25, 0.5], [0.25, 0.5]])).tolist() == [0.5, 1.0]

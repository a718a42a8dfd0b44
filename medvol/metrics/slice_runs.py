# SPDX-License-Identifier: Apache-2.0
"""Slices of a volume that pass a threshold, and the runs they form."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Passing = npt.NDArray[np.bool_]
Probabilities = npt.NDArray[np.floating[Any]]


def positive(probability: Probabilities) -> Probabilities:
    """Probability of a finding, (Z,), of (1, Z), or of class probabilities (classes, Z).

    With several classes, class 0 is that there is none.

    Example:
        >>> positive(np.array([[0.75, 0.0], [0.25, 1.0]])).tolist()
        [0.25, 1.0]
    """
    return probability[0] if len(probability) == 1 else 1 - probability[0]


def passing_slices(
    probability: Probabilities, threshold: float, *, margin: int = 0, gap: int = 0
) -> Passing:
    """Which slices pass: those at or above the threshold, short gaps closed, then a margin.

    Args:
        probability: (Z,), 0 to 1.
        threshold: 0 to 1; 0 lets every slice pass.
        margin: slices added at both ends of each run, after closing.
        gap: runs with at most so many slices between them become one.

    Returns:
        (Z,) bool.

    Example:
        >>> p = np.array([0.0, 0.9, 0.0, 0.9, 0.0, 0.0])
        >>> passing_slices(p, 0.5, margin=1, gap=1).tolist()
        [True, True, True, True, True, False]
    """
    passing: Passing = np.asarray(probability) >= threshold
    found = runs(passing)
    for (_, stop), (start, _) in pairwise(found):
        if start - stop <= gap:
            passing[stop:start] = True
    for start, stop in runs(passing):
        passing[max(0, start - margin) : stop + margin] = True
    return passing


def runs(passing: Passing) -> list[tuple[int, int]]:
    """Start and stop (one after the last) of each run of True.

    Example:
        >>> runs(np.array([True, True, False, True]))
        [(0, 2), (3, 4)]
    """
    steps = np.diff(np.concatenate([[0], np.asarray(passing, np.int8), [0]]))
    starts, stops = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return [(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]


def longest_run_mm(probability: Probabilities, threshold: float, slice_mm: float) -> float:
    """Length along z of the longest run at or above a threshold; 0 where no slice is.

    Args:
        probability: (Z,), 0 to 1.
        threshold: 0 to 1.
        slice_mm: distance between neighbouring slices, so that the answer does not depend on how
            thin the slices are.

    Example:
        >>> longest_run_mm(np.array([0.9, 0.1, 0.8, 0.7]), 0.5, 2.5)
        5.0
    """
    found = runs(np.asarray(probability) >= threshold)
    return max((stop - start for start, stop in found), default=0) * slice_mm

# SPDX-License-Identifier: Apache-2.0
"""Slices of a volume: slabs of neighbours, and the runs of those that pass a threshold."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Item = TypeVar("Item")
Passing = npt.NDArray[np.bool_]
Probabilities = npt.NDArray[np.floating[Any]]


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """As many items as are allowed, at equal distances in their order, the first among them.

    Example:
        >>> evenly("abcdefgh", 3), evenly("ab", 3)
        (['a', 'c', 'f'], ['a', 'b'])
    """
    if len(items) <= most:
        return list(items)
    return [items[index * len(items) // most] for index in range(most)]


def check_slices(slices: int) -> int:
    """`slices`, when a slab of so many has a middle.

    Raises:
        ValueError: not odd, or below 1.
    """
    if slices < 1 or slices % 2 == 0:
        raise ValueError(f"slices is {slices}; give an odd number, such as 5: two on each side")
    return slices


def read_slices(volume: "Tensor", start: int, stop: int) -> "Tensor":
    """Slices `start` to `stop` of a volume; beyond its ends the last slice is repeated.

    Args:
        volume: (C, X, Y, Z).
        start: first slice, may be negative.
        stop: one after the last, may exceed Z.

    Returns:
        (stop - start, C, X, Y), a copy.

    Example:
        >>> import torch
        >>> read_slices(torch.tensor([[[[7, 8, 9]]]]), -1, 2).flatten().tolist()
        [7, 7, 8]
    """
    import torch  # here, so that an image is refused without it

    index = torch.arange(start, stop, device=volume.device).clamp(0, volume.shape[-1] - 1)
    return volume.movedim(-1, 0).index_select(0, index)


def stack_slices(sliced: "Tensor", slices: int) -> "Tensor":
    """Every run of `slices` neighbouring slices as the channels of one image.

    Args:
        sliced: (n + slices - 1, C, X, Y).
        slices: of a slab, odd.

    Returns:
        (n, C * slices, X, Y); the slices of channel 0 first, each channel's from low z to high.

    Example:
        >>> import torch
        >>> stack_slices(torch.tensor([7, 7, 8, 9]).reshape(4, 1, 1, 1), 3).squeeze().tolist()
        [[7, 7, 8], [7, 8, 9]]
    """
    return sliced.unfold(0, slices, 1).movedim(-1, 2).flatten(1, 2)


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
    """Start and stop (one after the last) of each run of True, of slices (Z,).

    Example:
        >>> runs(np.array([True, True, False, True]))
        [(0, 2), (3, 4)]
    """
    steps = np.diff(np.concatenate([[0], passing, [0]]))
    starts, stops = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return [(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]


def longest_run_mm(probability: Probabilities, threshold: float, slice_mm: float) -> float:
    """Length along z of the longest run at or above a threshold; 0 where no slice is.

    Args:
        probability: (Z,), 0 to 1.
        threshold: 0 to 1.
        slice_mm: distance between neighbouring slices, so that the answer does not depend on how
            thin the slices are.

    Returns:
        Length in mm.

    Example:
        >>> longest_run_mm(np.array([0.9, 0.1, 0.8, 0.7]), 0.5, 2.5)
        5.0
    """
    found = runs(np.asarray(probability) >= threshold)
    return max((stop - start for start, stop in found), default=0) * slice_mm
